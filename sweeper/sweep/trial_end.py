"""Ends the trials of a study: in Optuna first, then in MLflow, and then reports to the listener."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

from sweeper.engine.dispatcher import Task
from sweeper.engine.job import TrialResult
from sweeper.events import State, TrialEnded
from sweeper.models.limits import Excess
from sweeper.runs.fold_means import metrics_of
from sweeper.studies import trial_records, variant_curves
from sweeper.studies.objective import METRICS, direction
from sweeper.studies.proposer import Proposal
from sweeper.studies.tell import tell, tell_duplicate
from sweeper.studies.trial_records import TrialRecord
from sweeper.sweep.context import Context
from sweeper.sweep.recorder import Recorder
from sweeper.training.epoch_metrics import EpochMetrics


@dataclass(frozen=True)
class Decision:
    """How a trial ends: its state, the reason, and the violated constraints with the amount of each violation."""

    state: State
    reason: str = ""
    violated: Mapping[str, float] = field(default_factory=dict)


@dataclass(eq=False)
class Candidate:
    """A proposal in training: its trainings, and the later proposals that repeat it and wait for its result."""

    proposal: Proposal
    n_parameters: int
    started: float  # on time.monotonic()
    prunable: bool
    resumed_step: int = 0  # the last step reported by an earlier process, which may not have asked the pruner about it
    tasks: list["Task[Candidate]"] = field(default_factory=list)
    results: dict[int, TrialResult] = field(default_factory=dict)  # by the training's index in `tasks`
    decision: Decision | None = None
    followers: list[Proposal] = field(default_factory=list)

    @property
    def histories(self) -> list[list[EpochMetrics]]:
        """The epochs of the trainings that have any."""
        return [task.history for task in self.tasks if task.history]

    def n_scored(self) -> int:
        """How many trainings are complete before the first incomplete one: trainings are scored in order."""
        return next((index for index in range(len(self.tasks)) if index not in self.results), len(self.tasks))


class TrialFinisher:
    """Ends trials, one after the other: all writes about one trial come before the writes about the next."""

    def __init__(self, context: Context, recorder: Recorder) -> None:
        self.study, self.spec, self.classes = context.study, context.spec, context.classes
        self.tracker, self.recorder, self.listener = context.tracker, recorder, context.listener
        self.trials = context.trials
        self.metric, self.memory = METRICS[self.spec.metric], context.memory

    def end_trained(self, candidate: Candidate, decision: Decision) -> TrialRecord:
        """Ends a trial that was trained."""
        summary: dict[str, Any] = {
            "reason": decision.reason,
            "seconds": time.monotonic() - candidate.started,
            "n_parameters": candidate.n_parameters,
        }
        histories = candidate.histories
        if histories:
            metrics = metrics_of(
                histories,
                [result.metrics for result in candidate.results.values()],
                self.metric,
                minimize=direction(self.spec.metric) == "minimize",
            )
            summary |= {
                "value": metrics[self.metric],
                "metrics": metrics,
                "epochs": sum(map(len, histories)),
            }
        if "out_of_memory" in decision.violated:
            summary["memory"] = self.memory
        if decision.state == State.COMPLETE:
            summary["constant"] = self._constant_classes(list(candidate.results.values()))
        if candidate.proposal.variant is not None:
            variant_curves.save(candidate.proposal.trial, histories)
        tell(self.study, candidate.proposal, decision.state, summary, decision.violated)
        jobs = [task.job for task in candidate.tasks]
        self.recorder.end(jobs, self._record(candidate.proposal), histories)
        return self._announce_end(candidate.proposal, candidate.followers)

    def end_untrainable(self, proposal: Proposal, exceeded: Sequence[Excess]) -> None:
        """Prunes an infeasible trial without training it."""
        self.recorder.start(proposal)
        text = "; ".join(f"{excess.kind}: {excess.reason}" for excess in exceeded)
        tell(self.study, proposal, State.PRUNED, {"reason": text}, {excess.kind: excess.by for excess in exceeded})
        self.tracker.finish(proposal.number, State.PRUNED, reason=text)
        self._announce_end(proposal, [])

    def _constant_classes(self, results: Sequence[TrialResult]) -> list[str]:
        """The only class that each network gives to its validation images; empty if any gives several."""
        predicted = [result.confusion.sum(axis=0).nonzero()[0] for result in results if result.confusion is not None]
        if any(len(classes) != 1 for classes in predicted):
            return []
        return [self.classes[label] for label in sorted({int(classes[0]) for classes in predicted})]

    def _announce_end(self, proposal: Proposal, followers: Sequence[Proposal]) -> TrialRecord:
        if run_id := self.tracker.child_run_id(proposal.number):
            trial_records.set_run_id(self.study, proposal.number, run_id)
        record = self._record(proposal)
        for follower in followers:
            if record.state == State.FAILED:
                self.study.tell(follower.trial, state=optuna.trial.TrialState.FAIL)
            else:
                tell_duplicate(self.study, follower, record)
        self.listener(
            TrialEnded(
                record.number, record.name, record.state, record.value, record.epochs, record.reason, record.feasible
            )
        )
        return record

    def _record(self, proposal: Proposal) -> TrialRecord:
        return self.trials.record(proposal.number)
