"""Coordinates a sweep in the one process that owns it: gives trials to workers and acts on what they report."""

import shlex
from contextlib import suppress
from functools import partial
from statistics import fmean

from sweeper.engine.base import Engine, Failure
from sweeper.engine.dispatcher import POLL_SECONDS, Dispatcher, Epoch, Task
from sweeper.engine.job import TrialResult
from sweeper.errors import SweeperError
from sweeper.events import (
    ENDED,
    EpochEnded,
    Leader,
    Note,
    State,
    SweepStarted,
    TrainingEnded,
    TrialInterrupted,
    TrialStarted,
)
from sweeper.store.arguments import store_arguments
from sweeper.studies import processor, pruners, replay, storage_errors, trial_records
from sweeper.studies.objective import METRICS, direction, reaches
from sweeper.studies.owned_storage import together
from sweeper.studies.ownership import StudyLost
from sweeper.studies.tell import end_trials_with_results
from sweeper.sweep.context import Context
from sweeper.sweep.queue import TrialQueue
from sweeper.sweep.recorder import Recorder
from sweeper.sweep.time_limits import TimeLimits
from sweeper.sweep.trial_end import Candidate, Decision, TrialFinisher

# This many failures in a row stop the sweep: their cause is the code or the machine, not the configuration.
MOST_FAILURES = 5


class Coordinator:
    """Runs one study until a limit is reached or a stop is requested."""

    def __init__(self, context: Context, engine: Engine) -> None:
        self.study, self.spec, self.limits, self.store = context.study, context.spec, context.limits, context.store
        self.tracker, self.listener, self.stop = context.tracker, context.listener, context.stop
        self.check_owned = context.check_owned
        self.idle_job, self.room = context.idle_job, context.room
        end_trials_with_results(self.study)
        self.recorder = Recorder(context)
        self.finisher = TrialFinisher(context, self.recorder)
        self.metric = METRICS[self.spec.metric]
        self.dispatcher: Dispatcher[Candidate] = Dispatcher(engine, self.listener, self._record_processor)
        self.queue = TrialQueue(context, self.dispatcher, self.recorder, self.finisher)
        self.current: int | None = None  # the number of the trial that is being recorded
        self.time_limits = TimeLimits(context, self.dispatcher)
        self.failures = 0  # in a row

    def run(self) -> None:
        """Trains until done; raises SweeperError after too many failures in a row, or if a write to the store fails."""
        with storage_errors.translated(self.store):
            try:
                self._announce_start()
                self.stop.check()
                self.stop.saving = True
                while True:
                    self._check_limits()
                    self._fill_workers()
                    if not self.dispatcher.running and not (self.dispatcher.lacks_place() and self.queue.may_go_on()):
                        self.time_limits.note_overrun()
                        return
                    for task, event in self.dispatcher.wait(POLL_SECONDS):
                        self.current = task.job.number
                        self._handle(task, event)
                        self.current = None
            except Exception as error:
                self.stop.reason = self.stop.reason or type(error).__name__
                raise
            finally:
                with suppress(StudyLost):  # its trials are another process's
                    self.check_owned()
                    self._interrupt_the_rest()

    def _record_processor(self, kind: str) -> None:
        if note := processor.record(self.study, kind):
            self.listener(Note(note))

    def _announce_start(self) -> None:
        """Reports the study's progress, and completes the runs of ended trials that a killed process left open."""
        trials = trial_records.records(self.study)
        leader = trial_records.best(trials, self.spec.metric)
        if leader is not None and reaches(self.limits.target, leader.value, self.spec.metric):
            self.stop.reason = "target"
        self.listener(
            SweepStarted(
                study=self.study.study_name,
                done=trial_records.n_counted(trials),
                total=self.limits.trials,
                n_workers=len(self.dispatcher.engine),
                maximize=direction(self.spec.metric) == "maximize",
                best=None if leader is None or leader.value is None else Leader(leader.name, leader.value),
                metric=self.spec.metric,
                deadline=self.limits.deadline,
            )
        )
        for record in trials:
            if record.state in ENDED and record.configuration is not None and not self.tracker.is_ended(record.number):
                self.current = record.number
                self.recorder.catch_up(record)
                self.current = None

    def _interrupt_the_rest(self) -> None:
        """Marks unfinished runs as interrupted, so that they do not look active; the next command resumes them."""
        left = {*self.queue.open, *(proposal.number for proposal in self.queue.unfinished)}
        left |= {number for number in (self.current, self.queue.current) if number is not None}
        for candidate in self.queue.open.values():
            for task in candidate.tasks:
                self.recorder.interrupt(task.job, self.stop.reason)
        for number in sorted(left):
            if self.tracker.state(number) == State.RUNNING:
                self._interrupt(number)

    def _fill_workers(self) -> None:
        while (worker := self.dispatcher.idle()) is not None:
            task = self.queue.next_task()
            if task is None:
                if self.idle_job is not None and not self.stop.reason:
                    self.dispatcher.fill(partial(self.idle_job, len(self.queue.open)), self.room)
                return
            self.recorder.start_training(task.subject.proposal, task.job)
            if self.dispatcher.begin(worker, task):
                place = self.dispatcher.engine.place(worker)
                trial_records.set_place(task.subject.proposal.trial, self._places(task.subject))
                self.listener(TrialStarted(task.job.number, task.name, task.reported, task.job.epochs, place))

    def _places(self, candidate: Candidate) -> str:
        """The machines on which trainings of the trial run, other than this one."""
        running = self.dispatcher.running.items()
        places = {self.dispatcher.engine.place(worker) for worker, task in running if task.subject is candidate}
        return ", ".join(sorted(places - {""}))

    def _handle(self, task: Task[Candidate], event: Epoch | TrialResult | Failure) -> None:
        self.check_owned()
        candidate = task.subject
        match event:
            case Epoch():
                self._handle_epoch(task, event)
            case TrialResult():
                self._handle_result(task, event)
            case Failure(kind="diverged" | "out_of_memory" as kind, message=text, own_fault=True):
                self._decide(candidate, Decision(State.PRUNED, f"{kind}: {text}", {kind: 1.0}))
            case Failure():
                text = event.message
                if event.kind == "out_of_memory":  # what else uses the memory is no fault of the trial
                    fewer = " or fewer --jobs" if self.dispatcher.running else ""  # alone, it lacks memory with any
                    text += f"; after `{self._retry()}`, a search with more free memory{fewer} tries it again"
                text += f"; see {event.log}"
                if event.trace:
                    self.tracker.log_text(task.job.key, {"error.txt": event.trace})
                self._decide(candidate, Decision(State.FAILED, text))
        self._end_if_decided(candidate)

    def _retry(self) -> str:
        """The command that enqueues the failed trials again."""
        return f"sweeper retry {shlex.quote(self.study.study_name)} --failed{store_arguments(self.store)}"

    def _handle_epoch(self, task: Task[Candidate], event: Epoch) -> None:
        candidate, metrics = task.subject, event.metrics
        if candidate.decision is not None:  # from another of its trainings
            self.dispatcher.answer(task, proceed=False)
            return
        self.recorder.record_epoch(task.job, metrics)
        last = metrics.epoch == task.job.epochs
        if event.new:
            self.time_limits.record_epoch(metrics.epoch_seconds)
            self.listener(EpochEnded(task.job.number, task.name, metrics))
        if len(candidate.tasks) == 1 and self._report(candidate, metrics.epoch, last, new=event.new):
            self.dispatcher.answer(task, proceed=False)
            return
        if not last:
            if reason := self.time_limits.overdue(candidate, metrics.epoch_seconds):
                self._decide(candidate, Decision(State.PRUNED, reason))
                self.dispatcher.answer(task, proceed=False)
                return
            self.time_limits.stop_if_late(metrics.epoch_seconds)
        proceed = last or not self.stop.reason
        self.dispatcher.answer(task, proceed=proceed)
        if not proceed:
            self.recorder.interrupt(task.job, self.stop.reason)
            if not self._is_running(candidate):
                self._interrupt(task.job.number)

    def _handle_result(self, task: Task[Candidate], result: TrialResult) -> None:
        candidate = task.subject
        if candidate.decision is not None:
            return
        self.recorder.end_training(task.name, task.job, task.history, result)
        before = candidate.n_scored()
        candidate.results[candidate.tasks.index(task)] = result
        n_scored, n_trainings = candidate.n_scored(), len(candidate.tasks)
        if n_trainings > 1:
            score = getattr(task.history[-1], self.metric)
            self.listener(TrainingEnded(task.job.number, task.name, score))
            for step in range(before + 1, n_scored + 1):
                new = step > candidate.proposal.last_step
                if self._report(candidate, step, step == n_trainings, new=new):
                    return
        if n_scored == n_trainings:
            if n_trainings > 1:
                results = [candidate.results[index] for index in range(n_trainings)]
                self.recorder.log_mean_plots(candidate.proposal, candidate.histories, results)
            self._decide(candidate, Decision(State.COMPLETE))
        elif candidate.prunable:
            self.queue.remaining.append(candidate.tasks[n_scored])

    def _report(self, candidate: Candidate, step: int, last: bool, *, new: bool) -> bool:
        """Reports the score at a new step to the pruner; returns whether the pruner has ended the trial.

        The score is that of the epoch or, if there are several trainings, the running mean of the complete ones. Of the
        steps that an earlier process has reported, the pruner is asked only about the last one.
        """
        trial, histories = candidate.proposal.trial, [task.history for task in candidate.tasks]
        if not new and step != candidate.resumed_step:
            return False
        candidate.resumed_step = 0  # a worker's death sends the step once more
        # Pruning at the last training or epoch saves nothing. The pruner is also asked about the baseline, because the
        # call alone enters a trial into the pruner's rungs. The pruner must not know of variants outside the space.
        asked = not last and not candidate.proposal.outside_space
        with together(self.study):
            if new:
                done = histories if len(histories) == 1 else histories[:step]
                trial.report(fmean(getattr(history[-1], self.metric) for history in done), step)
            prune = asked and (trial.should_prune() if new else replay.should_prune(self.study, trial))
        if prune and candidate.prunable:
            unit = "epoch" if len(histories) == 1 else "training"
            self._decide(candidate, Decision(State.PRUNED, pruners.reason(self.spec.pruner, step, unit)))
            return True
        return False

    def _decide(self, candidate: Candidate, decision: Decision) -> None:
        """Decides how the trial ends, unless that is already decided; discards its trainings that are not running."""
        candidate.decision = candidate.decision or decision
        self.queue.discard(candidate)

    def _end_if_decided(self, candidate: Candidate) -> None:
        """Ends a trial as decided, once none of its trainings is running."""
        decision = candidate.decision
        if decision is None or self._is_running(candidate):
            return
        record = self.finisher.end_trained(candidate, decision)
        del self.queue.open[record.number]
        reached = reaches(self.limits.target, record.value, self.spec.metric)
        if decision.state == State.COMPLETE and record.feasible and reached:
            self.stop.reason = self.stop.reason or "target"
        self.failures = self.failures + 1 if decision.state == State.FAILED else 0
        if self.failures >= MOST_FAILURES:
            raise SweeperError(f"{MOST_FAILURES} trials in a row failed, the last with: {decision.reason}")

    def _is_running(self, candidate: Candidate) -> bool:
        return any(task.subject is candidate for task in self.dispatcher.running.values())

    def _interrupt(self, number: int) -> None:
        self.tracker.finish(number, State.INTERRUPTED, reason=self.stop.reason)
        variant = self.study.get_trials(deepcopy=False)[number].user_attrs.get("variant")
        self.listener(TrialInterrupted(number, trial_records.trial_name(number, variant)))

    def _check_limits(self) -> None:
        self.check_owned()
        self.time_limits.stop_if_late()
        self.stop.poll(self.store, self.study.study_name)
        for task in [*self.dispatcher.running.values()]:
            # The sampler sees no constraint: a trial's time depends on the machine and its other work, too.
            if reason := self.time_limits.overdue(task.subject):
                self.current = task.job.number
                self._decide(task.subject, Decision(State.PRUNED, reason))
                self.dispatcher.abandon(task)
                self._end_if_decided(task.subject)
                self.current = None
