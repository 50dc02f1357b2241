"""Locks of files: of a study's, for the process that runs it, and of short changes to a store."""

import fcntl
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sweeper.errors import SweeperError

# How often to try for a study's lock: a process that only asks whether the study is owned holds it for a moment.
TRIES, TRY_SECONDS = 20, 0.05


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the error of a write to a file of the store into a SweeperError that names the file."""
    try:
        yield
    except OSError as error:
        raise SweeperError(f"{path} in the store cannot be written to: {error.strerror}") from error


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Holds the lock of a file; waits for it, or (a study's) raises SweeperError if another process keeps it."""
    while True:
        with writing(path):
            path.touch()
        with open(path, "a+") as file:
            if wait:
                fcntl.flock(file, fcntl.LOCK_EX)
            elif not _try_lock(file):
                file.seek(0)
                raise SweeperError(owned(path.stem, owner_in(file), path.parent.parent))
            # If the file was deleted with its study before we took the lock, the lock keeps nobody out: try again.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield
                return


def owned(study: str, owner: str, root: Path) -> str:
    """A message that this process runs the study, or training by itself, in the store, and what to do."""
    if (root / "trainings" / study).exists():
        return f"{study} is being run by {owner}: wait until it has ended, or end it there"
    return f"{study} is being run by {owner}: `{shlex.join(['sweeper', 'stop', study, '--store', str(root)])}` ends it"


def owner_in(file: IO[str]) -> str:
    """The owner that a lock file names; just after the lock was taken, the file may not name one yet."""
    return file.readline().strip() or "another process"


def _try_lock(file: IO[str]) -> bool:
    """Whether the lock could be taken within a second."""
    for _ in range(TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(TRY_SECONDS)
    return False
