"""Where the bytes of a data set come from: places on this machine in a fixed order, then the network."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.data.images.cache_folder import cache_root
from sweeper.data.known import download, verified_files
from sweeper.data.known.catalog import DataFile, Dataset
from sweeper.errors import SweeperError, UsageError, plain

# torchvision puts its files into a folder under ROOT and has no default for ROOT. These are what its users
# write: "data" (PyTorch's tutorials), "../data" (its examples), "." and "~/data".
TORCHVISION_ROOTS = ("data", "../data", ".", "~/data")


@dataclass(frozen=True)
class Found:
    """The checked contents of the files asked for, in that order, and where each was."""

    contents: tuple[bytes, ...]
    paths: tuple[Path, ...]

    @property
    def folder(self) -> Path:
        """The folder the first file was in: that of all of them, save in a data folder with both layouts."""
        return self.paths[0].parent


def cache_folder(dataset: Dataset) -> Path:
    """Where downloads of `dataset` go."""
    return cache_root() / (dataset.cached_as or dataset.name)


def find(
    dataset: Dataset,
    wanted: Sequence[DataFile],
    *,
    data_dir: Path | None = None,
    notify: Callable[[str], None],
) -> Found | None:
    """The `wanted` files from the first place on this machine that has them all; None if there is none.

    With `data_dir` that is the only place, and a bad file there is a SweeperError. Elsewhere a bad file is
    told through `notify` and the next place is taken. No other file is opened, and nothing is downloaded.
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
) -> Found:
    """The `wanted` files from where `find` finds them, else downloaded into the cache (unless `offline`).

    A download brings the data set's other files along if it can. SweeperError with every place tried if the
    files cannot be had. With `data_dir` nothing is downloaded and no other place is tried.
    """
    if data_dir is not None:
        found = _find_in_data_dir(dataset, wanted, data_dir)
        if found is None:
            absent = [file.name for file in wanted if not _paths_in_data_dir(dataset, file, data_dir)]
            its_folder = f" or its {dataset.folder}" if dataset.folder else ""
            raise SweeperError(
                f"{_listed(absent)} must be in the data folder{its_folder}{_as_gz(wanted)}, got "
                f"{'neither' if its_folder else 'no such file'} ({data_dir}). What to do: `sweeper data fetch "
                f"{dataset.name} --data-dir {data_dir}` puts what is missing there"
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
    """The folder that has all files of `dataset` by name and size, as `find` would take it; no file is opened.

    None if there is none; UsageError if there is no `data_dir`.
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
    """Make all files of `dataset` available and return where they are, in the order of `dataset.files`.

    Without `data_dir` they may stay where `find` finds them. With it, what is missing there is added (from
    this machine or the network); what is there is checked and never overwritten. SweeperError as in `read`.
    """
    paths: tuple[Path, ...] = ()
    for part in (dataset.training, dataset.test):
        if data_dir is not None:
            missing = [file for file in part if not _paths_in_data_dir(dataset, file, data_dir)]
            if missing:
                fetched = read(dataset, missing, offline=offline, notify=notify)
                # Names as plain as "train" stand in the folder that the archive has them in.
                folder = data_dir / dataset.folder if dataset.archive else data_dir
                for file, content in zip(missing, fetched.contents, strict=True):
                    _add(folder, file, content)
        found = read(dataset, part, data_dir=data_dir, offline=offline, notify=notify)
        paths += found.paths
    return paths


def _find_in_data_dir(dataset: Dataset, wanted: Sequence[DataFile], data_dir: Path) -> Found | None:
    """The files from `data_dir`; None if one is missing, but a SweeperError if one is bad."""
    _check_data_dir(data_dir)
    choices = [(_paths_in_data_dir(dataset, file, data_dir), file) for file in wanted]
    present = [(paths[0], file) for paths, file in choices if paths]
    contents = tuple(verified_files.read(path, file) for path, file in present)
    return Found(contents, tuple(path for path, _ in present)) if len(present) == len(wanted) else None


def _check_data_dir(data_dir: Path) -> None:
    if not os.path.isdir(data_dir):
        raise UsageError(f"the data folder must exist, got {plain(str(data_dir))}")


def _paths_in_data_dir(dataset: Dataset, file: DataFile, data_dir: Path) -> list[Path]:
    """The paths of `file` in `data_dir`: directly, then in torchvision's layout."""
    if not str(data_dir).isprintable():
        # Every message about the files in it names it.
        raise UsageError(f"the data folder's path must be printable, got {plain(str(data_dir))}")
    layouts = dict.fromkeys((data_dir, data_dir / dataset.folder))
    return [path for folder in layouts for path in verified_files.candidates(folder, file)]


def _find_in_known_places(
    dataset: Dataset, wanted: Sequence[DataFile], notify: Callable[[str], None]
) -> tuple[Found | None, list[str]]:
    """The files from the first folder that has them all, and why each folder before it did not serve."""
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
) -> Found | None:
    """The `wanted` files from `folder`; None, with the reason added to `tried`, if one is missing or bad."""
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
    return Found(tuple(contents), tuple(taken))


def _add(data_dir: Path, file: DataFile, content: bytes) -> None:
    """Write a checked file into the user's own folder."""
    try:
        verified_files.write(data_dir, file.name, content)
    except OSError as error:
        raise SweeperError(f"{file.name} must be stored, got: {error.strerror} ({data_dir})") from None


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _as_gz(wanted: Sequence[DataFile]) -> str:
    return "" if any(file.name.endswith(".gz") for file in wanted) else ", plain or as .gz"
