"""Folders for the files of actors on a node; those of killed actors are deleted by the next one."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

LOCK, PREFIX = "lock", "actor-"

_held: list[IO[str]] = []  # the locks of this process's folders, until it ends


def make() -> Path:
    """A new folder of this process, which is deleted by `delete` or, after a kill, by the next process on this node.

    Raises OSError if it cannot be made, or if the place for such folders belongs to somebody else.
    """
    place = Path(tempfile.gettempdir()) / f"sweeper-ray-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if found.st_uid != os.getuid() or place.is_symlink() or found.st_mode & 0o022:
        raise PermissionError(f"{place} must belong to this user alone")
    with open(place / LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the new folder is locked as well
        for folder in place.iterdir():
            if folder.is_dir() and _is_left(folder):
                shutil.rmtree(folder, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        own = open(folder / LOCK, "w")  # noqa: SIM115 (held until the process ends)
        fcntl.flock(own, fcntl.LOCK_EX)
        _held.append(own)
    return folder


def delete(folder: Path) -> None:
    """Deletes a folder of `make`, as far as that is possible."""
    assert folder.name.startswith(PREFIX), folder  # and not the current folder of an actor that has made none yet
    shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    """Whether the process that made the folder has ended."""
    try:
        with open(folder / LOCK, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
