"""Workers with trainings to do, and the rules by which one that meets with bad luck is gone on with or given up."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from sweeper.engine.base import Died, Engine, Failure
from sweeper.engine.concurrency import ConcurrencyTuner
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.errors import RESUME_HINT, SweeperError
from sweeper.events import Listener, Note
from sweeper.training.loop import EpochMetrics

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


class Dispatcher(Generic[Subject]):
    """The workers of a pool, and the tasks that they have begun."""

    def __init__(self, engine: Engine, listener: Listener) -> None:
        self.engine, self.tell_user = engine, listener
        self._tuners = (
            {workers: ConcurrencyTuner(len(workers)) for workers in engine.processes()} if engine.finds_width else {}
        )
        self.running: dict[int, Task[Subject]] = {}  # by worker
        self.requeued: deque[Task[Subject]] = deque()  # to be gone on with, before any other
        self._deaths = 0  # in a row, of workers that no task has ended

    def idle(self) -> int | None:
        """A worker that may be given the next task, of the process that trains fewest; None if there is none."""
        for workers in sorted(self.engine.processes(), key=lambda workers: len(self._trained(workers))):
            at_once = self.engine.at_once(workers[0])
            if any(task.tried_again for task in (*self._trained(workers), *self.requeued)):
                at_once = 1  # what it takes by itself is to be known
            if workers in self._tuners:
                at_once = min(at_once, self._tuners[workers].at_once)
            if len(self._trained(workers)) < at_once:
                return next(worker for worker in workers if worker not in self.running)
        return None

    def unfinished(self) -> list[Task[Subject]]:
        """The tasks that have begun and not ended."""
        return [*self.running.values(), *self.requeued]

    def begin(self, worker: int, task: Task[Subject]) -> None:
        """Gives an idle worker a task; to one that ran out of memory before, a process that holds nothing else."""
        if task.tried_again:
            self.engine.renew(worker)
        self.running[worker] = task
        self.engine.train(worker, task.job)

    def answer(self, task: Task[Subject], *, proceed: bool) -> None:
        """Lets a task go on behind the epoch that was heard of, or ends it there."""
        worker = next(worker for worker, running in self.running.items() if running is task)
        self.engine.answer(worker, proceed=proceed)
        if not proceed:
            del self.running[worker]

    def wait(self, seconds: float) -> Iterator[tuple[Task[Subject], Epoch | TrialResult | Failure]]:
        """What has come of the tasks within `seconds`; whatever is no epoch has ended its task.

        Raises SweeperError where the machine, and not a task, is why workers cannot train: nothing ends by that.
        """
        messages = self.engine.wait(seconds)
        # A process of several workers dies once, whatever they were doing.
        dead = {self._together(worker) for worker, message in messages if isinstance(message, Died)}
        deaths = {workers: len(self._trained(workers)) for workers in dead}
        for worker, message in messages:
            task = self.running.get(worker)
            if task is None:
                assert isinstance(message, Died), message  # nothing else comes from who has nothing to do
                if deaths.get(self._together(worker)) == 0:
                    del deaths[self._together(worker)]
                    self._machines_death(worker, message)
                continue
            match message:
                case EpochMetrics():
                    event = self._epoch(task, message)
                    if event.new:
                        self._climb(worker, message.images_per_second)
                    yield task, event
                    continue
                case Note(text=text):
                    self.tell_user(Note(f"{task.name}: {text}"))
                    continue
                case Failure(kind="disk_full", message=text):
                    raise SweeperError(f"{text}; {RESUME_HINT} (see {self.engine.log(worker)})")
            del self.running[worker]
            match message:
                case TrialResult():
                    yield task, message
                case Failure(kind="out_of_memory") if n_beside := len(self._trained(self._together(worker))):
                    self.tell_user(Note(f"{task.name}: out of memory beside others; fewer are trained at once"))
                    self.engine.narrow(worker, n_beside)
                    self._requeue(task)
                case Failure(kind="out_of_memory"):
                    self.engine.renew(worker)  # not all that a failed trial took comes back
                    if message.own_fault or task.tried_again:
                        self.engine.widen(worker)
                    if message.own_fault:
                        yield task, replace(message, log=self.engine.log(worker))
                    elif task.tried_again:
                        text = f"out of memory twice, which the trial itself does not explain: {message.message}"
                        yield task, Failure("error", text, message.trace, log=self.engine.log(worker))
                    else:
                        # A neighbour may have taken the memory, or the trials that this worker trained before.
                        task.tried_again = True
                        self._requeue(task)
                case Failure():
                    yield task, replace(message, log=self.engine.log(worker))
                case Died(is_of_the_machine=True):
                    self._requeue(task)
                    if deaths.pop(self._together(worker), None) is not None:
                        self._machines_death(worker, message)
                case Died() if (n_trained := deaths[self._together(worker)]) > 1:
                    # Which of them ended it is known once each is trained by itself.
                    self.engine.narrow(worker, n_trained // 2)
                    self.tell_user(Note(f"{task.name}: {message}; going on from its last epoch, beside fewer"))
                    self._requeue(task)
                case Died():
                    task.deaths += 1
                    if task.deaths >= MOST_DEATHS:
                        self.engine.widen(worker)
                        text = f"{message}, {task.deaths} times without finishing an epoch"
                        yield task, Failure("error", text, log=self.engine.log(worker))
                    else:
                        self.tell_user(Note(f"{task.name}: {message}; going on from its last epoch"))
                        self._requeue(task)

    def _epoch(self, task: Task[Subject], metrics: EpochMetrics) -> Epoch:
        task.history.append(metrics)
        new = metrics.epoch > task.reported
        if new:
            task.reported, task.deaths, self._deaths = metrics.epoch, 0, 0
        return Epoch(metrics, new)

    def _climb(self, worker: int, images_per_second: float) -> None:
        """Has the process of the worker, where that is to be found out, train more at once if it pays."""
        workers = self._together(worker)
        if workers in self._tuners:
            self._tuners[workers].heard(self.running[worker], images_per_second, self._trained(workers))

    def _trained(self, workers: range) -> list[Task[Subject]]:
        """The tasks that a process with these workers trains."""
        return [self.running[worker] for worker in workers if worker in self.running]

    def _together(self, worker: int) -> range:
        """The workers of the worker's process."""
        return next(workers for workers in self.engine.processes() if worker in workers)

    def _requeue(self, task: Task[Subject]) -> None:
        task.history.clear()  # the checkpoint brings it back
        self.requeued.append(task)

    def _machines_death(self, worker: int, died: Died) -> None:
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            raise SweeperError(
                f"workers end before they train (exit code {died.exit_code}); see {self.engine.log(worker)}"
            )
