"""Files and folders that appear whole or not at all, whoever else reads or writes them."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sweeper.process.ending import unfinished

# The end of an unfinished file's or folder's name, which begins with a dot.
SUFFIX = ".tmp"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path, to which the block writes the file; it then takes the place of `path`.

    The file is flushed to disk first. Nothing is left behind if the block raises. A killed process leaves a file whose
    name ends in SUFFIX. Raises OSError.
    """
    # Not tempfile: its files are private to the user, and a folder of data or a store may be shared.
    temporary = _temporary(path)
    unfinished.add(temporary)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
        unfinished.discard(temporary)


@contextmanager
def whole_folder(path: Path, *, keep: Callable[[], bool] = lambda: False) -> Iterator[Path]:
    """Gives a temporary folder, which the block fills; it then takes the place of `path`.

    A folder that stands there already is deleted, unless `keep` says that it is whole: then another process was faster.
    Nothing is left behind if the block raises. A killed process leaves a folder whose name ends in SUFFIX. Raises
    OSError.
    """
    temporary = _temporary(path)
    unfinished.add(temporary)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        try:
            temporary.rename(path)
        except OSError:
            if not keep():
                shutil.rmtree(path, ignore_errors=True)
                temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        unfinished.discard(temporary)


def check_writable(path: Path) -> None:
    """Raises OSError if `whole_file` or `whole_folder` could not begin `path`: for long work, before it starts."""
    temporary = _temporary(path)
    unfinished.add(temporary)
    try:
        temporary.touch()
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        unfinished.discard(temporary)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{SUFFIX}")
