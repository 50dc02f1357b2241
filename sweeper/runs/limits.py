"""When a sweep ends: what it is limited by, what asks it to stop, and how long it then waits for MLflow."""

import signal
from dataclasses import dataclass

from sweeper.store.layout import Store

# For MLflow, when it does not take what it is told and a signal has ended the command.
HURRIED_SECONDS = 2.0


@dataclass
class StopRequest:
    """Set from a signal handler, or by `sweeper stop`; the sweep ends with the epochs now running.

    `saving` tells the handler that there is something to save: before, a signal may end the process at once.
    `at_once` tells that the user has asked twice, and waits for nothing any more.
    """

    reason: str = ""
    saving: bool = False
    at_once: bool = False

    def heed(self, store: Store, study: str) -> None:
        """Takes note of a `sweeper stop` of the study."""
        if store.stop_requested(study):
            self.reason = self.reason or "sweeper stop"


@dataclass(frozen=True)
class Limits:
    """When the sweep is over, and which trials may win."""

    trials: int
    deadline: float | None = None  # on time.monotonic()
    target: float | None = None
    max_parameters: int | None = None
    keep: int = 5


def closing_patience(stopped: str) -> float | None:
    """For how many seconds a command that was stopped so waits for MLflow; None is the usual time.

    Who sent a signal may not wait long, and what is left is on disk.
    """
    return HURRIED_SECONDS if stopped in signal.Signals.__members__ else None
