"""Signals that end a command: no handler raises, because the exception would come out of any library's code."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread, Timer
from types import FrameType

from sweeper.process.ending import end_now

# Ctrl-C, `kill` and batch systems, a lost terminal, and Slurm's warning before a job's end.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
# How long a signal may have no effect: Python's handlers wait for the end of a call into a library's C code, and a
# command that has nothing to save for the end of its present step.
PATIENCE_SECONDS = 3.0

Handler = Callable[[int, FrameType | None], None]


@dataclass
class _Obeyed:
    """What a signal does in the present part of the command.

    `by_itself` says whether the command ends by itself, however long that takes; `advice` ends the line of a command
    that does not.
    """

    by_itself: Callable[[], bool] = lambda: False
    advice: str = ""


_now = _Obeyed()


def install() -> None:
    """From now on, a signal ends the process with one line on stderr and exit code 128 plus its number."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    Thread(target=_guard, args=(reader,), name="signals", daemon=True).start()
    for number in _not_ignored():
        signal.signal(number, lambda number, frame: end_now(number))


@contextmanager
def handled(handler: Handler, by_itself: Callable[[], bool], advice: str) -> Iterator[None]:
    """Gives signals another handler, which must not raise.

    While `by_itself` is false, a signal ends the process within PATIENCE_SECONDS, and `advice` ends its line.
    """
    global _now
    before = _now, {number: signal.signal(number, handler) for number in _not_ignored()}
    _now = _Obeyed(by_itself, advice)
    try:
        yield
    finally:
        _now, handlers = before
        for number, former in handlers.items():
            signal.signal(number, former)


def ignore() -> None:
    """From now on, signals do nothing: the process is about to exit, and everything is saved."""
    global _now
    _now = _Obeyed(by_itself=lambda: True)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _not_ignored() -> list[signal.Signals]:
    """All signals, except SIGHUP in a process that nohup has started: it is to outlive the terminal."""
    return [n for n in SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]


def _guard(reader: int) -> None:
    """Ends the process if a signal has no effect in time; `reader` gives a byte for each signal, when it arrives."""
    while True:
        for number in os.read(reader, 64):
            if number in SIGNALS:
                timer = Timer(PATIENCE_SECONDS, _end_unless_obeyed, (number,))
                timer.daemon = True
                timer.start()


def _end_unless_obeyed(number: int) -> None:
    if not _now.by_itself():
        end_now(number, _now.advice)
