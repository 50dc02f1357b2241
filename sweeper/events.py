"""The events of a sweep, for a listener that shows its progress."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TYPE_CHECKING, TypeVar

from sweeper.quantities import counted

if TYPE_CHECKING:
    from sweeper.training.epoch_metrics import EpochMetrics


class State(StrEnum):
    """The state of a trial, or of a training's run in MLflow.

    Only a trial can be waiting (enqueued), duplicate (given another trial's result; not counted), or a warm start (a
    score of another study, for the sampler only; neither ranked nor counted). The trial of an
    interrupted run stays RUNNING in the storage; `queries.as_shown` gives it INTERRUPTED for display. The command that
    resumes the study continues it.
    """

    COMPLETE = auto()
    PRUNED = auto()
    FAILED = auto()
    RUNNING = auto()
    WAITING = auto()
    DUPLICATE = auto()
    WARM_START = auto()
    INTERRUPTED = auto()


# The states in which a trial has ended by itself: it is not trained any further.
ENDED = (State.COMPLETE, State.PRUNED, State.FAILED)
# The states of trials that were not trained.
UNTRAINED = (State.DUPLICATE, State.WARM_START)


def outcome(state: State, *, feasible: bool) -> str:
    """The state in words for people: no pruner has chosen to end an infeasible trial, so it is not called pruned."""
    return "infeasible" if state == State.PRUNED and not feasible else state.replace("_", " ")


def done_of(done: int, total: int, noun: str = "") -> str:
    """How many are done of how many; the last command may have asked for fewer than were done before it."""
    if done > total:
        return f"{counted(done, noun) if noun else f'{done:,}'} ({total:,} asked for)"
    return f"{done:,} of {counted(total, noun) if noun else f'{total:,}'}"


@dataclass(frozen=True)
class Leader:
    """The best trial so far."""

    name: str
    value: float


@dataclass(frozen=True)
class SweepStarted:
    """A sweep has started: `done` of its `total` trials are already finished, `best` is the best.

    `noun` is what they are, in the singular, if they are no trials.

    `metric` is the objective that the values of trials are in. `maximize` is None if the trials do not compete.
    `deadline` is when the sweep stops at the latest, on the monotonic clock; None without a time limit.
    """

    study: str
    done: int
    total: int
    n_workers: int
    maximize: bool | None
    best: Leader | None
    noun: str = "trial"
    metric: str = "accuracy"
    deadline: float | None = None


@dataclass(frozen=True)
class TrialStarted:
    """A trial has started, or one of its several trainings; `name` then includes the training.

    `place` names the machine; it is empty for this one.
    """

    number: int
    name: str
    from_epoch: int  # epochs recorded before: above 0 if the trial is resumed
    epochs: int  # in total
    place: str = ""


@dataclass(frozen=True)
class BatchesTrained:
    """Batches done in the running epoch of a training, of `total`, which includes those of the validation part."""

    name: str
    epoch: int
    done: int
    total: int


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of a trial, or of one of its several trainings, has ended; `name` then includes the training."""

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
    """A trial has ended; `value` is the last epoch's score, averaged if there are several trainings.

    A trial that is not `feasible` cannot lead. Duplicates end too, but are not counted.
    """

    number: int
    name: str
    state: State
    value: float | None
    epochs: int
    reason: str = ""
    feasible: bool = True


@dataclass(frozen=True)
class TrialInterrupted:
    """A trial was interrupted; it stays recorded as running, and the same command resumes it."""

    number: int
    name: str


@dataclass(frozen=True)
class Step:
    """A step before the first training begins, such as reading the images; it lasts until the next event."""

    text: str


@dataclass(frozen=True)
class Note:
    """A line of text for the user."""

    text: str


Event = (
    SweepStarted
    | TrialStarted
    | BatchesTrained
    | EpochEnded
    | TrainingEnded
    | TrialEnded
    | TrialInterrupted
    | Step
    | Note
)
Listener = Callable[[Event], None]
Told = TypeVar("Told")


def once(tell: Callable[[Told], None]) -> Callable[[Told], None]:
    """Passes on only what was not passed on before: a command that reads images twice would say the same of them."""
    before: set[Told] = set()

    def told(said: Told) -> None:
        if said not in before:
            before.add(said)
            tell(said)

    return told
