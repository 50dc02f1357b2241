"""Standard streams that may vanish: a closed descriptor, a lost terminal or a lost reader ends no command."""

import codecs
import errno
import io
import os
import re
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

STDOUT, STDERR = 1, 2
# The errors of a file on a full disk.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# The colours and cursor movements of a terminal (CSI and OSC sequences of ECMA-48).
TERMINAL_SEQUENCES = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\))")
# The file that gets the rest of a vanished stream; None drops it.
_rest: Path | None = None
# The streams that have vanished. A library may have composed a line for the terminal just before it was lost.
_vanished: set[int] = set()


class NoRoomForResults(OSError):
    """Stdout is a file on a full disk. Its results must not be lost silently; progress on stderr may be."""


def secure(shown: Callable[[str], str] = str) -> None:
    """Makes stdin, stdout and stderr safe to use, whether or not they are open, and whenever they vanish.

    Every text that is written to sys.stdout and sys.stderr passes `shown`: results, progress, tracebacks, libraries'
    warnings. Each call of `write` passes by itself, so a secret in parts is not seen; what `write_line`, the streams'
    `buffer` and a library in C write does not pass. Python is asked for tracebacks without colours, which would be
    escaped.

    Without this, the first file that the process opens, such as a database, would take the number of a closed stream,
    and get its output.
    """
    for number in (0, STDOUT, STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number: this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 (like the others, it is never closed)
    os.environ.setdefault("PYTHON_COLORS", "0")
    sys.stdout, sys.stderr = _text(STDOUT, sys.stdout, shown), _text(STDERR, sys.stderr, shown)


def as_is(stream: TextIO) -> Any:
    """The stream, for text that has passed `shown` already and holds commands to the terminal beside it."""
    return Written(stream, stream.write_as_is) if isinstance(stream, _Text) else stream


class Written:
    """A stream whose text is written by a function."""

    def __init__(self, stream: TextIO, write: Callable[[str], int]) -> None:
        self._stream, self.write = stream, write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def keep_rest_in(path: Path) -> None:
    """Appends to this file what is written to a stream after it has vanished."""
    global _rest
    _rest = path


def write_line(text: str) -> None:
    """Writes a line to stderr, past all buffers: a signal handler may have interrupted a print. Never raises."""
    _write(STDERR, f"{text}\n".encode(errors="backslashreplace"))


class _Vanishing(io.RawIOBase):
    """One of the streams; what is written after it has vanished goes to the file of `keep_rest_in`."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def writable(self) -> bool:
        return True

    def write(self, data: "io.ReadableBuffer") -> int:  # type: ignore[name-defined]
        return _write(self._number, data)


class _Text(io.TextIOWrapper):
    """A stream's text, which passes `shown` on its way."""

    shown: Callable[[str], str] = staticmethod(str)

    def write(self, text: str) -> int:
        super().write(self.shown(text))
        return len(text)

    def write_as_is(self, text: str) -> int:
        return super().write(text)


def _text(number: int, stream: TextIO | None, shown: Callable[[str], str]) -> _Text:
    """The stream as text, with the encoding and buffering of the one that Python has opened; None if it was closed."""
    raw = io.BufferedWriter(_Vanishing(number))
    if not isinstance(stream, io.TextIOWrapper):
        text = _Text(raw, "utf-8", "backslashreplace", line_buffering=True)
    else:
        # Python's own stderr is not buffered; whole lines do as well, and stay whole beside those of other processes.
        by_line = stream.line_buffering or stream.write_through
        # Click would write UTF-8 past a stream that it takes for misconfigured.
        is_ascii = codecs.lookup(stream.encoding).name == "ascii"
        text = _Text(raw, "utf-8" if is_ascii else stream.encoding, stream.errors, line_buffering=by_line)
    text.shown = shown
    return text


def _write(number: int, data: bytes) -> int:
    while True:
        try:
            if number in _vanished:
                return _write_to_file(number, data)
            return os.write(number, data)
        except BlockingIOError:  # another program has made the terminal or pipe non-blocking
            select.select([], [number], [])
        except OSError as error:
            if number == STDOUT and error.errno in (errno.EPIPE, *NO_ROOM):
                _redirect(number, Path(os.devnull))  # the buffers are written once more when the process exits
                if error.errno == errno.EPIPE:  # head, or a pager: nobody reads the rest
                    raise
                raise NoRoomForResults(error.errno, error.strerror) from error
            _vanished.add(number)
            with suppress(OSError):
                try:
                    _redirect(number, _rest or Path(os.devnull))
                except OSError:
                    _redirect(number, Path(os.devnull))
                _write_to_file(number, data)
            return len(data)


def _write_to_file(number: int, data: bytes) -> int:
    os.write(number, TERMINAL_SEQUENCES.sub(b"", data))
    return len(data)


def _redirect(number: int, path: Path) -> None:
    """Puts the file, which is appended to, in the place of a stream."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(file, number)
    if file != number:
        os.close(file)
