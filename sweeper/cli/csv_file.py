"""The file of --csv: whole or not at all, or stdout."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from sweeper.errors import SweeperError
from sweeper.store.atomic import whole_file


@contextmanager
def csv_file(path: Path) -> Iterator[TextIO]:
    """The file to write to, which takes the place of `path` at the end. Raises SweeperError if it cannot be written."""
    if str(path) == "-":
        yield sys.stdout
        return
    try:
        if path.exists() and not path.is_file():  # such as /dev/stdout: a pipe or device cannot be replaced
            with _opened(path) as stream:
                yield stream
        else:
            with whole_file(path) as temporary, _opened(temporary) as stream:
                yield stream
                stream.flush()
    except OSError as error:
        raise SweeperError(f"{path} cannot be written: {error.strerror} (--csv)") from error


def _opened(path: Path) -> TextIO:
    # Names of files that are not UTF-8 are written as they are.
    return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
