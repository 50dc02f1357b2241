"""What is trained next in a sweep: what was cut short, what trials in training have left, else a new proposal."""

import time
from collections import deque

from sweeper.engine.dispatcher import Dispatcher, Task
from sweeper.engine.job import TrialJob
from sweeper.events import Note, State
from sweeper.models import families, layers
from sweeper.search.context import Context
from sweeper.search.recorder import Recorder
from sweeper.search.trial_end import Candidate, TrialFinisher
from sweeper.spaces.feasibility import check_decayed_layers
from sweeper.studies import proposer, trial_records
from sweeper.studies.proposer import Proposal, Proposer
from sweeper.studies.tell import tell_duplicate


class TrialQueue:
    """The trainings to come of one study; a proposal whose result is known, or cannot be had, is ended here."""

    def __init__(
        self, context: Context, dispatcher: Dispatcher[Candidate], recorder: Recorder, finisher: TrialFinisher
    ) -> None:
        self.study, self.spec, self.limits = context.study, context.spec, context.limits
        self.input_shape, self.classes = context.input_shape, context.classes
        self.dispatcher, self.recorder, self.finisher = dispatcher, recorder, finisher
        self.tell_user, self.stop = context.tell_user, context.stop
        self.proposer = Proposer(context.study, context.space, context.spec)
        self.unfinished = deque(self.proposer.unfinished())
        self.open: dict[int, Candidate] = {}  # the trials that were begun and have not ended
        self.further: deque[Task[Candidate]] = deque()  # trainings that these have left
        self.current: int | None = None  # the trial that is being placed
        self.duplicates = 0
        self.exhausted = False

    def next(self) -> Task[Candidate] | None:
        """The next training; None when there is none to start now."""
        while not self.stop.reason:
            if self.dispatcher.requeued:
                return self.dispatcher.requeued.popleft()
            if self.further:
                return self.further.popleft()
            if self.unfinished:
                proposal = self.unfinished.popleft()
            elif self.exhausted or trial_records.n_counted(self.study) + len(self.open) >= self.limits.trials:
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
            if self.duplicates >= proposer.MOST_DUPLICATES:
                self.exhausted = True
                self.tell_user(Note(f"the space is exhausted: {self.duplicates} proposals in a row were known"))
                return None
        return None

    def drop(self, candidate: Candidate) -> None:
        """Leaves out what of a trial's trainings is not running."""
        for line in (self.further, self.dispatcher.requeued):
            for task in [task for task in line if task.subject is candidate]:
                line.remove(task)

    def _place(self, proposal: Proposal) -> Task[Candidate] | None:
        """The first training of a proposal; None where its result is known, expected, or known to be impossible."""
        if self._is_known(proposal):
            self.duplicates += 1
            return None
        try:
            network = families.trace(proposal.configuration.model, self.input_shape, len(self.classes))
            check_decayed_layers(proposal.configuration, network)
        except ValueError as error:
            self.finisher.untrainable(proposal, "impossible_shape", str(error), 1.0)
            return None
        n_parameters = layers.n_parameters(network)
        most = self.limits.max_parameters
        if most is not None and n_parameters > most:
            # The baseline is trained all the same: it is what everything is measured against.
            if proposal.variant != "baseline":
                reason = f"{n_parameters:,} parameters, more than {most:,}"
                self.finisher.untrainable(proposal, "n_parameters", reason, float(n_parameters - most))
                return None
            proposal.trial.set_constraint("n_parameters", float(n_parameters - most))
        if proposal.trial.user_attrs.get("duplicate_of") is not None:
            proposal.trial.set_user_attr("duplicate_of", None)  # the trial that it repeated has failed since
        self.recorder.start(proposal)
        candidate = Candidate(proposal, n_parameters, time.monotonic(), prunable=self._is_prunable(proposal))
        candidate.tasks = [self._task(candidate, job) for job in self.recorder.jobs(proposal)]
        self.open[proposal.number] = candidate
        if not candidate.prunable:
            # Where no fold decides whether there is to be another, all may be trained at once.
            self.further.extend(candidate.tasks[1:])
        return candidate.tasks[0]

    def _task(self, candidate: Candidate, job: TrialJob) -> Task[Candidate]:
        proposal = candidate.proposal
        if job.label:
            reported = self.recorder.tracker.last_epoch(job.key)
            return Task(f"{proposal.name}, {job.label}", job, candidate, reported=reported)
        return Task(proposal.name, job, candidate, reported=proposal.last_step)

    def _is_prunable(self, proposal: Proposal) -> bool:
        """Whether the pruner may end the trial: neither the baseline nor a comparator."""
        return self.spec.pruner != "none" and not proposal.outside_space and proposal.variant != "baseline"

    def _is_known(self, proposal: Proposal) -> bool:
        """Whether the proposal repeats a trial in training, whose result it then waits for, or a finished one."""
        for candidate in self.open.values():
            if candidate.proposal.configuration.key() == proposal.configuration.key():
                proposal.trial.set_user_attr("duplicate_of", candidate.proposal.number)
                candidate.followers.append(proposal)
                return True
        for record in trial_records.records(self.study):
            if (
                record.state in (State.COMPLETE, State.PRUNED)
                and record.number != proposal.number
                and record.configuration == proposal.configuration
            ):
                tell_duplicate(self.study, proposal, record)
                return True
        return False
