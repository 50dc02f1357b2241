"""How the trials of a study end: told to Optuna first, then to MLflow, then to the user."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import optuna

from sweeper.search import proposals
from sweeper.search import study as studies
from sweeper.search.crew import Task
from sweeper.search.events import Listener, TrialEnded
from sweeper.search.proposals import Proposal
from sweeper.search.recorder import Recorder
from sweeper.search.study import METRICS, TrialRecord
from sweeper.tracking.runs import Tracker


@dataclass
class Candidate:
    """A proposal in training, with those that repeat it and wait for its result."""

    proposal: Proposal
    n_parameters: int
    started: float  # on time.monotonic()
    followers: list[Proposal] = field(default_factory=list)


class Endings:
    """Ends trials; what is written about one is there before the next is written about."""

    def __init__(
        self, study: optuna.Study, spec: Mapping[str, Any], tracker: Tracker, recorder: Recorder, listener: Listener
    ) -> None:
        self.study, self.spec = study, spec
        self.tracker, self.recorder, self.tell_user = tracker, recorder, listener
        self.metric = METRICS[spec["metric"]]

    def trained(
        self, task: Task[Candidate], state: str, reason: str = "", violated: Mapping[str, float] | None = None
    ) -> TrialRecord:
        """Ends a trial that has trained: complete, pruned or failed; with the constraints that it has `violated`."""
        candidate = task.subject
        summary: dict[str, Any] = {
            "reason": reason,
            "seconds": time.monotonic() - candidate.started,
            "n_parameters": candidate.n_parameters,
        }
        if task.history:
            last = task.history[-1]
            sign = 1 if studies.direction(self.spec["metric"]) == "minimize" else -1
            top = min(task.history, key=lambda m: sign * getattr(m, self.metric))
            best_epoch = {"best_epoch": top.epoch, f"best_{self.metric}": getattr(top, self.metric)}
            summary |= {"value": getattr(last, self.metric), "metrics": asdict(last) | best_epoch}
        proposals.tell(self.study, candidate.proposal, state, summary, violated)
        self.recorder.end(task.job, self._record(candidate.proposal))
        return self._tell_everybody(candidate.proposal, candidate.followers)

    def infeasible(self, task: Task[Candidate], kind: str, reason: str) -> None:
        """Prunes a trial that has trained, with a constraint, so that the sampler learns to stay away."""
        self.trained(task, "pruned", f"{kind}: {reason}", {kind: 1.0})

    def untrainable(self, proposal: Proposal, kind: str, reason: str, violation: float) -> None:
        """Prunes a trial that is known to be infeasible before it has trained."""
        self.recorder.start(proposal)
        text = f"{kind}: {reason}"
        proposals.tell(self.study, proposal, "pruned", {"reason": text}, {kind: violation})
        self.tracker.finish(proposal.number, "pruned", reason=text)
        self._tell_everybody(proposal, [])

    def _tell_everybody(self, proposal: Proposal, followers: Sequence[Proposal]) -> TrialRecord:
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
