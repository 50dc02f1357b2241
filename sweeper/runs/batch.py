"""Runs a list of trainings to their end on the workers of an engine, each with an MLflow run."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.engine.base import Engine, Failure
from sweeper.engine.dispatcher import POLL_SECONDS, Dispatcher, Epoch, Task
from sweeper.engine.execution import Execution
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.errors import SweeperError
from sweeper.events import (
    EpochEnded,
    Listener,
    Note,
    State,
    Step,
    SweepStarted,
    TrialEnded,
    TrialInterrupted,
    TrialStarted,
)
from sweeper.runs import processor_file, result_file
from sweeper.runs.record import log_epoch, training_plots
from sweeper.runs.result_file import CompletedTraining
from sweeper.runs.stop import StopRequest
from sweeper.store.layout import Store
from sweeper.studies import storage_errors
from sweeper.studies.objective import METRICS
from sweeper.tracking.tracker import Tracker
from sweeper.training import checkpoint


@dataclass(frozen=True)
class Training:
    """A training; `key` names its child run of the tracker's run, and is empty if it uses the tracker's own run.

    `texts` become artifacts of the run. Without `to_mlflow`, the weights stay in the store. With it, they become
    artifacts too, and leave the store together with the checkpoint; only the result of the training stays there.
    """

    key: str
    name: str
    job: TrialJob
    tags: Mapping[str, str]
    texts: Mapping[str, str]
    to_mlflow: bool = False

    @property
    def run(self) -> str | None:
        """The tracker's key of the training's run; None for the tracker's own run."""
        return self.key or None


@dataclass
class _Entry:
    """A training, and its place in the list."""

    training: Training
    number: int
    started: bool = False  # by this process


class BatchRunner:
    """Runs the trainings of one owner in the store: a study's promotion or ablation, or a training by itself.

    They train as `execution` says, and in fewer processes once one of them lacks memory: it may have had more in the
    search. `processor` is the file of the kind of processor or GPU that they train on (processor_file).
    """

    def __init__(
        self,
        store: Store,
        owner: str,
        classes: Sequence[str],
        tracker: Tracker,
        listener: Listener,
        stop: StopRequest,
        execution: Execution,
        processor: Path,
        metric: str = "accuracy",
    ) -> None:
        self.store, self.owner, self.classes = store, owner, classes
        self.tracker, self.listener, self.stop = tracker, listener, stop
        self.execution, self.processor = execution, processor
        self.metric = metric  # the objective whose values are shown
        self.diverged: dict[str, str] = {}  # the reason for each diverged training, by key

    def run(
        self,
        trainings: Sequence[Training],
        noun: str,
        start_workers: Callable[[Execution], Engine],
        prepare: Callable[[str], None] = lambda processor: None,
    ) -> bool:
        """Runs the trainings that are not done yet; if a loss is not finite, `diverged` holds the reason.

        `prepare` gets the kind of processor or GPU that trains, before the first training begins. Returns False if a
        stop was requested before the end. Raises SweeperError if a training fails in another way.
        """

        def begin(kind: str) -> None:
            self._record_processor(kind)
            prepare(kind)

        while waiting := self._left(trainings):
            with storage_errors.translated(self.store):
                self.listener(Step("Starting the workers"))
                execution = self.execution
                engine = start_workers(execution)
                dispatcher: Dispatcher[_Entry] = Dispatcher(engine, self.listener, begin)
                try:
                    self._announce_start(trainings, len(waiting), noun, len(engine))
                    self.stop.saving = True
                    done = self._train(dispatcher, waiting)
                finally:
                    engine.close()
                    for task in [*dispatcher.unfinished(), *waiting]:
                        # A waiting training's run is still running if an earlier process was killed while it trained.
                        if self.tracker.state(task.subject.training.run) == State.RUNNING:
                            self._interrupt(task.subject)
                    self.stop.saving = bool(self.stop.reason)  # a command that was stopped now ends by itself
            if self.stop.reason or self.execution is execution:
                return done
        return True

    def _left(self, trainings: Sequence[Training]) -> deque[Task[_Entry]]:
        """The trainings that are left to be trained to their end."""
        return deque(
            Task(training.name, training.job, _Entry(training, number), reported=self.tracker.last_epoch(training.run))
            for number, training in enumerate(trainings)
            if not self.is_done(training) and training.key not in self.diverged
        )

    def _train(self, dispatcher: Dispatcher[_Entry], waiting: deque[Task[_Entry]]) -> bool:
        """Runs the waiting trainings; returns whether none is left, and early if it has changed the execution."""
        interrupted = False
        while True:
            self.stop.poll(self.store, self.owner)
            while (
                not self.stop.reason
                and (queue := dispatcher.requeued or waiting)
                and (worker := dispatcher.idle()) is not None
            ):
                task = queue.popleft()
                if dispatcher.begin(worker, task):
                    self._start(task, dispatcher.engine.place(worker))
            left = bool(waiting or dispatcher.requeued)
            if not dispatcher.running and not (left and not self.stop.reason and dispatcher.lacks_place()):
                return not (left or interrupted)
            for task, event in dispatcher.wait(POLL_SECONDS):
                match event:
                    case Epoch():
                        interrupted |= not self._handle_epoch(dispatcher, task, event)
                    case TrialResult():
                        self._complete(task, event)
                    case Failure(kind="out_of_memory") if larger := self.execution.with_larger_shares():
                        self.listener(Note(f"{task.name}: out of memory; {_shares(larger)}"))
                        self.execution = larger
                        waiting.appendleft(task)
                        return False
                    case Failure():
                        self._fail(dispatcher, task, event)

    def outcome(self, training: Training) -> CompletedTraining | None:
        """The result of a complete training with `to_mlflow`; None before its end."""
        return result_file.read(training.job.folder, training.job.identity, self.tracker.run_id)

    def is_done(self, training: Training) -> bool:
        """Whether the training was trained to its end, and its result or weights are still here."""
        if training.to_mlflow:
            return self.outcome(training) is not None
        complete = self.tracker.state(training.run) == State.COMPLETE
        return complete and checkpoint.holds(training.job.weights, training.job.identity)

    def _announce_start(self, trainings: Sequence[Training], n_left: int, noun: str, n_workers: int) -> None:
        self.listener(
            SweepStarted(
                study=self.owner,
                done=len(trainings) - n_left,
                total=len(trainings),
                n_workers=n_workers,
                maximize=None,
                best=None,
                noun=noun,
                metric=self.metric,
            )
        )

    def _record_processor(self, kind: str) -> None:
        if note := processor_file.record(self.processor, kind):
            self.listener(Note(note))

    def _start(self, task: Task[_Entry], place: str) -> None:
        training, job, task.subject.started = task.subject.training, task.job, True
        if training.run is not None:
            params: dict[str, Any] = {**job.configuration.values(), "epochs": job.epochs, "seed": job.seed}
            self.tracker.start_child(training.run, training.name, params, training.tags)
        self.tracker.log_text(training.run, training.texts)
        last_epoch = self.tracker.last_epoch(training.run)
        self.listener(TrialStarted(task.subject.number, training.name, last_epoch, job.epochs, place))

    def _handle_epoch(self, dispatcher: Dispatcher[_Entry], task: Task[_Entry], event: Epoch) -> bool:
        """Records an epoch; returns whether the training proceeds."""
        training = task.subject.training
        if event.new:
            log_epoch(self.tracker, training.run, event.metrics)
            self.listener(EpochEnded(task.subject.number, training.name, event.metrics))
        proceed = not self.stop.reason or event.metrics.epoch == task.job.epochs
        dispatcher.answer(task, proceed=proceed)
        if not proceed:
            self._interrupt(task.subject)
        return proceed

    def _fail(self, dispatcher: Dispatcher[_Entry], task: Task[_Entry], failure: Failure) -> None:
        if failure.kind == "diverged":
            self.diverged[task.subject.training.key] = failure.message
            self._end(task, State.PRUNED, f"diverged: {failure.message}")
            return
        text = failure.message
        if failure.kind == "out_of_memory" and not failure.own_fault:
            fewer = " or fewer --jobs" if dispatcher.running else ""  # alone, it lacks memory with any --jobs
            text += f"; with more free memory{fewer}, the same command goes on"
        text += f"; see {failure.log}"
        if failure.trace:
            self.tracker.log_text(task.subject.training.run, {"error.txt": failure.trace})
        self._end(task, State.FAILED, text)
        raise SweeperError(f"{task.name} failed: {text}")

    def _complete(self, task: Task[_Entry], result: TrialResult) -> None:
        training, job = task.subject.training, task.job
        plots = training_plots(training.name, task.history, result, self.classes)
        self.tracker.log_plots(training.run, plots)
        obsolete = [job.checkpoint, checkpoint.aside(job.checkpoint)]
        if training.to_mlflow:
            self.tracker.log_weights(training.run, job.weights)
            obsolete.append(job.weights)
        self._end(task, State.COMPLETE, metrics=result.metrics)
        if training.to_mlflow:
            # Once this file exists, the training never runs again: everything for MLflow must be sent first.
            result_file.write(job.folder, job.identity, self.tracker.run_id, CompletedTraining(task.history, result))
        for path in obsolete:
            self.tracker.forget(training.run, path)

    def _end(
        self, task: Task[_Entry], state: State, reason: str = "", metrics: Mapping[str, float] | None = None
    ) -> None:
        training, history = task.subject.training, task.history
        if training.run is not None:  # whoever opened the tracker's own run ends it
            self.tracker.finish(training.run, state, reason=reason, metrics=metrics)
        last = getattr(history[-1], METRICS[self.metric]) if history else math.nan
        value = None if math.isnan(last) else last
        self.listener(TrialEnded(task.subject.number, training.name, state, value, len(history), reason))

    def _interrupt(self, entry: _Entry) -> None:
        if entry.training.run is not None:
            reason = self.stop.reason or "the command ended"
            self.tracker.finish(entry.training.run, State.INTERRUPTED, reason=reason)
        if entry.started:
            self.listener(TrialInterrupted(entry.number, entry.training.name))


def _shares(execution: Execution) -> str:
    """How trainings share the GPUs, in words."""
    if len(execution.devices) == 1:
        return "from now on one training runs at a time, with all of the GPU's memory"
    part = "more" if execution.gpu_memory else "all"
    return f"from now on {len(execution.devices)} trainings run at once, each with {part} of a GPU's memory"
