"""A list of trainings that all are wanted to their end: on the search's workers, each an MLflow run."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.engine.base import Failure
from sweeper.engine.dispatcher import POLL_SECONDS, Dispatcher, Epoch, Task
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.engine.local.pool import WorkerPool
from sweeper.errors import SweeperError
from sweeper.events import EpochEnded, Listener, State, SweepStarted, TrialEnded, TrialInterrupted, TrialStarted
from sweeper.runs import result_file
from sweeper.runs.limits import StopRequest
from sweeper.runs.record import log_epoch, training_plots
from sweeper.runs.result_file import CompletedTraining
from sweeper.store.layout import Store
from sweeper.studies import storage_errors
from sweeper.tracking.runs import Tracker
from sweeper.training import checkpoint


@dataclass(frozen=True)
class Training:
    """A training; `key` names its run under the tracker's own, and is empty where it is that run itself.

    Of the run, `texts` are artifacts. The weights stay in the store. Or, with `to_mlflow`, they are artifacts too and
    leave the store with the checkpoint, and what came of the training stays there instead.
    """

    key: str
    name: str
    job: TrialJob
    tags: Mapping[str, str]
    texts: Mapping[str, str]
    to_mlflow: bool = False

    @property
    def run(self) -> str | None:
        """The training's run, as a tracker knows it."""
        return self.key or None


@dataclass
class _Entry:
    """A training of the list, and its place in it."""

    training: Training
    number: int
    started: bool = False  # by this process


class BatchRunner:
    """Runs the trainings of one owner in the store: a study that is promoted, or a training by itself."""

    def __init__(
        self,
        store: Store,
        owner: str,
        classes: Sequence[str],
        tracker: Tracker,
        listener: Listener,
        stop: StopRequest,
    ) -> None:
        self.store, self.owner, self.classes = store, owner, classes
        self.tracker, self.tell_user, self.stop = tracker, listener, stop
        self.diverged: dict[str, str] = {}  # why a training has no result, by key

    def run(self, trainings: Sequence[Training], what: str, start_workers: Callable[[], WorkerPool]) -> bool:
        """Trains what is not done yet; where a loss is no longer finite, `diverged` holds the reason.

        False where a stop was requested before the end. Raises SweeperError for a training that fails in another way.
        """
        waiting = deque(
            Task(training.name, training.job, _Entry(training, number), reported=self.tracker.last_epoch(training.run))
            for number, training in enumerate(trainings)
            if not self._is_done(training)
        )
        if not waiting:
            return True
        with storage_errors.translated(self.store):
            pool = start_workers()
            dispatcher: Dispatcher[_Entry] = Dispatcher(pool, self.tell_user)
            try:
                self._tell_start(trainings, len(waiting), what, len(pool))
                self.stop.saving = True
                return self._train(dispatcher, waiting)
            finally:
                pool.close()
                for task in [*dispatcher.unfinished(), *waiting]:
                    # Of the waiting ones, those that an earlier process was killed in.
                    if self.tracker.state(task.subject.training.run) == State.RUNNING:
                        self._interrupt(task.subject)
                self.stop.saving = False

    def _train(self, dispatcher: Dispatcher[_Entry], waiting: deque[Task[_Entry]]) -> bool:
        """Trains what is waiting; whether nothing is left."""
        interrupted = False
        while True:
            self.stop.heed(self.store, self.owner)
            while (
                not self.stop.reason
                and (line := dispatcher.requeued or waiting)
                and (worker := dispatcher.idle()) is not None
            ):
                task = line.popleft()
                dispatcher.begin(worker, task)
                self._start(task)
            if not dispatcher.running:
                return not (waiting or dispatcher.requeued or interrupted)
            for task, event in dispatcher.wait(POLL_SECONDS):
                match event:
                    case Epoch():
                        interrupted |= not self._epoch(dispatcher, task, event)
                    case TrialResult():
                        self._complete(task, event)
                    case Failure():
                        self._fail(task, event)

    def outcome(self, training: Training) -> CompletedTraining | None:
        """What came of a complete training that is `to_mlflow`; None before its end."""
        return result_file.read(training.job.folder, training.job.identity, self.tracker.run_id)

    def _is_done(self, training: Training) -> bool:
        if training.to_mlflow:
            return self.outcome(training) is not None
        complete = self.tracker.state(training.run) == State.COMPLETE
        return complete and checkpoint.holds(training.job.weights, training.job.identity)

    def _tell_start(self, trainings: Sequence[Training], n_left: int, what: str, n_workers: int) -> None:
        self.tell_user(
            SweepStarted(
                study=self.owner,
                done=len(trainings) - n_left,
                total=len(trainings),
                n_workers=n_workers,
                maximize=None,
                best=None,
                what=what,
            )
        )

    def _start(self, task: Task[_Entry]) -> None:
        training, job, task.subject.started = task.subject.training, task.job, True
        if training.run is not None:
            params: dict[str, Any] = {**job.configuration.values(), "epochs": job.epochs, "seed": job.seed}
            self.tracker.start_child(training.run, training.name, params, training.tags)
        self.tracker.log_text(training.run, training.texts)
        known = self.tracker.last_epoch(training.run)
        self.tell_user(TrialStarted(task.subject.number, training.name, known, job.epochs))

    def _epoch(self, dispatcher: Dispatcher[_Entry], task: Task[_Entry], event: Epoch) -> bool:
        """Records an epoch; whether the training goes on behind it."""
        training = task.subject.training
        if event.new:
            log_epoch(self.tracker, training.run, event.metrics)
            self.tell_user(EpochEnded(task.subject.number, training.name, event.metrics))
        proceed = not self.stop.reason or event.metrics.epoch == task.job.epochs
        dispatcher.answer(task, proceed=proceed)
        if not proceed:
            self._interrupt(task.subject)
        return proceed

    def _fail(self, task: Task[_Entry], failure: Failure) -> None:
        if failure.kind == "diverged":
            self.diverged[task.subject.training.key] = failure.message
            self._end(task, State.PRUNED, f"diverged: {failure.message}")
            return
        text = f"{failure.message}; see {failure.log}"
        if failure.trace:
            self.tracker.log_text(task.subject.training.run, {"error.txt": failure.trace})
        self._end(task, State.FAILED, text)
        raise SweeperError(f"{task.name} failed: {text}")

    def _complete(self, task: Task[_Entry], result: TrialResult) -> None:
        training, job = task.subject.training, task.job
        plots = training_plots(training.name, task.history, result, self.classes)
        self.tracker.log_plots(training.run, plots)
        leaving = [job.checkpoint, checkpoint.aside(job.checkpoint)]
        if training.to_mlflow:
            self.tracker.log_weights(training.run, job.weights)
            leaving.append(job.weights)
        self._end(task, State.COMPLETE, metrics=result.metrics)
        if training.to_mlflow:
            # Once it is there, nothing is trained again; so all that MLflow is to have of the training comes before.
            result_file.write(job.folder, job.identity, self.tracker.run_id, CompletedTraining(task.history, result))
        for path in leaving:
            self.tracker.forget(training.run, path)

    def _end(
        self, task: Task[_Entry], state: State, reason: str = "", metrics: Mapping[str, float] | None = None
    ) -> None:
        training, history = task.subject.training, task.history
        if training.run is not None:  # the tracker's own run is ended by whoever opened it
            self.tracker.finish(training.run, state, reason=reason, metrics=metrics)
        last = history[-1].validation_accuracy if history else math.nan
        value = None if math.isnan(last) else last
        self.tell_user(TrialEnded(task.subject.number, training.name, state, value, len(history), reason))

    def _interrupt(self, entry: _Entry) -> None:
        if entry.training.run is not None:
            reason = self.stop.reason or "the command ended"
            self.tracker.finish(entry.training.run, State.INTERRUPTED, reason=reason)
        if entry.started:
            self.tell_user(TrialInterrupted(entry.number, entry.training.name))
