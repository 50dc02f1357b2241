"""A sweep's queue of trainings: requeued ones, then the rest of open trials, interrupted trials, new proposals."""

import time
from collections import deque

import optuna

from sweeper.engine.dispatcher import Dispatcher, Task
from sweeper.engine.job import TrialJob
from sweeper.events import Note, State
from sweeper.models import layers
from sweeper.models.latency import deployed, milliseconds
from sweeper.models.limits import Excess
from sweeper.spaces import feasibility
from sweeper.studies import proposer, trial_records
from sweeper.studies.attributes import MILLISECONDS
from sweeper.studies.objective import reaches
from sweeper.studies.proposer import Proposal, Proposer
from sweeper.studies.tell import tell_duplicate
from sweeper.sweep.context import Context
from sweeper.sweep.recorder import Recorder
from sweeper.sweep.trial_end import Candidate, TrialFinisher


def has_work(study: optuna.Study, metric: str, trials: int, target: float | None) -> bool:
    """Whether a search until the study has `trials` trials, or the target, may still have something to train."""
    found = trial_records.records(study)
    best = trial_records.best(found, metric)
    if best is not None and reaches(target, best.value, metric):
        return False
    return trial_records.n_counted(found) < trials or any(record.state == State.RUNNING for record in found)


class TrialQueue:
    """The next trainings of one study; also ends proposals whose result is known or which cannot be trained."""

    def __init__(
        self, context: Context, dispatcher: Dispatcher[Candidate], recorder: Recorder, finisher: TrialFinisher
    ) -> None:
        self.study, self.spec, self.limits = context.study, context.spec, context.limits
        self.input_shape, self.classes = context.input_shape, context.classes
        self.dispatcher, self.recorder, self.finisher = dispatcher, recorder, finisher
        self.listener, self.stop, self.trials = context.listener, context.stop, context.trials
        self.proposer = Proposer(context.study, context.space, context.spec)
        self.unfinished = deque(self.proposer.unfinished())
        self.open: dict[int, Candidate] = {}  # the trials that have started and not ended, by number
        self.remaining: deque[Task[Candidate]] = deque()  # trainings of open trials that may start
        self.current: int | None = None  # the number of the trial that `_place` works on
        resumed = {proposal.number for proposal in self.unfinished}
        # In a row, counted on from earlier commands: else each would ask an exhausted space again.
        self.duplicates = trial_records.duplicates_in_a_row(
            [record for record in trial_records.records(self.study) if record.number not in resumed]
        )
        self.exhausted = False

    def may_go_on(self) -> bool:
        """Whether a training may start once a worker can take it; the space may turn out to be exhausted."""
        if self.stop.reason:
            return False
        return bool(self.dispatcher.requeued or self.remaining or self.unfinished) or not self._has_all()

    def next_task(self) -> Task[Candidate] | None:
        """The next training; None if none can start now."""
        while not self.stop.reason:
            if self.dispatcher.requeued:
                return self.dispatcher.requeued.popleft()
            if self.remaining:
                return self.remaining.popleft()
            if self.unfinished:
                proposal = self.unfinished.popleft()
            elif self._has_all():
                return None
            elif self.duplicates >= proposer.MOST_DUPLICATES and not self.proposer.has_waiting():
                self.exhausted = True
                self.listener(Note(f"the space is exhausted: {self.duplicates} proposals in a row repeat known trials"))
                return None
            else:
                asked = self.proposer.ask()
                if asked is None:
                    self.exhausted = True
                    return None
                proposal = asked
            self.current = proposal.number
            task = self._place(proposal)
            self.current = None
            if task is not None:
                self.duplicates = 0
                return task
        return None

    def _has_all(self) -> bool:
        """Whether no trial may be proposed any more: there are enough, or the space is exhausted."""
        if self.exhausted:
            return True
        return self.trials.n_counted() + len(self.open) >= self.limits.trials

    def discard(self, candidate: Candidate) -> None:
        """Removes a trial's trainings that are not running from the queue."""
        for queue in (self.remaining, self.dispatcher.requeued):
            for task in [task for task in queue if task.subject is candidate]:
                queue.remove(task)

    def _place(self, proposal: Proposal) -> Task[Candidate] | None:
        """The first training of a proposal; None if its result is known or awaited, or if it cannot be trained."""
        if self._resolve_duplicate(proposal):
            self.duplicates += 1
            return None
        try:
            network = feasibility.trace(proposal.configuration, self.input_shape, len(self.classes))
        except ValueError as error:
            self.finisher.end_untrainable(proposal, [Excess("impossible_shape", str(error), 1.0)])
            return None
        n_parameters = layers.n_parameters(network)
        exceeded = self.spec.limits.exceeded(n_parameters, layers.n_multiply_adds(network), self._latency(proposal))
        # The baseline is trained anyway, because all trials are compared with it.
        if exceeded and proposal.variant != "baseline":
            self.finisher.end_untrainable(proposal, exceeded)
            return None
        for excess in exceeded:
            proposal.trial.set_constraint(excess.kind, excess.by)
        if proposal.trial.user_attrs.get("duplicate_of") is not None:
            proposal.trial.set_user_attr("duplicate_of", None)  # the trial that it duplicates has failed since
        self.recorder.start(proposal)
        candidate = Candidate(
            proposal,
            n_parameters,
            time.monotonic(),
            prunable=self._is_prunable(proposal),
            resumed_step=proposal.last_step,
        )
        candidate.tasks = [self._task(candidate, job) for job in self.recorder.jobs(proposal)]
        self.open[proposal.number] = candidate
        if not candidate.prunable:
            # Without pruning, no training decides whether the next one starts: all may run at once.
            self.remaining.extend(candidate.tasks[1:])
        return candidate.tasks[0]

    def _latency(self, proposal: Proposal) -> float | None:
        """The milliseconds of the proposal's network, if the study limits them: measured once a network, and stored.

        A later measurement, by a resumed search or on another machine, would decide otherwise about the same network.
        """
        if self.spec.max_latency is None:
            return None
        model = proposal.configuration.model
        found = self.trials.milliseconds(model) or milliseconds(deployed(model), self.input_shape, len(self.classes))
        proposal.trial.set_user_attr(MILLISECONDS, found)
        return found

    def _task(self, candidate: Candidate, job: TrialJob) -> Task[Candidate]:
        proposal = candidate.proposal
        if job.label:
            reported = self.recorder.tracker.last_epoch(job.key)
            return Task(f"{proposal.name}, {job.label}", job, candidate, reported=reported)
        return Task(proposal.name, job, candidate, reported=proposal.last_step)

    def _is_prunable(self, proposal: Proposal) -> bool:
        """Whether the pruner may end the trial; it may not end the baseline or a variant outside the space."""
        return self.spec.pruner != "none" and not proposal.outside_space and proposal.variant != "baseline"

    def _resolve_duplicate(self, proposal: Proposal) -> bool:
        """Gives a repeated proposal the finished trial's result, or queues it for the open trial's; False if new."""
        for candidate in self.open.values():
            if candidate.proposal.configuration == proposal.configuration:
                proposal.trial.set_user_attr("duplicate_of", candidate.proposal.number)
                candidate.followers.append(proposal)
                return True
        # The proposal's own trial has not ended, and is none of these.
        if record := self.trials.result_of(proposal.configuration):
            tell_duplicate(self.study, proposal, record)
            return True
        return False
