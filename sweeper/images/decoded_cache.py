"""Caches decoded images: arrays on disk, named by a hash of their content, which every later run maps into memory."""

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError
from sweeper.images import checksums
from sweeper.images.cache_folder import cache_root
from sweeper.images.value_range import ValueRange
from sweeper.quantities import counted
from sweeper.store.atomic import whole_folder

# No decoding takes a day: the process that began it was killed.
ABANDONED_SECONDS = 86_400.0
FILES = ("images.npy", "labels.npy", "bad.json")
CONVERSIONS = "conversions.json"


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images uint8 (N, C, H, W) and labels int64 (N,), mapped and read-only; `bad` maps files left out to reasons.

    `conversions` and `value_range` are as ImageSet's.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    bad: Mapping[str, str]
    conversions: tuple[str, ...] = ()
    value_range: ValueRange | None = None


def decoded(key: str, make: Callable[[Path], Mapping[str, str]], notify: Callable[[str], None]) -> Decoded:
    """The arrays stored under this key. If they are missing or not as they were stored, `make` makes them first.

    `make` writes images.npy and labels.npy to a folder, and returns the files it left out with the reasons; it calls
    `store_conversions` if there is anything to tell. The key must depend on everything that determines the arrays.
    `notify` is told why arrays that were stored are made anew. Raises SweeperError if the cache cannot be written.
    """
    folder = _root() / key
    if folder.is_dir():
        try:
            return _read(folder)
        except (OSError, ValueError) as error:
            notify(f"decoding the images again, since their cached copy cannot be used: {error} ({folder})")
    try:
        with whole_folder(folder, keep=lambda: _is_whole(folder)) as temporary:
            _remove_abandoned(folder.parent)
            bad = make(temporary)
            (temporary / "bad.json").write_text(json.dumps(bad))
            checksums.write(temporary, key, [*FILES, *([CONVERSIONS] * (temporary / CONVERSIONS).exists())])
    except OSError as error:
        raise SweeperError(
            f"the decoded images could not be stored: {error.strerror or error} ({folder}); "
            "set SWEEPER_CACHE_DIR to use another folder"
        ) from error
    try:
        return _read(folder)
    except (OSError, ValueError) as error:
        raise SweeperError(
            f"another process deleted or changed the decoded images ({folder}); run the command again"
        ) from error


def store_conversions(folder: Path, conversions: Sequence[str], value_range: ValueRange | None = None) -> None:
    """Stores what was converted while the images were made in this folder."""
    if conversions:  # so that most entries are as they always were
        known = {"conversions": conversions, "value_range": value_range and asdict(value_range)}
        (folder / CONVERSIONS).write_text(json.dumps(known))


def damaged_entries() -> Iterator[tuple[Path, str]]:
    """The cached entries that are not as they were stored, with the reason; reads all of them in full."""
    for folder in sorted(_root().glob("[!.]*")):
        try:
            checksums.verify(folder, folder.name, FILES, whole=True)
        except (OSError, ValueError) as error:
            if folder.exists():  # another process may have removed it meanwhile
                yield folder, str(error)


def new_images(path: Path, shape: Sequence[int]) -> "np.memmap[Any, np.dtype[np.uint8]]":
    """Images uint8 of this shape, mapped from a new file, which has its space on the disk from now on.

    Else a page that finds the disk full, perhaps of other programs' files, would kill the process: a file of zeros
    takes no space, and pages of a mapped file are written too late to raise an error. Raises SweeperError and OSError.
    """
    require_room(shape, path.parent)
    images = np.lib.format.open_memmap(path, "w+", dtype=np.uint8, shape=tuple(shape))
    if hasattr(os, "posix_fallocate"):  # macOS lacks it
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # what file systems say that lack it
                    raise
    return images


def require_room(shape: Sequence[int], folder: Path) -> None:
    """Raises SweeperError if uint8 images of this shape need more space than the folder's disk has free."""
    needed, free = prod(shape), shutil.disk_usage(folder).free
    if needed > free:
        sizes, need = "x".join(map(str, shape[1:])), "needs" if shape[0] == 1 else "need"
        raise SweeperError(
            f"{counted(shape[0], 'image')} of {sizes} {need} {needed / 1e6:,.1f} MB of disk space, got "
            f"{free / 1e6:,.1f} MB ({folder.parent}); make them smaller with --resize, or set SWEEPER_CACHE_DIR to use "
            "another folder"
        )


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob(".*"):
        with suppress(OSError):  # another process may be faster
            if time.time() - folder.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(folder)


def _root() -> Path:
    return cache_root() / "decoded"


def _is_whole(folder: Path) -> bool:
    try:
        _read(folder)
    except (OSError, ValueError):
        return False
    return True


def _read(folder: Path) -> Decoded:
    """The stored arrays. Raises OSError and ValueError if they are not as they were stored."""
    checksums.verify(folder, folder.name, FILES)
    images, labels = (np.lib.format.open_memmap(folder / f"{name}.npy", "r") for name in ("images", "labels"))
    bad = json.loads((folder / "bad.json").read_text())
    if not (folder / CONVERSIONS).exists():
        return Decoded(images, labels, bad)
    known = json.loads((folder / CONVERSIONS).read_text())
    value_range = ValueRange(**known["value_range"]) if known["value_range"] else None
    return Decoded(images, labels, bad, tuple(known["conversions"]), value_range)
