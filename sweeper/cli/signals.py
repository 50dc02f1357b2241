"""Signal handling in commands that must save their work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from signal import Signals
from types import FrameType
from typing import TYPE_CHECKING

from sweeper.process import signals
from sweeper.process.ending import end_now
from sweeper.process.streams import write_line

if TYPE_CHECKING:
    from sweeper.runs.stop import StopRequest

# `timeout` and batch systems send a signal to the process and then to its group: they count as one signal.
SAME_SIGNAL_SECONDS = 0.5
ADVICE = "; the same command goes on from here"


@contextmanager
def signals_to(stop: "StopRequest") -> Iterator[None]:
    """Turns the first signal into a stop after the running epochs; a second stops at once, a third wherever it is.

    Before there is something to save, the first signal ends the command after its present step, and the second
    wherever it is. If a signal came, all signals are ignored after the block: everything is saved, and the process is
    about to exit.
    """
    first = 0.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if first and time.monotonic() - first < SAME_SIGNAL_SECONDS:
            return
        if stop.at_once or (first and not stop.saving):
            end_now(number, ADVICE)
        stop.at_once = bool(first)
        first = time.monotonic()
        stop.reason = Signals(number).name
        if stop.saving and not stop.at_once:
            write_line(f"{stop.reason}: recording the running epochs; a second signal stops at once")

    try:
        with signals.handled(handle, lambda: stop.saving and not stop.at_once, ADVICE):
            yield
    finally:
        if first:
            signals.ignore()
