"""What happens in a sweep, told to whoever shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeper.training.loop import EpochMetrics


@dataclass(frozen=True)
class Leader:
    """The best trial so far."""

    name: str
    value: float


@dataclass(frozen=True)
class SweepStarted:
    """`done` of `total` trials (or other `what`) are finished already, and `best` leads them.

    `maximize` is None where the trials do not compete.
    """

    study: str
    done: int
    total: int
    n_workers: int
    maximize: bool | None
    best: Leader | None
    what: str = "trials"


@dataclass(frozen=True)
class TrialStarted:
    """A trial is begun, or another of its trainings, which then is named too."""

    number: int
    name: str
    from_epoch: int  # epochs recorded before: above 0 where a trial is gone on with
    epochs: int  # in all


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of a trial, or of one of its trainings, which then is named too."""

    number: int
    name: str
    metrics: "EpochMetrics"


@dataclass(frozen=True)
class TrainingEnded:
    """One of a trial's several trainings is complete; `value` is its last epoch's score."""

    number: int
    name: str
    value: float


@dataclass(frozen=True)
class TrialEnded:
    """`value` is the last epoch's score, the mean where there are several trainings.

    One that is not `feasible` cannot lead. Duplicates end too, uncounted.
    """

    number: int
    name: str
    state: str
    value: float | None
    epochs: int
    reason: str = ""
    feasible: bool = True


@dataclass(frozen=True)
class TrialInterrupted:
    """The trial stays recorded as running; the same command goes on with it."""

    number: int
    name: str


@dataclass(frozen=True)
class Note:
    text: str


Event = SweepStarted | TrialStarted | EpochEnded | TrainingEnded | TrialEnded | TrialInterrupted | Note
Listener = Callable[[Event], None]
