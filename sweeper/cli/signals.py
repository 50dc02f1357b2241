"""Signal handling in commands that must save their work."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeper.runs.stop import StopRequest

# `timeout` and batch systems send a signal to the process and then to its group: they count as one signal.
SAME_SIGNAL_SECONDS = 0.5


def exit_code(reason: str) -> int:
    """The exit code of a command that this signal stopped: 128 plus the signal's number; 0 for any other reason."""
    return 128 + signal.Signals[reason] if reason in signal.Signals.__members__ else 0


@contextmanager
def signals_to(stop: "StopRequest") -> Iterator[None]:
    """Turns the first SIGINT or SIGTERM into a stop after the running epochs; a second ends the process at once.

    If a signal came, all signals are ignored after the block: everything is saved, and the process is about to exit.
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
        # Not print(), because the signal may have interrupted one.
        os.write(2, f"{stop.reason}: recording the running epochs; a second signal stops at once\n".encode())

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if first else handler)
