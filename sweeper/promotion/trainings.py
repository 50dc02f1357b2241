"""Finished configurations trained once more: on the search's workers, each a run under the promotion's run."""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sweeper import plots
from sweeper.errors import SweeperError
from sweeper.search.coordinator import MOST_DEATHS, POLL_SECONDS, StopRequest
from sweeper.search.events import (
    EpochEnded,
    Listener,
    Note,
    SweepStarted,
    TrialEnded,
    TrialInterrupted,
    TrialStarted,
)
from sweeper.search.recorder import log_epoch
from sweeper.search.trial import TrialJob, TrialResult
from sweeper.search.workers import Died, Failure, WorkerPool
from sweeper.tracking.runs import Tracker
from sweeper.training import checkpoint
from sweeper.training.fit import EpochMetrics


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
class _Running:
    training: Training
    number: int
    history: list[EpochMetrics] = field(default_factory=list)
    reported: int = 0  # the last epoch that was told
    deaths: int = 0
    out_of_memory: bool = False
    started: bool = False  # by this process


class Trainer:
    """Runs the trainings of one study's promotion."""

    def __init__(self, study: str, tracker: Tracker, listener: Listener, stop: StopRequest) -> None:
        self.study, self.tracker, self.tell_user, self.stop = study, tracker, listener, stop
        self.diverged: dict[str, str] = {}  # why a training has no result, by key
        self.idle_deaths = 0

    def run(self, trainings: Sequence[Training], what: str, start_workers: Callable[[], WorkerPool]) -> bool:
        """Trains what is not done yet; where a loss is no longer finite, `diverged` holds the reason.

        False where a stop was requested before the end. Raises SweeperError for a training that fails in another way.
        """
        waiting = deque(_Running(t, number) for number, t in enumerate(trainings) if not self._is_done(t))
        if not waiting:
            return True
        running: dict[int, _Running] = {}  # by worker
        pool = start_workers()
        try:
            self._tell_start(trainings, len(waiting), what, len(pool))
            self.stop.saving = True
            while True:
                for worker in range(len(pool)):
                    if worker not in running and waiting and not self.stop.reason:
                        running[worker] = waiting.popleft()
                        self._start(running[worker])
                        pool.train(worker, running[worker].training.job)
                if not running:
                    return not waiting
                for worker, message in pool.wait(POLL_SECONDS):
                    current = running.get(worker)
                    if current is None:
                        self._check_idle(pool, worker, message)
                    elif isinstance(message, EpochMetrics):
                        self._epoch(current, message)
                        go_on = not self.stop.reason or message.epoch == current.training.job.epochs
                        pool.answer(worker, go_on=go_on)
                        if not go_on:
                            self._interrupt(running.pop(worker))
                    else:
                        del running[worker]
                        self._ended(current, message, waiting)
        finally:
            self.stop.saving = False
            pool.close()
            for left in [*running.values(), *waiting]:
                if self.tracker.state(left.training.key) == "running":  # for waiting ones: put back, or since a kill
                    self._interrupt(left)

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

    def _start(self, current: _Running) -> None:
        training, current.started = current.training, True
        job = training.job
        params: dict[str, Any] = {**job.configuration.values(), "epochs": job.epochs, "seed": job.seed}
        self.tracker.start_child(training.key, training.name, params, training.tags)
        self.tracker.log_text(training.key, training.texts)
        self.tell_user(TrialStarted(current.number, training.name, self.tracker.last_epoch(training.key)))

    def _epoch(self, current: _Running, metrics: EpochMetrics) -> None:
        current.history.append(metrics)
        if metrics.epoch > current.reported:
            current.reported, current.deaths, self.idle_deaths = metrics.epoch, 0, 0
            log_epoch(self.tracker, current.training.key, metrics)
            self.tell_user(EpochEnded(current.number, metrics))

    def _ended(self, current: _Running, message: Any, waiting: deque[_Running]) -> None:
        """A training has ended, or its worker has: takes note, or puts it back in line."""
        name = current.training.name
        match message:
            case TrialResult():
                self._finish(current, "complete")
            case Failure(kind="diverged", message=text):
                self.diverged[current.training.key] = text
                self._finish(current, "pruned", f"diverged: {text}")
            case Failure(kind="out_of_memory") if not current.out_of_memory:
                # A neighbour may have taken the memory: one more try.
                current.out_of_memory = True
                self._put_back(current, waiting)
            case Failure(message=text):
                self._finish(current, "failed", text)
                raise SweeperError(f"{name} failed: {text}")
            case Died(exit_code=code):
                current.deaths += 1
                text = f"the worker ended with exit code {code}"
                if current.deaths >= MOST_DEATHS:
                    self._finish(current, "failed", text)
                    raise SweeperError(f"{name}: {text}, {current.deaths} times without finishing an epoch")
                self.tell_user(Note(f"{name}: {text}; going on from its last epoch"))
                self._put_back(current, waiting)

    def _put_back(self, current: _Running, waiting: deque[_Running]) -> None:
        current.history.clear()  # the checkpoint brings it back
        waiting.appendleft(current)

    def _finish(self, current: _Running, state: str, reason: str = "") -> None:
        training, epochs = current.training, [asdict(metrics) for metrics in current.history]
        if state == "complete":
            self.tracker.log_figures(
                training.key,
                {"learning_curves.png": lambda: plots.learning_curves(epochs, f"Learning curves, {training.name}")},
            )
        self.tracker.finish(training.key, state, reason=reason)
        if state == "complete":
            self.tracker.forget(training.key, training.job.checkpoint)
        last = current.history[-1].validation_accuracy if current.history else math.nan
        value = None if math.isnan(last) else last
        self.tell_user(TrialEnded(current.number, training.name, state, value, len(epochs), reason))

    def _interrupt(self, current: _Running) -> None:
        self.tracker.finish(current.training.key, "interrupted", reason=self.stop.reason or "the promotion ended")
        if current.started:
            self.tell_user(TrialInterrupted(current.number))

    def _check_idle(self, pool: WorkerPool, worker: int, message: Any) -> None:
        if isinstance(message, Died):
            self.idle_deaths += 1
            if self.idle_deaths >= MOST_DEATHS:
                raise SweeperError(
                    f"workers end before they train (exit code {message.exit_code}); see {pool.log(worker)}"
                )
