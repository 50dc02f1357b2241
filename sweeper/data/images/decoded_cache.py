"""Caches decoded images: arrays on disk, named by a hash of their content, which every later run maps into memory."""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.images.cache_folder import cache_root
from sweeper.errors import SweeperError
from sweeper.store.atomic import whole_folder

# No decoding takes a day: the process that began it was killed.
ABANDONED_SECONDS = 86_400.0


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images uint8 (N, C, H, W) and labels int64 (N,), mapped and read-only; `bad` maps files left out to reasons."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    bad: Mapping[str, str]


def decoded(key: str, make: Callable[[Path], Mapping[str, str]]) -> Decoded:
    """The arrays stored under this key. If they are missing, `make` makes them first.

    `make` writes images.npy and labels.npy to a folder, and returns the files it left out with the reasons. The key
    must depend on everything that determines the arrays. Raises SweeperError if the cache cannot be written.
    """
    folder = cache_root() / "decoded" / key
    found = _read(folder)
    if found is not None:
        return found
    try:
        with whole_folder(folder, keep=lambda: _read(folder) is not None) as temporary:
            _remove_abandoned(folder.parent)
            bad = make(temporary)
            (temporary / "bad.json").write_text(json.dumps(bad))
    except OSError as error:
        raise SweeperError(
            f"the decoded images could not be stored: {error.strerror or error} ({folder}); "
            "set SWEEPER_CACHE_DIR to use another folder"
        ) from error
    found = _read(folder)
    if found is None:
        raise SweeperError(f"another process deleted the decoded images ({folder}); run the command again")
    return found


def require_room(shape: Sequence[int], folder: Path) -> None:
    """Raises SweeperError if uint8 images of this shape need more space than the folder's disk has free.

    Call it before the images are made: a file of zeros takes no space, and the pages of a mapped file are written too
    late to raise an error.
    """
    needed, free = prod(shape), shutil.disk_usage(folder).free
    if needed > free:
        sizes = "x".join(map(str, shape[1:]))
        raise SweeperError(
            f"{shape[0]:,} images of {sizes} need {needed / 1e9:,.1f} GB of disk space, got {free / 1e9:,.1f} GB "
            f"({folder.parent}); make them smaller with --resize, or set SWEEPER_CACHE_DIR to use another folder"
        )


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob(".*"):
        with suppress(OSError):  # another process may be faster
            if time.time() - folder.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(folder)


def _read(folder: Path) -> Decoded | None:
    try:
        images, labels = (np.lib.format.open_memmap(folder / f"{name}.npy", "r") for name in ("images", "labels"))
        return Decoded(images, labels, json.loads((folder / "bad.json").read_text()))
    except (OSError, ValueError):
        return None
