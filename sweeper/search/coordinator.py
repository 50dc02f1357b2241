"""The one process that owns a sweep: it asks Optuna, hands trials to workers, and tells Optuna and MLflow."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import optuna

from sweeper import layers
from sweeper.errors import SweeperError
from sweeper.search import proposals
from sweeper.search import study as studies
from sweeper.search.events import (
    EpochEnded,
    Leader,
    Listener,
    Note,
    SweepStarted,
    TrialEnded,
    TrialInterrupted,
    TrialStarted,
)
from sweeper.search.proposals import Proposal, Proposer
from sweeper.search.recorder import Recorder
from sweeper.search.study import METRICS, TrialRecord
from sweeper.search.trial import TrialJob, TrialResult
from sweeper.search.workers import Died, Failure, WorkerPool
from sweeper.space import Space
from sweeper.store import Store
from sweeper.tracking.runs import Tracker
from sweeper.training.fit import EpochMetrics

# Failures in a row that stop the sweep: by then it is the code or the machine, not the configuration.
MOST_FAILURES = 5
# Deaths of a trial's worker without an epoch in between, before the trial is given up.
MOST_DEATHS = 3
POLL_SECONDS = 0.5


@dataclass
class StopRequest:
    """Set from a signal handler; the sweep ends with the epochs now running.

    `saving` tells the handler that there is something to save: before, a signal may end the process at once.
    `at_once` tells that the user has asked twice, and waits for nothing any more.
    """

    reason: str = ""
    saving: bool = False
    at_once: bool = False


@dataclass(frozen=True)
class Limits:
    """When the sweep is over, and which trials may win."""

    trials: int
    deadline: float | None = None  # on time.monotonic()
    target: float | None = None
    max_parameters: int | None = None
    keep: int = 5


@dataclass
class _Running:
    """A trial in a worker, with the proposals that repeat it and wait for its result."""

    proposal: Proposal
    job: TrialJob
    started: float
    n_parameters: int
    history: list[EpochMetrics] = field(default_factory=list)
    reported: int = 0  # the last epoch that the storage knows
    deaths: int = 0
    out_of_memory: int = 0
    followers: list[Proposal] = field(default_factory=list)


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
        self.study, self.space, self.spec, self.limits = study, space, spec, limits
        self.input_shape, self.classes = input_shape, classes
        self.pool, self.tracker, self.tell_user, self.stop = pool, tracker, listener, stop
        self.recorder = Recorder(tracker, study, spec, input_shape, classes, store, limits.keep)
        self.proposer = Proposer(study, space, spec)
        self.metric = METRICS[spec["metric"]]
        self.running: dict[int, _Running] = {}  # by worker
        self.requeued: deque[_Running] = deque()
        self.unfinished = deque(self.proposer.unfinished())
        self.duplicates = 0
        self.failures: list[str] = []
        self.idle_deaths = 0
        self.exhausted = False

    def run(self) -> None:
        """Trains until done; raises SweeperError after too many failures in a row."""
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
                n_workers=len(self.pool),
                maximize=studies.direction(self.spec["metric"]) == "maximize",
                best=None if leader is None or leader.value is None else Leader(leader.name, leader.value),
            )
        )
        self._catch_up(trials)
        self.stop.saving = True
        try:
            while True:
                self._check_time()
                self._fill_workers()
                if not self.running:
                    return
                for worker, message in self.pool.wait(POLL_SECONDS):
                    self._handle(worker, message)
        except Exception as error:
            self.stop.reason = self.stop.reason or type(error).__name__
            raise
        finally:
            self._interrupt_the_rest()

    def _catch_up(self, trials: list[TrialRecord]) -> None:
        """Tells MLflow of ended trials whose end it has not heard of: a process was killed in between."""
        for record in trials:
            ended = record.state in ("complete", "pruned", "failed") and record.configuration is not None
            if ended and not self.tracker.is_ended(record.number):
                self.recorder.catch_up(record)

    def _interrupt_the_rest(self) -> None:
        """Whatever has not ended by now is for the next command; its run must not look as if it were going on."""
        for trial in [*self.running.values(), *self.requeued]:
            self._interrupt(trial.job.number)
        for proposal in self.unfinished:
            if self.tracker.child_run_id(proposal.number):
                self._interrupt(proposal.number)

    def _fill_workers(self) -> None:
        for worker in range(len(self.pool)):
            if worker in self.running:
                continue
            if self.stop.reason:
                return
            trial = self._next_trial()
            if trial is None:
                return
            self.running[worker] = trial
            self.pool.train(worker, trial.job)
            self.tell_user(TrialStarted(trial.job.number, trial.proposal.name, trial.reported))

    def _next_trial(self) -> _Running | None:
        """The next trial to train: one cut short, else a new configuration; None when there is none to start."""
        if self.requeued:
            return self.requeued.popleft()
        while not self.stop.reason:
            if self.unfinished:
                proposal = self.unfinished.popleft()
            elif self.exhausted or self._n_counted() + len(self.running) >= self.limits.trials:
                return None
            else:
                asked = self.proposer.ask()
                if asked is None:
                    self.exhausted = True
                    return None
                proposal = asked
            trial = self._place(proposal)
            if trial is not None:
                self.duplicates = 0
                return trial
            if self.duplicates >= proposals.MOST_DUPLICATES:
                self.exhausted = True
                self.tell_user(Note(f"the space is exhausted: {self.duplicates} proposals in a row were known"))
                return None
        return None

    def _place(self, proposal: Proposal) -> _Running | None:
        """The trial to train for a proposal; None where its result is known, expected, or known to be impossible."""
        key = proposal.configuration.key()
        for trial in [*self.running.values(), *self.requeued]:
            if trial.proposal.configuration.key() == key:
                proposal.trial.set_user_attr("duplicate_of", trial.job.number)
                trial.followers.append(proposal)
                self.duplicates += 1
                return None
        for record in studies.records(self.study):
            if (
                record.state in ("complete", "pruned")
                and record.number != proposal.number
                and record.configuration == proposal.configuration
            ):
                proposals.tell_duplicate(self.study, proposal, record)
                self.duplicates += 1
                return None
        try:
            network = layers.trace(proposal.configuration.model, self.input_shape, len(self.classes))
        except ValueError as error:
            self.recorder.start(proposal)
            self._end_infeasible(proposal, "impossible_shape", str(error), 1.0)
            return None
        n_parameters = layers.n_parameters(network)
        most = self.limits.max_parameters
        if most is not None and n_parameters > most:
            # The baseline is trained all the same: it is what everything is measured against.
            if proposal.variant != "baseline":
                self.recorder.start(proposal)
                reason = f"{n_parameters:,} parameters, more than {most:,}"
                self._end_infeasible(proposal, "n_parameters", reason, float(n_parameters - most))
                return None
            proposal.trial.set_constraint("n_parameters", float(n_parameters - most))
        if proposal.trial.user_attrs.get("duplicate_of") is not None:
            proposal.trial.set_user_attr("duplicate_of", None)  # the trial that it repeated has failed since
        self.recorder.start(proposal)
        job = self.recorder.job(proposal)
        frozen = self.study._storage.get_trial(proposal.trial._trial_id)
        return _Running(proposal, job, time.monotonic(), n_parameters, reported=frozen.last_step or 0)

    def _handle(self, worker: int, message: Any) -> None:
        trial = self.running.get(worker)
        if trial is None:
            if isinstance(message, Died):
                self._note_idle_death(worker, message)
            return
        self.idle_deaths = 0
        if isinstance(message, EpochMetrics):
            self._epoch(worker, trial, message)
            return
        del self.running[worker]
        match message:
            case TrialResult():
                self._complete(trial, message)
            case Died(exit_code=code):
                self._died(worker, trial, code)
            case Failure(kind="out_of_memory", own_fault=False) if not trial.out_of_memory:
                # A neighbour may have taken the memory: one more try.
                trial.out_of_memory += 1
                self._requeue(trial)
            case Failure(kind="diverged" | "out_of_memory" as kind, message=text):
                self._end_infeasible(trial.proposal, kind, text, 1.0, trial)
            case Failure(message=text, trace=trace):
                self._fail(worker, trial, text, trace)

    def _epoch(self, worker: int, trial: _Running, metrics: EpochMetrics) -> None:
        trial.history.append(metrics)
        self.recorder.epoch(trial.job.number, metrics)
        optuna_trial = trial.proposal.trial
        if metrics.epoch > trial.reported:
            trial.reported = metrics.epoch
            trial.deaths = 0
            optuna_trial.report(getattr(metrics, self.metric), metrics.epoch)
            self.tell_user(EpochEnded(trial.job.number, metrics))
            last = metrics.epoch == trial.job.epochs
            # The baseline takes its place among the pruner's rungs, but is never pruned itself; nor is a
            # comparator, of which the pruner must not know.
            prune = not last and not trial.proposal.comparator and optuna_trial.should_prune()
            if prune and trial.proposal.variant != "baseline":
                self.pool.answer(worker, go_on=False)
                del self.running[worker]
                self._end(trial, "pruned", "pruner")
                return
        if self.stop.reason and metrics.epoch < trial.job.epochs:
            self.pool.answer(worker, go_on=False)
            del self.running[worker]
            self._interrupt(trial.job.number)
            return
        self.pool.answer(worker, go_on=True)

    def _complete(self, trial: _Running, result: TrialResult) -> None:
        self.recorder.figures(trial.proposal, trial.history, result)
        self._end(trial, "complete", "")

    def _end(self, trial: _Running, state: str, reason: str) -> None:
        """Ends a trial that has trained: complete, pruned or failed."""
        last = trial.history[-1] if trial.history else None
        summary: dict[str, Any] = {
            "reason": reason,
            "seconds": time.monotonic() - trial.started,
            "n_parameters": trial.n_parameters,
        }
        if last is not None:
            sign = 1 if studies.direction(self.spec["metric"]) == "minimize" else -1
            top = min(trial.history, key=lambda m: sign * getattr(m, self.metric))
            best_epoch = {"best_epoch": top.epoch, f"best_{self.metric}": getattr(top, self.metric)}
            summary |= {"value": getattr(last, self.metric), "metrics": asdict(last) | best_epoch}
        proposals.tell(self.study, trial.proposal, state, summary)
        self.recorder.end(trial.job, self._record(trial.proposal))
        record = self._finished(trial.proposal, trial.followers)
        if state != "failed":
            self.failures.clear()
        if record.feasible and record.state == "complete" and self._reaches_target(record):
            self.stop.reason = self.stop.reason or "target"

    def _finished(self, proposal: Proposal, followers: list[Proposal]) -> TrialRecord:
        """Tells everybody of a trial that has just ended, those that repeat it included."""
        if run_id := self.tracker.child_run_id(proposal.number):
            studies.set_run_id(self.study, proposal.number, run_id)
        record = self._record(proposal)
        for follower in followers:
            if record.state == "failed":
                self.study.tell(follower.trial, state=optuna.trial.TrialState.FAIL)
            else:
                proposals.tell_duplicate(self.study, follower, record)
        self.tell_user(
            TrialEnded(
                record.number, record.name, record.state, record.value, record.epochs, record.reason, record.feasible
            )
        )
        return record

    def _record(self, proposal: Proposal) -> TrialRecord:
        return next(record for record in studies.records(self.study) if record.number == proposal.number)

    def _end_infeasible(
        self, proposal: Proposal, kind: str, reason: str, violation: float, trial: _Running | None = None
    ) -> None:
        """Prunes a trial with a constraint, so that the sampler learns to stay away."""
        proposal.trial.set_constraint(kind, violation)
        text = f"{kind}: {reason}"
        if trial is not None:
            self._end(trial, "pruned", text)
            return
        proposals.tell(self.study, proposal, "pruned", {"reason": text})
        self.tracker.finish(proposal.number, "pruned", reason=text)
        self._finished(proposal, [])

    def _fail(self, worker: int, trial: _Running, text: str, trace: str) -> None:
        self._end(trial, "failed", text)
        if trace:
            self.tracker.log_text(trial.job.number, {"error.txt": trace})
        self.failures.append(text)
        if len(self.failures) >= MOST_FAILURES:
            raise SweeperError(
                f"{MOST_FAILURES} trials in a row failed, the last with: {text}; see {self.pool.log(worker)}"
            )

    def _died(self, worker: int, trial: _Running, exit_code: int | None) -> None:
        """Goes on with the trial from its checkpoint in a new worker, unless its workers keep dying."""
        trial.deaths += 1
        text = f"the worker ended with exit code {exit_code}"
        if trial.deaths >= MOST_DEATHS:
            self._fail(worker, trial, f"{text}, {trial.deaths} times without finishing an epoch", "")
            return
        self.tell_user(Note(f"{trial.proposal.name}: {text}; going on from its last epoch"))
        self._requeue(trial)

    def _requeue(self, trial: _Running) -> None:
        trial.history.clear()  # the checkpoint brings it back
        self.requeued.append(trial)

    def _note_idle_death(self, worker: int, death: Died) -> None:
        self.idle_deaths += 1
        if self.idle_deaths >= MOST_DEATHS:
            raise SweeperError(
                f"workers end before they train (exit code {death.exit_code}); see {self.pool.log(worker)}"
            )

    def _interrupt(self, number: int) -> None:
        self.tracker.finish(number, "interrupted", reason=self.stop.reason)
        self.tell_user(TrialInterrupted(number))

    def _reaches_target(self, record: TrialRecord) -> bool:
        target, value = self.limits.target, record.value
        if target is None or value is None:
            return False
        return value <= target if studies.direction(self.spec["metric"]) == "minimize" else value >= target

    def _check_time(self) -> None:
        if self.limits.deadline is not None and time.monotonic() >= self.limits.deadline:
            self.stop.reason = self.stop.reason or "timeout"

    def _n_counted(self) -> int:
        counted = studies.counts(studies.records(self.study))
        return counted["complete"] + counted["pruned"]
