"""What a signal means to a command that has something to save."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeper.runs.limits import StopRequest

# `timeout` and batch systems send a signal to the process and then to its group: that is one, not two.
SAME_SIGNAL_SECONDS = 0.5


def exit_code(reason: str) -> int:
    """What a command ends with that was stopped for this reason: 128 and the signal's number, else 0."""
    return 128 + signal.Signals[reason] if reason in signal.Signals.__members__ else 0


@contextmanager
def signals_to(stop: "StopRequest") -> Iterator[None]:
    """The first SIGINT or SIGTERM lets the running epochs end; a second ends the process where it is.

    Behind the block, where one came, no signal means anything: all is saved, and the process is on its way out.
    """
    first = 0.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if first and time.monotonic() - first < SAME_SIGNAL_SECONDS:
            return
        stop.at_once = bool(first)
        first = time.monotonic()
        stop.reason = signal.Signals(number).name
        if stop.at_once or not stop.saving:
            raise SystemExit(128 + number)
        # Not print: the signal may have come in the middle of one.
        os.write(2, f"{stop.reason}: recording the running epochs; once more stops at once\n".encode())

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if first else handler)
