"""The one process that owns a sweep: it asks Optuna, hands trials to workers, and hears what comes of them."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from sweeper import layers
from sweeper.errors import SweeperError
from sweeper.search import mishaps, proposals
from sweeper.search import study as studies
from sweeper.search.crew import POLL_SECONDS, Crew, Epoch, Task
from sweeper.search.endings import Candidate, Endings
from sweeper.search.events import EpochEnded, Leader, Listener, Note, SweepStarted, TrialInterrupted, TrialStarted
from sweeper.search.proposals import Proposal, Proposer
from sweeper.search.recorder import Recorder
from sweeper.search.study import METRICS, TrialRecord
from sweeper.search.trial import TrialResult
from sweeper.search.worker import Failure
from sweeper.search.workers import WorkerPool
from sweeper.space import Space
from sweeper.store import Store
from sweeper.tracking.runs import Tracker

# Failures in a row that stop the sweep: by then it is the code or the machine, not the configuration.
MOST_FAILURES = 5


@dataclass
class StopRequest:
    """Set from a signal handler, or by `sweeper stop`; the sweep ends with the epochs now running.

    `saving` tells the handler that there is something to save: before, a signal may end the process at once.
    `at_once` tells that the user has asked twice, and waits for nothing any more.
    """

    reason: str = ""
    saving: bool = False
    at_once: bool = False

    def heed(self, store: Store, study: str) -> None:
        """Takes note of a `sweeper stop` of the study."""
        if store.stop_requested(study):
            self.reason = self.reason or "sweeper stop"


@dataclass(frozen=True)
class Limits:
    """When the sweep is over, and which trials may win."""

    trials: int
    deadline: float | None = None  # on time.monotonic()
    target: float | None = None
    max_parameters: int | None = None
    keep: int = 5


class Coordinator:
    """Runs one study until a limit is reached or a stop is requested."""

    def __init__(
        self,
        *,
        study: optuna.Study,
        space: Space,
        spec: Mapping[str, Any],
        input_shape: tuple[int, int, int],
        classes: tuple[str, ...],
        limits: Limits,
        store: Store,
        pool: WorkerPool,
        tracker: Tracker,
        listener: Listener,
        stop: StopRequest,
    ) -> None:
        self.study, self.spec, self.limits, self.store = study, spec, limits, store
        self.input_shape, self.classes = input_shape, classes
        self.tracker, self.tell_user, self.stop = tracker, listener, stop
        proposals.end_told(study)
        self.recorder = Recorder(tracker, study, spec, input_shape, classes, store, limits.keep)
        self.endings = Endings(study, spec, tracker, self.recorder, listener)
        self.proposer = Proposer(study, space, spec)
        self.metric = METRICS[spec["metric"]]
        self.crew: Crew[Candidate] = Crew(pool, listener)
        self.unfinished = deque(self.proposer.unfinished())
        self.in_hand: int | None = None  # the trial of which something is being written
        self.duplicates = 0
        self.failures = 0  # in a row
        self.exhausted = False

    def run(self) -> None:
        """Trains until done; raises SweeperError after too many failures in a row, and where nothing can be written."""
        with mishaps.in_one_line(self.store):
            try:
                self._tell_start()
                self.stop.saving = True
                while True:
                    self._heed_limits()
                    self._fill_workers()
                    if not self.crew.running:
                        return
                    for task, event in self.crew.wait(POLL_SECONDS):
                        self.in_hand = task.job.number
                        self._handle(task, event)
                        self.in_hand = None
            except Exception as error:
                self.stop.reason = self.stop.reason or type(error).__name__
                raise
            finally:
                self._interrupt_the_rest()

    def _tell_start(self) -> None:
        """Tells the user where the study stands, and MLflow of trials that ended when a process was killed."""
        trials = studies.records(self.study)
        leader = studies.best(trials, self.spec["metric"])
        if leader is not None and self._reaches_target(leader):
            self.stop.reason = "target"
        self.tell_user(
            SweepStarted(
                study=self.study.study_name,
                done=self._n_counted(),
                total=self.limits.trials,
                epochs=self.spec["epochs"],
                n_workers=len(self.crew.pool),
                maximize=studies.direction(self.spec["metric"]) == "maximize",
                best=None if leader is None or leader.value is None else Leader(leader.name, leader.value),
            )
        )
        for record in trials:
            ended = record.state in ("complete", "pruned", "failed") and record.configuration is not None
            if ended and not self.tracker.is_ended(record.number):
                self.in_hand = record.number
                self.recorder.catch_up(record)
                self.in_hand = None

    def _interrupt_the_rest(self) -> None:
        """Whatever has not ended by now is for the next command; its run must not look as if it were going on."""
        left = {task.job.number for task in self.crew.unfinished()}
        if self.in_hand is not None and self.tracker.state(self.in_hand) == "running":
            left.add(self.in_hand)
        left |= {proposal.number for proposal in self.unfinished if self.tracker.child_run_id(proposal.number)}
        for number in sorted(left):
            if not self.tracker.is_ended(number):
                self._interrupt(number)

    def _fill_workers(self) -> None:
        for worker in self.crew.idle():
            task = self._next_task()
            if task is None:
                return
            self.crew.begin(worker, task)
            self.tell_user(TrialStarted(task.job.number, task.name, task.reported))

    def _next_task(self) -> Task[Candidate] | None:
        """The next trial to train: one cut short, else a new configuration; None when there is none to start."""
        while not self.stop.reason:
            if self.crew.requeued:
                return self.crew.requeued.popleft()
            if self.unfinished:
                proposal = self.unfinished.popleft()
            elif self.exhausted or self._n_counted() + len(self.crew.running) >= self.limits.trials:
                return None
            else:
                asked = self.proposer.ask()
                if asked is None:
                    self.exhausted = True
                    return None
                proposal = asked
            self.in_hand = proposal.number
            task = self._place(proposal)
            self.in_hand = None
            if task is not None:
                self.duplicates = 0
                return task
            if self.duplicates >= proposals.MOST_DUPLICATES:
                self.exhausted = True
                self.tell_user(Note(f"the space is exhausted: {self.duplicates} proposals in a row were known"))
                return None
        return None

    def _place(self, proposal: Proposal) -> Task[Candidate] | None:
        """The trial to train for a proposal; None where its result is known, expected, or known to be impossible."""
        if self._is_known(proposal):
            self.duplicates += 1
            return None
        try:
            network = layers.trace(proposal.configuration.model, self.input_shape, len(self.classes))
        except ValueError as error:
            self.endings.untrainable(proposal, "impossible_shape", str(error), 1.0)
            return None
        n_parameters = layers.n_parameters(network)
        most = self.limits.max_parameters
        if most is not None and n_parameters > most:
            # The baseline is trained all the same: it is what everything is measured against.
            if proposal.variant != "baseline":
                reason = f"{n_parameters:,} parameters, more than {most:,}"
                self.endings.untrainable(proposal, "n_parameters", reason, float(n_parameters - most))
                return None
            proposal.trial.set_constraint("n_parameters", float(n_parameters - most))
        if proposal.trial.user_attrs.get("duplicate_of") is not None:
            proposal.trial.set_user_attr("duplicate_of", None)  # the trial that it repeated has failed since
        self.recorder.start(proposal)
        frozen = self.study._storage.get_trial(proposal.trial._trial_id)
        candidate = Candidate(proposal, n_parameters, time.monotonic())
        return Task(proposal.name, self.recorder.job(proposal), candidate, reported=frozen.last_step or 0)

    def _is_known(self, proposal: Proposal) -> bool:
        """Whether the proposal repeats a trial in training, whose result it then waits for, or a finished one."""
        for task in self.crew.unfinished():
            if task.job.configuration.key() == proposal.configuration.key():
                proposal.trial.set_user_attr("duplicate_of", task.job.number)
                task.subject.followers.append(proposal)
                return True
        for record in studies.records(self.study):
            if (
                record.state in ("complete", "pruned")
                and record.number != proposal.number
                and record.configuration == proposal.configuration
            ):
                proposals.tell_duplicate(self.study, proposal, record)
                return True
        return False

    def _handle(self, task: Task[Candidate], event: Epoch | TrialResult | Failure) -> None:
        match event:
            case Epoch():
                self._epoch(task, event)
                return
            case TrialResult():
                self.recorder.figures(task.subject.proposal, task.history, event)
                record = self.endings.trained(task, "complete")
                if record.feasible and self._reaches_target(record):
                    self.stop.reason = self.stop.reason or "target"
            case Failure(kind="diverged" | "out_of_memory" as kind, message=text):
                self.endings.infeasible(task, kind, text)
            case Failure():
                self._fail(task, event)
                return
        self.failures = 0

    def _epoch(self, task: Task[Candidate], event: Epoch) -> None:
        metrics, proposal = event.metrics, task.subject.proposal
        self.recorder.epoch(task.job.number, metrics)
        last = metrics.epoch == task.job.epochs
        if event.new:
            proposal.trial.report(getattr(metrics, self.metric), metrics.epoch)
            self.tell_user(EpochEnded(task.job.number, metrics))
            # The baseline takes its place among the pruner's rungs, but is never pruned itself; nor is a
            # comparator, of which the pruner must not know.
            prune = not last and not proposal.comparator and proposal.trial.should_prune()
            if prune and proposal.variant != "baseline":
                self.crew.answer(task, go_on=False)
                self.endings.trained(task, "pruned", "pruner")
                self.failures = 0
                return
        go_on = last or not self.stop.reason
        self.crew.answer(task, go_on=go_on)
        if not go_on:
            self._interrupt(task.job.number)

    def _fail(self, task: Task[Candidate], failure: Failure) -> None:
        text = f"{failure.message}; see {failure.log}"
        if failure.trace:
            self.tracker.log_text(task.job.number, {"error.txt": failure.trace})
        self.endings.trained(task, "failed", text)
        self.failures += 1
        if self.failures >= MOST_FAILURES:
            raise SweeperError(f"{MOST_FAILURES} trials in a row failed, the last with: {text}")

    def _interrupt(self, number: int) -> None:
        self.tracker.finish(number, "interrupted", reason=self.stop.reason)
        self.tell_user(TrialInterrupted(number))

    def _reaches_target(self, record: TrialRecord) -> bool:
        target, value = self.limits.target, record.value
        if target is None or value is None:
            return False
        return value <= target if studies.direction(self.spec["metric"]) == "minimize" else value >= target

    def _heed_limits(self) -> None:
        if self.limits.deadline is not None and time.monotonic() >= self.limits.deadline:
            self.stop.reason = self.stop.reason or "timeout"
        self.stop.heed(self.store, self.study.study_name)

    def _n_counted(self) -> int:
        counted = studies.counts(studies.records(self.study))
        return counted["complete"] + counted["pruned"]
