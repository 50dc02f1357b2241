"""Walks folders of images; opens no file."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from sweeper.errors import SweeperError, plain
from sweeper.folders.names import is_hidden, is_image, may_be_image

# Ways to one folder, by links: each folder with two links to the next doubles them.
MOST_WAYS = 100


def folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted, without hidden ones."""
    return sorted(entry.name for entry in entries(folder) if _is_dir(entry) and not is_hidden(entry.name))


def files(folder: Path) -> list[str]:
    """The names of the files directly in a folder, sorted, without hidden ones."""
    return sorted(entry.name for entry in entries(folder) if not _is_dir(entry) and not is_hidden(entry.name))


def files_below(folder: Path) -> Iterator[Path]:
    """The files in a folder and below, sorted within each folder; not those that by their names are no images.

    Links to folders are followed, but for one that leads back to a folder above it: that is given like a file. Raises
    SweeperError if a folder cannot be read, or if links lead to it in very many ways.
    """
    outer = {os.path.realpath(place) for place in (folder, *folder.absolute().parents)}
    above: dict[str, set[str]] = {}
    n_ways: Counter[str] = Counter()
    for place, below, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        real = os.path.realpath(place)
        n_ways[real] += 1
        if n_ways[real] > MOST_WAYS:
            raise SweeperError(
                f"a folder must be linked to at most {MOST_WAYS} times, got more for {plain(real)} "
                f"({plain(folder)}); delete links to folders"
            )
        here = above.pop(place, outer) | {real}
        inner = sorted(name for name in below if not is_hidden(name))
        loops = [name for name in inner if os.path.realpath(os.path.join(place, name)) in here]
        below[:] = [name for name in inner if name not in loops]
        above |= {os.path.join(place, name): here for name in below}
        yield from (Path(place, name) for name in sorted(loops + list(filter(may_be_image, names))))


def n_images_in(folder: Path) -> int:
    """The number of images, by their names, directly in the folder."""
    return sum(is_image(entry.name) for entry in entries(folder))


def holds_images(folder: Path) -> bool:
    """Whether there is an image directly in the folder, by its name."""
    return any(is_image(entry.name) for entry in entries(folder))


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is directly in the folder. Raises SweeperError if it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        _unreadable(error)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _unreadable(error: OSError) -> NoReturn:
    raise SweeperError(f"the folder must be readable, got: {error.strerror} ({plain(error.filename)})") from error
