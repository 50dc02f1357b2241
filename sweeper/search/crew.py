"""Workers with trainings to do, and the rules by which one that meets with bad luck is gone on with or given up."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from sweeper.errors import SweeperError
from sweeper.search.events import Listener, Note
from sweeper.search.mishaps import GOES_ON
from sweeper.search.trial import TrialJob, TrialResult
from sweeper.search.worker import Failure
from sweeper.search.workers import Died, WorkerPool
from sweeper.training.fit import EpochMetrics

# Deaths of a task's worker without a new epoch in between, before the task is given up.
MOST_DEATHS = 3
POLL_SECONDS = 0.5

Subject = TypeVar("Subject")


@dataclass(eq=False)
class Task(Generic[Subject]):
    """A training on its way, through however many workers; the `subject` is what its owner knows of it."""

    name: str
    job: TrialJob
    subject: Subject
    reported: int = 0  # the last epoch that its owner has heard of
    history: list[EpochMetrics] = field(default_factory=list)
    deaths: int = 0
    tried_again: bool = False  # after it ran out of memory


@dataclass(frozen=True)
class Epoch:
    """An epoch of a task, to be answered.

    One that is not `new` was heard of before: a checkpoint brought it back, or it was trained again without one.
    """

    metrics: EpochMetrics
    new: bool


class Crew(Generic[Subject]):
    """The workers of a pool, and the tasks that they have begun."""

    def __init__(self, pool: WorkerPool, listener: Listener) -> None:
        self.pool, self.tell_user = pool, listener
        self.running: dict[int, Task[Subject]] = {}  # by worker
        self.requeued: deque[Task[Subject]] = deque()  # to be gone on with, before any other
        self._deaths = 0  # in a row, of workers that no task has ended

    def idle(self) -> list[int]:
        """The workers without a task."""
        return [worker for worker in range(len(self.pool)) if worker not in self.running]

    def unfinished(self) -> list[Task[Subject]]:
        """The tasks that have begun and not ended."""
        return [*self.running.values(), *self.requeued]

    def begin(self, worker: int, task: Task[Subject]) -> None:
        """Gives an idle worker a task; to one that ran out of memory before, a process that holds nothing else."""
        if task.tried_again:
            self.pool.renew(worker)
        self.running[worker] = task
        self.pool.train(worker, task.job)

    def answer(self, task: Task[Subject], *, go_on: bool) -> None:
        """Lets a task go on behind the epoch that was heard of, or ends it there."""
        worker = next(worker for worker, running in self.running.items() if running is task)
        self.pool.answer(worker, go_on=go_on)
        if not go_on:
            del self.running[worker]

    def wait(self, seconds: float) -> Iterator[tuple[Task[Subject], Epoch | TrialResult | Failure]]:
        """What has come of the tasks within `seconds`; whatever is no epoch has ended its task.

        Raises SweeperError where the machine, and not a task, is why workers cannot train: nothing ends by that.
        """
        for worker, message in self.pool.wait(seconds):
            task = self.running.get(worker)
            if task is None:
                assert isinstance(message, Died), message  # nothing else comes from who has nothing to do
                self._machines_death(worker, message)
                continue
            match message:
                case EpochMetrics():
                    yield task, self._epoch(task, message)
                    continue
                case Note(text=text):
                    self.tell_user(Note(f"{task.name}: {text}"))
                    continue
                case Failure(kind="disk_full", message=text):
                    raise SweeperError(f"{text}; {GOES_ON} (see {self.pool.log(worker)})")
            del self.running[worker]
            match message:
                case TrialResult():
                    yield task, message
                case Failure(kind="out_of_memory"):
                    self.pool.renew(worker)  # not all that a failed trial took comes back
                    if message.own_fault:
                        yield task, replace(message, log=self.pool.log(worker))
                    elif task.tried_again:
                        text = f"out of memory twice, which the trial itself does not explain: {message.message}"
                        yield task, Failure("error", text, message.trace, log=self.pool.log(worker))
                    else:
                        # A neighbour may have taken the memory, or the trials that this worker trained before.
                        task.tried_again = True
                        self._requeue(task)
                case Failure():
                    yield task, replace(message, log=self.pool.log(worker))
                case Died(is_of_the_machine=True):
                    self._requeue(task)
                    self._machines_death(worker, message)
                case Died():
                    task.deaths += 1
                    if task.deaths >= MOST_DEATHS:
                        text = f"{message}, {task.deaths} times without finishing an epoch"
                        yield task, Failure("error", text, log=self.pool.log(worker))
                    else:
                        self.tell_user(Note(f"{task.name}: {message}; going on from its last epoch"))
                        self._requeue(task)

    def _epoch(self, task: Task[Subject], metrics: EpochMetrics) -> Epoch:
        task.history.append(metrics)
        new = metrics.epoch > task.reported
        if new:
            task.reported, task.deaths, self._deaths = metrics.epoch, 0, 0
        return Epoch(metrics, new)

    def _requeue(self, task: Task[Subject]) -> None:
        task.history.clear()  # the checkpoint brings it back
        self.requeued.append(task)

    def _machines_death(self, worker: int, died: Died) -> None:
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            raise SweeperError(
                f"workers end before they train (exit code {died.exit_code}); see {self.pool.log(worker)}"
            )
