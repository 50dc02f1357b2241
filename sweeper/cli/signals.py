"""Signal handling in commands that must save their work."""

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

ADVICE = "; the same command goes on from here"


@contextmanager
def signals_to(stop: "StopRequest") -> Iterator[None]:
    """Turns the first signal into a stop after the running epochs; a second stops at once, a third wherever it is.

    Before there is something to save, the first signal ends the command after its present step, and the second
    wherever it is. If a signal came, all signals are ignored after the block: everything is saved, and the process is
    about to exit.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        asked = stop.receive(Signals(number).name)
        if asked == "end":
            end_now(number, ADVICE)
        elif asked == "stop" and stop.saving:
            write_line(f"{stop.reason}: recording the running epochs; a second signal stops at once")

    try:
        with signals.handled(handle, lambda: stop.saving and not stop.at_once, ADVICE):
            yield
    finally:
        if stop.first_signal:
            signals.ignore()
