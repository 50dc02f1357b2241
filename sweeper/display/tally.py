"""The numbers that every display of a sweep shows: trials done, the best so far, and the time left."""

import math
import time

from sweeper.evaluation.amounts import amount
from sweeper.events import Event, Leader, State, SweepStarted, TrialEnded
from sweeper.studies.objective import LABELS


class Tally:
    """The numbers that both views show: trials done, the best so far, and the time left."""

    def __init__(self) -> None:
        self.done = self.done_before = self.total = 0
        self.started = time.monotonic()
        self.deadline: float | None = None
        self.noun, self.metric = "trial", "accuracy"
        self.maximize: bool | None = None
        self.best: Leader | None = None

    def update(self, event: Event) -> None:
        """Counts what the event tells."""
        match event:
            case SweepStarted():
                self.done = self.done_before = event.done
                self.total, self.noun, self.metric = event.total, event.noun, event.metric
                self.maximize, self.best, self.deadline = event.maximize, event.best, event.deadline
                self.started = time.monotonic()
            case TrialEnded(state=state, value=value):
                self.done += state in (State.COMPLETE, State.PRUNED)
                if state == State.COMPLETE and event.feasible and value is not None and self._leads(value):
                    self.best = Leader(event.name, value)

    def time_left(self) -> str:
        """An estimate from the mean time of the trials that this process has ended; "?" before the first.

        It is never more than the time limit leaves.
        """
        now, done_here = time.monotonic(), self.done - self.done_before
        if done_here < 1:
            return "?"
        left = (now - self.started) / done_here * max(0, self.total - self.done)
        return clock(left if self.deadline is None else min(left, max(0.0, self.deadline - now)))

    def best_so_far(self) -> str:
        """The best trial as a clause for the end of a list; empty if the trials do not compete."""
        if self.maximize is None:
            return ""
        best = f"{amount(self.metric, self.best.value)} ({self.best.name})" if self.best else "none"
        return f", best {LABELS[self.metric]} {best}"

    def shown(self) -> list[str]:
        """The validation metrics to show after an epoch: loss, accuracy, and the objective if it is another."""
        return list(dict.fromkeys(("loss", "accuracy", self.metric)))

    def _leads(self, value: float) -> bool:
        if self.maximize is None:
            return False
        if self.best is None:
            return True
        return value > self.best.value if self.maximize else value < self.best.value


def metric_amount(metric: str, value: float) -> str:
    """A value as people read it, or "none" for NaN, the value of a training without a validation part."""
    return "none" if math.isnan(value) else amount(metric, value)


def clock(seconds: float) -> str:
    """A time as h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
