"""When a sweep ends: its limits, requests to stop it, and how long it then waits for MLflow."""

from dataclasses import dataclass

from sweeper.process.ending import exit_code
from sweeper.store.layout import Store
from sweeper.tracking.patience import HURRIED, Patience


@dataclass
class StopRequest:
    """A request to stop, from a signal handler or `sweeper stop`; the sweep ends after the epochs now running.

    `saving` tells the handler that the command saves its work and then ends by itself; until then, a signal may end the
    process at once. `at_once` means that the user has asked twice, and that the command must not wait for anything.
    """

    reason: str = ""
    saving: bool = False
    at_once: bool = False

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
