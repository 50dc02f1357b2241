"""Finished configurations trained once more: on the search's workers, each a run under the promotion's run."""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.errors import SweeperError
from sweeper.search import mishaps
from sweeper.search.coordinator import StopRequest
from sweeper.search.crew import POLL_SECONDS, Crew, Epoch, Task
from sweeper.search.events import EpochEnded, Listener, SweepStarted, TrialEnded, TrialInterrupted, TrialStarted
from sweeper.search.recorder import learning_curves, log_epoch
from sweeper.search.trial import TrialJob, TrialResult
from sweeper.search.worker import Failure
from sweeper.search.workers import WorkerPool
from sweeper.store import Store
from sweeper.tracking.runs import Tracker
from sweeper.training import checkpoint


@dataclass(frozen=True)
class Training:
    """A training that the promotion needs; `key` names its run and its folder, `texts` are artifacts of the run."""

    key: str
    name: str
    job: TrialJob
    tags: Mapping[str, str]
    texts: Mapping[str, str]


def key_of(stem: str, identity: str) -> str:
    """`stem` with a hash of what decides the weights: another configuration, seed or data is another training."""
    return f"{stem}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


@dataclass
class _Entry:
    """A training of a promotion's list, and its place in it."""

    training: Training
    number: int
    started: bool = False  # by this process


class Trainer:
    """Runs the trainings of one study's promotion."""

    def __init__(self, store: Store, study: str, tracker: Tracker, listener: Listener, stop: StopRequest) -> None:
        self.store, self.study = store, study
        self.tracker, self.tell_user, self.stop = tracker, listener, stop
        self.diverged: dict[str, str] = {}  # why a training has no result, by key

    def run(self, trainings: Sequence[Training], what: str, start_workers: Callable[[], WorkerPool]) -> bool:
        """Trains what is not done yet; where a loss is no longer finite, `diverged` holds the reason.

        False where a stop was requested before the end. Raises SweeperError for a training that fails in another way.
        """
        waiting = deque(
            Task(training.name, training.job, _Entry(training, number), reported=self.tracker.last_epoch(training.key))
            for number, training in enumerate(trainings)
            if not self._is_done(training)
        )
        if not waiting:
            return True
        with mishaps.in_one_line(self.store):
            pool = start_workers()
            crew: Crew[_Entry] = Crew(pool, self.tell_user)
            try:
                self._tell_start(trainings, len(waiting), what, len(pool))
                self.stop.saving = True
                return self._train(crew, waiting)
            finally:
                pool.close()
                for task in [*crew.unfinished(), *waiting]:
                    # Of the waiting ones, those that an earlier process was killed in.
                    if self.tracker.state(task.subject.training.key) == "running":
                        self._interrupt(task.subject)
                self.stop.saving = False

    def _train(self, crew: Crew[_Entry], waiting: deque[Task[_Entry]]) -> bool:
        """Trains what is waiting; whether nothing is left."""
        while True:
            self.stop.heed(self.store, self.study)
            for worker in crew.idle():
                line = crew.requeued or waiting
                if line and not self.stop.reason:
                    task = line.popleft()
                    crew.begin(worker, task)
                    self._start(task)
            if not crew.running:
                return not waiting and not crew.requeued
            for task, event in crew.wait(POLL_SECONDS):
                match event:
                    case Epoch():
                        self._epoch(crew, task, event)
                    case TrialResult():
                        self._finish(task, "complete")
                    case Failure():
                        self._fail(task, event)

    def _is_done(self, training: Training) -> bool:
        complete = self.tracker.state(training.key) == "complete"
        return complete and checkpoint.holds(training.job.weights, training.job.identity)

    def _tell_start(self, trainings: Sequence[Training], n_left: int, what: str, n_workers: int) -> None:
        self.tell_user(
            SweepStarted(
                study=self.study,
                done=len(trainings) - n_left,
                total=len(trainings),
                epochs=trainings[0].job.epochs,
                n_workers=n_workers,
                maximize=None,
                best=None,
                what=what,
            )
        )

    def _start(self, task: Task[_Entry]) -> None:
        training, job, task.subject.started = task.subject.training, task.job, True
        params: dict[str, Any] = {**job.configuration.values(), "epochs": job.epochs, "seed": job.seed}
        self.tracker.start_child(training.key, training.name, params, training.tags)
        self.tracker.log_text(training.key, training.texts)
        self.tell_user(TrialStarted(task.subject.number, training.name, self.tracker.last_epoch(training.key)))

    def _epoch(self, crew: Crew[_Entry], task: Task[_Entry], event: Epoch) -> None:
        if event.new:
            log_epoch(self.tracker, task.subject.training.key, event.metrics)
            self.tell_user(EpochEnded(task.subject.number, event.metrics))
        go_on = not self.stop.reason or event.metrics.epoch == task.job.epochs
        crew.answer(task, go_on=go_on)
        if not go_on:
            self._interrupt(task.subject)

    def _fail(self, task: Task[_Entry], failure: Failure) -> None:
        if failure.kind == "diverged":
            self.diverged[task.subject.training.key] = failure.message
            self._finish(task, "pruned", f"diverged: {failure.message}")
            return
        text = f"{failure.message}; see {failure.log}"
        self._finish(task, "failed", text)
        raise SweeperError(f"{task.name} failed: {text}")

    def _finish(self, task: Task[_Entry], state: str, reason: str = "") -> None:
        training, history = task.subject.training, task.history
        if state == "complete":
            curves = learning_curves(training.name, history)
            self.tracker.log_figures(training.key, {"learning_curves.png": curves})
        self.tracker.finish(training.key, state, reason=reason)
        if state == "complete":
            for path in (training.job.checkpoint, checkpoint.aside(training.job.checkpoint)):
                self.tracker.forget(training.key, path)
        last = history[-1].validation_accuracy if history else math.nan
        value = None if math.isnan(last) else last
        self.tell_user(TrialEnded(task.subject.number, training.name, state, value, len(history), reason))

    def _interrupt(self, entry: _Entry) -> None:
        self.tracker.finish(entry.training.key, "interrupted", reason=self.stop.reason or "the promotion ended")
        if entry.started:
            self.tell_user(TrialInterrupted(entry.number))
