"""A sweep's progress on stderr: a live view on a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeper.cli.console import PlainConsole
from sweeper.cli.notes import done_of
from sweeper.evaluation.amounts import amount
from sweeper.events import (
    BatchesTrained,
    EpochEnded,
    Event,
    Leader,
    Listener,
    Note,
    State,
    Step,
    SweepStarted,
    TrainingEnded,
    TrialEnded,
    TrialInterrupted,
    TrialStarted,
    outcome,
)
from sweeper.process.streams import Written
from sweeper.store.shown import shown
from sweeper.studies.objective import LABELS, METRICS
from sweeper.studies.pruners import is_reason

# A step before the first training is named in a line of its own only if it takes longer.
LONG_STEP_SECONDS = 0.5
# After such a silence, a line tells how far a running epoch is.
SILENCE_SECONDS = 30.0


@contextmanager
def progress(*, quiet: bool, verbose: bool) -> Iterator[Listener]:
    """Gives the listener that shows a sweep."""
    console = PlainConsole(sys.stderr)
    if quiet:
        yield lambda event: None
    # FORCE_COLOR makes rich take a file for a terminal, but a view that redraws itself is useless in a file.
    elif sys.stderr.isatty() and not verbose and not console.is_dumb_terminal:
        view = _LiveView()
        lines = _PlainLines(console, verbose, view.tally)
        with Live(get_renderable=view.render, console=console, refresh_per_second=4, transient=True) as live:
            # The view prints what others write above itself, and would obey their colours and links.
            sys.stdout, sys.stderr = _shown(sys.stdout), _shown(sys.stderr)

            def show(event: Event) -> None:
                if not sys.stderr.isatty():  # the terminal is gone, and a file takes the rest
                    live.stop()
                    lines(event)
                    return
                if isinstance(event, Note):
                    live.console.print(Text(event.text))
                view.update(event)

            yield show
    else:
        lines = _PlainLines(console, verbose, _Tally())
        try:
            yield lines
        finally:
            lines.end_step()


def _shown(stream: TextIO) -> Any:
    return Written(stream, lambda text: stream.write(shown(text)))


class _Tally:
    """The numbers that both views show: trials done, the best so far, and the time left."""

    def __init__(self) -> None:
        self.done = self.done_before = self.total = 0
        self.started = time.monotonic()
        self.what, self.metric = "trials", "accuracy"
        self.maximize: bool | None = None
        self.best: Leader | None = None

    def update(self, event: Event) -> None:
        match event:
            case SweepStarted():
                self.done = self.done_before = event.done
                self.total, self.what, self.metric = event.total, event.what, event.metric
                self.maximize, self.best = event.maximize, event.best
                self.started = time.monotonic()
            case TrialEnded(state=state, value=value):
                self.done += state in (State.COMPLETE, State.PRUNED)
                if state == State.COMPLETE and event.feasible and value is not None and self._leads(value):
                    self.best = Leader(event.name, value)

    def time_left(self) -> str:
        """An estimate from the mean time of the trials that this process has ended; "?" before the first."""
        done_here = self.done - self.done_before
        if done_here < 1:
            return "?"
        left = (time.monotonic() - self.started) / done_here * max(0, self.total - self.done)
        return _clock(left)

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


class _LiveView:
    """The running trials, redrawn in place."""

    def __init__(self) -> None:
        self.study = ""
        self.step: tuple[Step, float] | None = None  # and when it began, on time.monotonic()
        self.tally = _Tally()
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
        step = [Text(f"{self.step[0].text}, {_clock(time.monotonic() - self.step[1])}")] if self.step else []
        if not self.study:
            return Group(*step)
        tally = self.tally
        head = Text(
            f"{self.study}: {done_of(tally.done, tally.total, tally.what)}, "
            f"{_clock(time.monotonic() - tally.started)} elapsed, {tally.time_left()} left{tally.best_so_far()}"
        )
        shown = tally.shown()
        values = (f"val. {LABELS[metric]}" for metric in shown)
        table = Table("trial", "epoch", "train loss", *values, "images/s", "next epoch")
        for name, (start, last) in list(self.running.items()):
            epoch, row = start.from_epoch, [""] * (2 + len(shown))
            if last is not None:
                m = last.metrics
                epoch = m.epoch
                row = [
                    f"{m.train_loss:.4f}", *(_amount(metric, getattr(m, METRICS[metric])) for metric in shown),
                    f"{m.images_per_second:,.0f}",
                ]  # fmt: skip
            batches = self.batches.get(name)
            bar: ProgressBar | str = "starting" if last is None and batches is None else ""
            # A worker that resumes or was replaced tells of epochs that are known already.
            if batches is not None and batches.epoch == epoch + 1:
                bar = ProgressBar(batches.total, batches.done, width=10)
            table.add_row(Text(name), f"{epoch} of {start.epochs}", *row, bar)
        return Group(head, table, *step)


class _PlainLines:
    """Prints a line for each trial, for what takes long, and with `verbose` for each epoch."""

    def __init__(self, console: Console, verbose: bool, tally: _Tally) -> None:
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
            case SweepStarted(study=study, done=done, total=total, n_workers=workers, what=what):
                shown = f"{workers} {'worker' if workers == 1 else 'workers'}" if workers else "nothing left to train"
                self._say(f"{study}: {done_of(done, total, what)} done, {shown}")
            case TrialStarted(name=name, from_epoch=epoch, epochs=epochs):
                self.epochs[name] = epochs
                if epoch:
                    self._say(f"{name} resumes after epoch {epoch}")
                elif self.verbose:
                    self._say(f"{name} started")
            case BatchesTrained(name=name) if time.monotonic() - self.said >= SILENCE_SECONDS:
                share = event.done / event.total
                self._say(f"{name}: {100 * share:.0f} % of epoch {event.epoch} of {self.epochs.get(name, event.epoch)}")
            case EpochEnded(name=name, metrics=m) if self.verbose:
                values = (
                    f"validation {LABELS[metric]} {_amount(metric, getattr(m, METRICS[metric]))}"
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
                reason = f" ({event.reason})" if event.reason and not is_reason(event.reason) else ""
                self._say(
                    f"[{self.tally.done}/{max(self.tally.done, self.tally.total)}] {name} {ended}{shown} after "
                    f"{epochs} epochs{reason}{self.tally.best_so_far()}, {self.tally.time_left()} left"
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


def _amount(metric: str, value: float) -> str:
    """A value as people read it, or "none" for NaN, the value of a training without a validation part."""
    return "none" if math.isnan(value) else amount(metric, value)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
