"""Finds the files of a known data set: in places on this machine in a fixed order, then on the network."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.data.known import download, verified_files
from sweeper.data.known.catalog import DataFile, Dataset
from sweeper.errors import SweeperError, UsageError, plain
from sweeper.images.cache_folder import cache_root

# torchvision puts its files into a folder under ROOT and has no default for ROOT. These are what its users
# write: "data" (PyTorch's tutorials), "../data" (its examples), "." and "~/data".
TORCHVISION_ROOTS = ("data", "../data", ".", "~/data")


@dataclass(frozen=True)
class LocatedFiles:
    """The checked contents of the wanted files, in order, and the path of each."""

    contents: tuple[bytes, ...]
    paths: tuple[Path, ...]

    @property
    def folder(self) -> Path:
        """The folder of the first file. All files share it, except in a data folder with both layouts."""
        return self.paths[0].parent


def cache_folder(dataset: Dataset) -> Path:
    """The cache folder for downloads of `dataset`."""
    return cache_root() / (dataset.cached_as or dataset.name)


def find(
    dataset: Dataset,
    wanted: Sequence[DataFile],
    *,
    data_dir: Path | None = None,
    notify: Callable[[str], None],
) -> LocatedFiles | None:
    """The `wanted` files from the first place on this machine that has them all; None if no place has them.

    `data_dir`, if given, is the only place, and a bad file there raises SweeperError. Elsewhere, a bad file is reported
    through `notify`, and the next place is tried. No other file is opened, and nothing is downloaded.
    """
    if data_dir is not None:
        return _find_in_data_dir(dataset, wanted, data_dir)
    return _find_in_known_places(dataset, wanted, notify)[0]


def read(
    dataset: Dataset,
    wanted: Sequence[DataFile],
    *,
    data_dir: Path | None = None,
    offline: bool = False,
    notify: Callable[[str], None],
) -> LocatedFiles:
    """The `wanted` files from where `find` finds them, else downloaded into the cache (unless `offline`).

    A download also fetches the data set's other files if it can. Raises SweeperError with every place tried if the
    files cannot be found. With `data_dir`, nothing is downloaded and no other place is tried.
    """
    if data_dir is not None:
        found = _find_in_data_dir(dataset, wanted, data_dir)
        if found is None:
            absent = [file.name for file in wanted if not _paths_in_data_dir(dataset, file, data_dir)]
            subfolder = f" or its subfolder {dataset.folder}" if dataset.folder else ""
            raise SweeperError(
                f"{_listed(absent)} must be in the data folder{subfolder}{_as_gz(wanted)}, got "
                f"no such file ({data_dir}). What to do: `sweeper data fetch {dataset.name} --data-dir {data_dir}` "
                "adds the missing files"
            )
        return found
    found, tried = _find_in_known_places(dataset, wanted, notify)
    if found is not None:
        return found
    if offline:
        tried.append("the network: not tried, offline was asked for")
    else:
        cache = cache_folder(dataset)
        others = [file for file in dataset.files if file not in wanted and not verified_files.candidates(cache, file)]
        tried += download.download(dataset, [*wanted, *others], cache, notify)
        found = _read_all(cache, wanted, [], lambda note: None)  # if it fails, `tried` already says why
        if found is not None:
            return found
    package = f"or `apt install {dataset.debian_package}`; " if dataset.debian_package else ""
    unpacked = f", as {dataset.archive.name} has them" if dataset.archive else ""
    raise SweeperError(
        f"{dataset.name} could not be found. Tried:\n"
        + "".join(f"  {line}\n" for line in tried)
        + f"What to do: `sweeper data fetch {dataset.name}` where there is a network; {package}"
        f"or `--data-dir FOLDER` with {_listed([file.name for file in wanted])} in it{unpacked or _as_gz(wanted)}."
    )


def locate(dataset: Dataset, *, data_dir: Path | None = None) -> Path | None:
    """The first of `find`'s folders that has all files of `dataset` by name and size; opens no file.

    None if no folder has them. Raises UsageError if `data_dir` does not exist.
    """
    if data_dir is None:
        folders = _known_places(dataset)
    else:
        _check_data_dir(data_dir)
        folders = [data_dir, data_dir / dataset.folder]
    for folder in folders:
        if all(
            any(verified_files.may_be(path, file) for path in verified_files.candidates(folder, file))
            for file in dataset.files
        ):
            return folder
    return None


def fetch(
    dataset: Dataset,
    *,
    data_dir: Path | None = None,
    offline: bool = False,
    notify: Callable[[str], None],
) -> tuple[Path, ...]:
    """Makes all files of `dataset` available and returns their paths, in the order of `dataset.files`.

    Without `data_dir`, files stay where `find` finds them. With it, missing files are added there (from this machine or
    the network), and existing files are checked and never overwritten. Raises SweeperError as `read` does.
    """
    paths: tuple[Path, ...] = ()
    for part in (dataset.training, dataset.test):
        if data_dir is not None:
            missing = [file for file in part if not _paths_in_data_dir(dataset, file, data_dir)]
            if missing:
                fetched = read(dataset, missing, offline=offline, notify=notify)
                # A name as plain as "train" needs the folder that it has in the archive.
                folder = data_dir / dataset.folder if dataset.archive else data_dir
                for file, content in zip(missing, fetched.contents, strict=True):
                    _add(folder, file, content)
        found = read(dataset, part, data_dir=data_dir, offline=offline, notify=notify)
        paths += found.paths
    return paths


def _find_in_data_dir(dataset: Dataset, wanted: Sequence[DataFile], data_dir: Path) -> LocatedFiles | None:
    """The files from `data_dir`; None if one is missing. Raises SweeperError if one is bad."""
    _check_data_dir(data_dir)
    choices = [(_paths_in_data_dir(dataset, file, data_dir), file) for file in wanted]
    present = [(paths[0], file) for paths, file in choices if paths]
    contents = tuple(verified_files.read(path, file) for path, file in present)
    return LocatedFiles(contents, tuple(path for path, _ in present)) if len(present) == len(wanted) else None


def _check_data_dir(data_dir: Path) -> None:
    if not os.path.isdir(data_dir):
        raise UsageError(f"the data folder must exist, got {plain(data_dir)}")


def _paths_in_data_dir(dataset: Dataset, file: DataFile, data_dir: Path) -> list[Path]:
    """The paths of `file` in `data_dir`: directly, then in torchvision's layout."""
    if not str(data_dir).isprintable():
        # Every message about the files in the folder names this path.
        raise UsageError(f"the data folder's path must be printable, got {plain(data_dir)}")
    layouts = dict.fromkeys((data_dir, data_dir / dataset.folder))
    return [path for folder in layouts for path in verified_files.candidates(folder, file)]


def _find_in_known_places(
    dataset: Dataset, wanted: Sequence[DataFile], notify: Callable[[str], None]
) -> tuple[LocatedFiles | None, list[str]]:
    """The files from the first folder that has them all, and why each earlier folder failed."""
    tried: list[str] = []
    for folder in _known_places(dataset):
        found = _read_all(folder, wanted, tried, notify)
        if found is not None:
            return found, tried
    return None, tried


def _known_places(dataset: Dataset) -> list[Path]:
    """The folders of this machine that may have the files, in the order in which they are tried."""
    roots = dict.fromkeys(os.path.abspath(os.path.expanduser(root)) for root in TORCHVISION_ROOTS)
    debian = [Path(dataset.debian_folder)] if dataset.debian_folder else []
    return [cache_folder(dataset), *(Path(root, dataset.folder) for root in roots), *debian]


def _read_all(
    folder: Path, wanted: Sequence[DataFile], tried: list[str], notify: Callable[[str], None]
) -> LocatedFiles | None:
    """The `wanted` files from `folder`; None if one is missing or bad, with the reason added to `tried`."""
    contents, taken = [], []
    for file in wanted:
        paths = verified_files.candidates(folder, file)
        if not paths:
            tried.append(f"{folder}: no {file.name}" if os.path.isdir(folder) else f"{folder}: no such folder")
            return None
        for path in paths:
            try:
                contents.append(verified_files.read(path, file))
                taken.append(path)
                break
            except SweeperError as error:
                tried.append(str(error))
                notify(f"skipped a bad file: {error}")
        else:
            return None
    return LocatedFiles(tuple(contents), tuple(taken))


def _add(data_dir: Path, file: DataFile, content: bytes) -> None:
    """Writes a checked file into the user's own folder."""
    try:
        verified_files.write(data_dir, file.name, content)
    except OSError as error:
        raise SweeperError(f"{file.name} could not be stored: {error.strerror} ({data_dir})") from None


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _as_gz(wanted: Sequence[DataFile]) -> str:
    return "" if any(file.name.endswith(".gz") for file in wanted) else ", plain or as .gz"
