"""When a sweep ends: its limits, requests to stop it, and how long it then waits for MLflow."""

import time
from dataclasses import dataclass
from typing import Literal

from sweeper.process.ending import exit_code
from sweeper.store.layout import Store
from sweeper.tracking.patience import HURRIED, Patience

# One press of a key or button may arrive as two signals, and `timeout` and batch systems send theirs to the process and
# then to its group: that counts as one.
SAME_SIGNAL_SECONDS = 0.5


@dataclass
class StopRequest:
    """A request to stop, from a signal handler or `sweeper stop`; the sweep ends after the epochs now running.

    `saving` tells the handler that the command saves its work and then ends by itself; until then, a signal may end the
    process at once. `at_once` means that the user has asked twice, and that the command must not wait for anything.
    """

    reason: str = ""
    saving: bool = False
    at_once: bool = False
    first_signal: float = 0.0  # when it came, by the monotonic clock; 0 without one

    def receive(self, signal: str) -> Literal["", "stop", "stop at once", "end"]:
        """Notes a signal and returns what it asks for; "" for a repeat within SAME_SIGNAL_SECONDS.

        The first asks to stop, the second to stop at once, the third to end the process immediately; with nothing to
        save, the second ends it already.
        """
        if self.first_signal and time.monotonic() - self.first_signal < SAME_SIGNAL_SECONDS:
            return ""
        if self.at_once or (self.first_signal and not self.saving):
            return "end"
        self.at_once = bool(self.first_signal)
        self.first_signal = time.monotonic()
        self.reason = signal
        return "stop at once" if self.at_once else "stop"

    def check(self) -> None:
        """Ends the command here if a signal has come: for moments between two steps. Raises SystemExit."""
        if code := exit_code(self.reason):
            self.saving = True
            raise SystemExit(code)

    def poll(self, store: Store, study: str) -> None:
        """Sets the reason if `sweeper stop` was called for the study. Raises SystemExit if the user has asked twice."""
        if self.at_once:
            self.check()
        if store.stop_requested(study):
            self.reason = self.reason or "sweeper stop"


def closing_patience(stopped: str) -> Patience | None:
    """How long a command that stopped for this reason waits for MLflow; None means the default.

    The sender of a signal may not wait long, and undelivered writes are on disk.
    """
    return HURRIED if exit_code(stopped) else None
