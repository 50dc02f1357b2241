"""The view of a sweep that is redrawn in place: the running trials, and what is done."""

import time

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeper.display.tally import Tally, clock, metric_amount
from sweeper.events import (
    BatchesTrained,
    EpochEnded,
    Event,
    Step,
    SweepStarted,
    TrainingEnded,
    TrialEnded,
    TrialInterrupted,
    TrialStarted,
    done_of,
)
from sweeper.studies.objective import LABELS, METRICS


class LiveView:
    """The running trials, redrawn in place."""

    def __init__(self) -> None:
        self.study = ""
        self.step: tuple[Step, float] | None = None  # and when it began, on time.monotonic()
        self.tally = Tally()
        # By name, because a trial's folds and repeats may run at once.
        self.running: dict[str, tuple[TrialStarted, EpochEnded | None]] = {}
        self.batches: dict[str, BatchesTrained] = {}  # of the running epochs, by the same names

    def update(self, event: Event) -> None:
        self.tally.update(event)
        self.step = None
        match event:
            case Step():
                self.step = event, time.monotonic()
            case SweepStarted(study=study):
                self.study = study
            case TrialStarted(name=name):
                self.running[name] = (event, None)
            case BatchesTrained(name=name):
                self.batches[name] = event
            case EpochEnded(name=name) if name in self.running:
                self.running[name] = (self.running[name][0], event)
                self.batches.pop(name, None)
            case TrainingEnded(name=name):
                self.running.pop(name, None)
            case TrialEnded(number=number) | TrialInterrupted(number=number):
                self.running = {name: row for name, row in self.running.items() if row[0].number != number}

    def render(self) -> Group:
        step = [Text(f"{self.step[0].text}, {clock(time.monotonic() - self.step[1])}")] if self.step else []
        if not self.study:
            return Group(*step)
        tally = self.tally
        head = Text(
            f"{self.study}: {done_of(tally.done, tally.total, tally.noun)}, "
            f"{clock(time.monotonic() - tally.started)} elapsed, {tally.time_left()} left{tally.best_so_far()}"
        )
        shown = tally.shown()
        values = (f"val. {LABELS[metric]}" for metric in shown)
        running = list(self.running.items())
        places = ["on"] if any(start.place for _, (start, _) in running) else []
        table = Table("trial", "epoch", "train loss", *values, "images/s", "next epoch", *places)
        for name, (start, last) in running:
            epoch, row = start.from_epoch, [""] * (2 + len(shown))
            if last is not None:
                m = last.metrics
                epoch = m.epoch
                row = [
                    f"{m.train_loss:.4f}", *(metric_amount(metric, getattr(m, METRICS[metric])) for metric in shown),
                    f"{m.images_per_second:,.0f}",
                ]  # fmt: skip
            batches = self.batches.get(name)
            bar: ProgressBar | str = "starting" if last is None and batches is None else ""
            # A worker that resumes or was replaced tells of epochs that are known already.
            if batches is not None and batches.epoch == epoch + 1:
                bar = ProgressBar(batches.total, batches.done, width=10)
            place = [Text(start.place or "this machine")] * len(places)
            table.add_row(Text(name), f"{epoch} of {start.epochs}", *row, bar, *place)
        return Group(head, *([table] if running else []), *step)
