"""The file of --csv: whole or not at all, and in place of nothing but such a table; or stdout."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from sweeper.cli.notes import note
from sweeper.errors import SweeperError, plain
from sweeper.quantities import counted
from sweeper.store.atomic import whole_file


@contextmanager
def csv_file(path: Path, first_column: str) -> Iterator[TextIO | io.TextIOBase]:
    """The file to write to, which takes the place of `path` at the end.

    Raises SweeperError if it cannot be written, or if `path` is a file that does not begin with this column's name:
    it may be an image, or a database.
    """
    if str(path) == "-":
        yield _Stdout()
        return
    try:
        if path.exists() and not path.is_file():  # such as /dev/stdout: a pipe or device cannot be replaced
            with _opened(path) as stream:
                yield stream
        else:
            if path.exists() and not _is_table(path, first_column):
                raise SweeperError(f"{path} exists and is no such table: give another name (--csv)")
            with whole_file(path) as temporary, _opened(temporary) as stream:
                yield stream
                stream.flush()
    except OSError as error:
        raise SweeperError(f"{path} cannot be written: {error.strerror} (--csv)") from error


def note_rows(path: Path, n_rows: int) -> None:
    """Says on stderr how many rows are in the file now, unless they went to stdout."""
    if str(path) != "-":
        note(f"{counted(n_rows, 'row')} in {plain(path)}")


def _is_table(path: Path, first_column: str) -> bool:
    """Whether the file is empty, or begins with the column's name."""
    with path.open("rb") as file:
        start = file.read(len(first_column) + 1)
    return not start or start.decode("latin-1").rstrip("\n") in (first_column, f"{first_column},")


class _Stdout(io.TextIOBase):
    """Writes to stdout. What its encoding lacks, as a file's name that is not UTF-8 may have, is escaped."""

    def write(self, text: str) -> int:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)


def _opened(path: Path) -> TextIO:
    # Names of files that are not UTF-8 are written as they are.
    return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
