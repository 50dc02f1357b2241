"""A sweep in plain lines: one for each trial, and for what takes long."""

import time
from threading import Timer

from rich.console import Console
from rich.text import Text

from sweeper.display.tally import Tally, metric_amount
from sweeper.evaluation.amounts import amount
from sweeper.events import (
    BatchesTrained,
    EpochEnded,
    Event,
    Note,
    Step,
    SweepStarted,
    TrainingEnded,
    TrialEnded,
    TrialInterrupted,
    TrialStarted,
    done_of,
    outcome,
)
from sweeper.quantities import counted
from sweeper.studies.objective import LABELS, METRICS
from sweeper.studies.pruners import is_reason

# A step before the first training is named in a line of its own only if it takes longer.
LONG_STEP_SECONDS = 0.5
# After such a silence, a line tells how far a running epoch is.
SILENCE_SECONDS = 30.0


class PlainLines:
    """Prints a line for each trial, for what takes long, and with `verbose` for each epoch."""

    def __init__(self, console: Console, verbose: bool, tally: Tally) -> None:
        self.console, self.verbose, self.tally = console, verbose, tally
        self.step: Timer | None = None  # prints the step that runs
        self.epochs: dict[str, int] = {}  # of each training, in total
        self.said = time.monotonic()

    def __call__(self, event: Event) -> None:
        self.tally.update(event)
        self.end_step()
        match event:
            case Step(text=text):
                self.step = Timer(LONG_STEP_SECONDS, self._say, [f"{text} ..."])
                self.step.daemon = True
                self.step.start()
            case SweepStarted(study=study, done=done, total=total, n_workers=workers, noun=noun):
                shown = counted(workers, "worker") if workers else "nothing left to train"
                self._say(f"{study}: {done_of(done, total, noun)} done, {shown}")
            case TrialStarted(name=name, from_epoch=epoch, epochs=epochs, place=place):
                self.epochs[name] = epochs
                where = f" on {place}" if place else ""
                if epoch:
                    self._say(f"{name} resumes after epoch {epoch}{where}")
                elif self.verbose:
                    self._say(f"{name} started{where}")
            case BatchesTrained(name=name) if time.monotonic() - self.said >= SILENCE_SECONDS:
                share = event.done / event.total
                self._say(f"{name}: {100 * share:.0f} % of epoch {event.epoch} of {self.epochs.get(name, event.epoch)}")
            case EpochEnded(name=name, metrics=m) if self.verbose:
                values = (
                    f"validation {LABELS[metric]} {metric_amount(metric, getattr(m, METRICS[metric]))}"
                    for metric in self.tally.shown()
                )
                self._say(
                    f"{name} epoch {m.epoch}: train loss {m.train_loss:.4f}, {', '.join(values)}, "
                    f"{m.images_per_second:,.0f} images/s"
                )
            case TrainingEnded(name=name, value=value):
                self._say(f"{name} done: {LABELS[self.tally.metric]} {amount(self.tally.metric, value)}")
            case TrialEnded(name=name, state=state, epochs=epochs):
                ended = outcome(state, feasible=event.feasible)
                metric = self.tally.metric
                shown = "" if event.value is None else f", {LABELS[metric]} {amount(metric, event.value)}"
                trained = counted(epochs, "epoch")
                reason = f" ({event.reason})" if event.reason and not is_reason(event.reason) else ""
                self._say(
                    f"[{self.tally.done}/{max(self.tally.done, self.tally.total)}] {name} {ended}{shown} after "
                    f"{trained}{reason}{self.tally.best_so_far()}, {self.tally.time_left()} left"
                )
            case TrialInterrupted(name=name):
                self._say(f"{name} interrupted")
            case Note(text=text):
                self._say(text)

    def end_step(self) -> None:
        """Says no more that a step runs."""
        if self.step is not None:
            self.step.cancel()
            self.step = None

    def _say(self, text: str) -> None:
        self.said = time.monotonic()
        self.console.print(Text(text), soft_wrap=True)
