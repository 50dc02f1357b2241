"""Refuses a store that holds links: they lead a command to files outside it."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from sweeper.errors import SweeperError, plain


def check_all(root: Path) -> None:
    """Raises SweeperError unless everything below `root` is a folder or a file."""
    _check(_below(root), root)


def check_some(root: Path, folders: Iterable[Path]) -> None:
    """As `check_all`, for what lies directly in `root` and in the folders: a fast check for commands that only read."""
    for folder in (root, *folders):
        _check(_in(folder), root)


def _check(entries: Iterable[os.DirEntry[str]], root: Path) -> None:
    for entry in entries:
        # sweeper makes no links, and whoever follows one reads, writes or deletes elsewhere. A pipe would never answer.
        kind = _foreign_kind(entry)
        if kind:
            raise SweeperError(
                f"a store must hold only its own files and folders, but {plain(entry.path)} is {kind}: remove it, or "
                f"put the real one in its place (the store itself may be a link: {plain(root)})"
            )


def _foreign_kind(entry: os.DirEntry[str]) -> str:
    """What the entry is, if it is neither a file nor a folder; "" also for one that was deleted meanwhile."""
    if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False):
        return ""
    try:
        # Where the folder does not tell the types of its entries, both are also false for a deleted file.
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            return f"a link to {plain(os.readlink(entry.path))}"
    except FileNotFoundError:
        return ""
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "neither a file nor a folder"


def _below(folder: str | os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
    for entry in _in(folder):
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry)


def _in(folder: str | os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # deleted meanwhile, or not for us to enter
        return
