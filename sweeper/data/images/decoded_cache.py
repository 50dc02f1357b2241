"""Images that were decoded once: arrays in the cache, named by their content, which every later run maps."""

import json
import os
import secrets
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

# Seconds. Nothing takes a day to decode: whoever began to was killed.
ABANDONED = 86_400.0


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images uint8 (N, C, H, W) and labels int64 (N,), mapped and read-only, and by name what was left out, and why."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    bad: Mapping[str, str]


def decoded(key: str, make: Callable[[Path], Mapping[str, str]]) -> Decoded:
    """The arrays of this key, made first where they are not there yet.

    `make` writes images.npy and labels.npy to a folder, and gives what it left out. The key must hold all that decides
    the arrays. Raises SweeperError where the cache cannot be written.
    """
    folder = cache_root() / "decoded" / key
    found = _read(folder)
    if found is not None:
        return found
    temporary = folder.with_name(f".{key}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        _remove_abandoned(folder.parent)
        bad = make(temporary)
        (temporary / "bad.json").write_text(json.dumps(bad))
        try:
            temporary.rename(folder)
        except OSError:
            if _read(folder) is None:  # another process may have been faster
                shutil.rmtree(folder, ignore_errors=True)  # it holds less than all
                temporary.rename(folder)
    except OSError as error:
        raise SweeperError(
            f"the decoded images must be stored, got: {error.strerror or error} ({folder}); "
            "SWEEPER_CACHE_DIR names another folder"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    found = _read(folder)
    if found is None:
        raise SweeperError(f"the decoded images must be readable, got files that another process deleted ({folder})")
    return found


def room_for(shape: Sequence[int], folder: Path) -> None:
    """Raises SweeperError where images uint8 of this shape are more than the folder has room for.

    Asked before they are made: a file of zeros takes no room, and the pages of a mapped one are written too late for an
    error.
    """
    needed, free = prod(shape), shutil.disk_usage(folder).free
    if needed > free:
        sizes = "x".join(map(str, shape[1:]))
        raise SweeperError(
            f"{shape[0]:,} images of {sizes} must have room, got {free / 1e9:,.1f} GB for {needed / 1e9:,.1f} GB "
            f"({folder.parent}); --resize makes them smaller, SWEEPER_CACHE_DIR names another folder"
        )


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob(".*"):
        with suppress(OSError):  # another process may be faster
            if time.time() - folder.stat().st_mtime > ABANDONED:
                shutil.rmtree(folder)


def _read(folder: Path) -> Decoded | None:
    try:
        images, labels = (np.lib.format.open_memmap(folder / f"{name}.npy", "r") for name in ("images", "labels"))
        return Decoded(images, labels, json.loads((folder / "bad.json").read_text()))
    except (OSError, ValueError):
        return None
