"""Assigns trainings to workers, and retries, requeues or abandons failed trainings."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from sweeper.engine.backfill import Backfill
from sweeper.engine.base import BatchesDone, Died, Engine, Failure, Lost
from sweeper.engine.concurrency_tuner import ConcurrencyTuner
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.engine.watchdog import Watchdog
from sweeper.errors import RESUME_HINT, SweeperError
from sweeper.events import BatchesTrained, Listener, Note
from sweeper.training.epoch_metrics import EpochMetrics

# A task is abandoned after this many deaths of its workers without a new epoch in between.
MOST_DEATHS = 3
POLL_SECONDS = 0.5

Subject = TypeVar("Subject")


@dataclass(eq=False)
class Task(Generic[Subject]):
    """A training, which may move from worker to worker; `subject` is whatever its owner attaches to it."""

    name: str
    job: TrialJob
    subject: Subject
    reported: int = 0  # the last epoch that its owner has received
    history: list[EpochMetrics] = field(default_factory=list)
    deaths: int = 0
    retried: bool = False  # after it ran out of memory
    epoch_began: float | None = None  # on the watchdog's clock; None if no worker is known to train it


@dataclass(frozen=True)
class Epoch:
    """An epoch of a task; the task's owner must answer it.

    An epoch that is not `new` was reported before: it comes from a checkpoint or, without one, was trained again.
    """

    metrics: EpochMetrics
    new: bool


class Dispatcher(Generic[Subject]):
    """Assigns tasks to the workers of an engine, and keeps track of them until they end.

    `record_processor` gets the kind of processor or GPU that trains (Engine.processor), before the first task begins.
    `fill` gives workers without a task other jobs, which are in no task's way.
    """

    def __init__(
        self, engine: Engine, listener: Listener, record_processor: Callable[[str], None] = lambda kind: None
    ) -> None:
        self.engine, self.listener = engine, listener
        self._record_processor, self._recorded = record_processor, False
        self._processes = engine.processes()
        self._process_of = {worker: workers for workers in self._processes for worker in workers}
        self._tuners = (
            {workers: ConcurrencyTuner(len(workers)) for workers in self._processes} if engine.tunes_concurrency else {}
        )
        self.running: dict[int, Task[Subject]] = {}  # by worker
        self.requeued: deque[Task[Subject]] = deque()  # resumed before any new task begins
        self.backfill = Backfill(engine)
        self._watchdog = Watchdog()
        self._unexplained_deaths = 0  # deaths of workers, in a row, that no task has caused
        self._waiting = ""  # what workers without a place wait for, as the listener was told

    def idle(self) -> int | None:
        """A worker that may get the next task, from the process that trains the fewest; None if there is none."""
        if len(self.running) == len(self.engine):
            return None
        for workers in sorted(self._processes, key=self._load):
            at_once = self.engine.at_once(workers[0])
            if any(task.retried for task in (*self._tasks_of(workers), *self.requeued)):
                at_once = min(at_once, 1)  # a retried task trains alone, to show how much memory it takes by itself
            if workers in self._tuners:
                at_once = min(at_once, self._tuners[workers].at_once)
            if len(self._tasks_of(workers)) < at_once:
                return next(worker for worker in workers if worker not in self.running)
        return None

    def fill(self, next_job: Callable[[int], TrialJob | None], at_once: int) -> None:
        """Begins other jobs on workers without a task, while at most `at_once` trainings run beside each other.

        `next_job` gets the number of other jobs that run.
        """
        while 0 < len(self.running) < at_once - len(self.backfill) and not self.backfill.gave_up:
            worker = self.idle()
            if worker is None or worker in self.backfill or (job := next_job(len(self.backfill))) is None:
                return
            self.backfill.begin(worker, job)

    def lacks_place(self) -> bool:
        """Whether nothing runs because no worker has a place yet; `wait` returns once that changes."""
        return not self.running and len(self.engine) > 0 and self.idle() is None

    def unfinished(self) -> list[Task[Subject]]:
        """The tasks that have begun and not ended."""
        return [*self.running.values(), *self.requeued]

    def begin(self, worker: int, task: Task[Subject]) -> bool:
        """Gives an idle worker a task. A task that ran out of memory before gets a process that holds nothing else.

        So does one whose worker trains another job. Returns False if that process has to wait for a place: then the
        task is requeued.
        """
        if not self._recorded:
            self._record_processor(self.engine.processor)
            self._recorded = True
        if self.backfill.leave(worker) or task.retried:
            self.engine.renew(worker)
            if not self.engine.at_once(worker):
                self.requeued.appendleft(task)
                return False
        self.running[worker] = task
        self.engine.train(worker, task.job)
        self._watchdog.expect(worker, starts=True)
        return True

    def answer(self, task: Task[Subject], *, proceed: bool) -> None:
        """Lets a task train on after its last reported epoch, or ends it there."""
        worker = next(worker for worker, running in self.running.items() if running is task)
        self.engine.answer(worker, proceed=proceed)
        self._watchdog.expect(worker)
        if not proceed:
            self._release(worker)

    def seconds(self, task: Task[Subject]) -> float:
        """How long a task has trained: its known epochs, and the running one."""
        running = 0.0 if task.epoch_began is None else self._watchdog.now - task.epoch_began
        return sum(metrics.epoch_seconds for metrics in task.history) + running

    def abandon(self, task: Task[Subject]) -> None:
        """Ends a running task in the middle of its epoch, unless that would end other tasks of its process as well."""
        worker = next(worker for worker, running in self.running.items() if running is task)
        if self._tasks_of(self._process_of[worker]) == [task]:
            self._release(worker)
            self.engine.renew(worker)

    def wait(self, seconds: float) -> Iterator[tuple[Task[Subject], Epoch | TrialResult | Failure]]:
        """Yields what the tasks report within `seconds`; a TrialResult or a Failure has ended its task.

        Raises SweeperError if workers cannot train for a reason outside the tasks; this ends no task.
        """
        messages = self._listen(seconds)
        # All workers of a dead process report the death, even idle ones, but it counts only once.
        dead = {self._process_of[worker] for worker, message in messages if isinstance(message, Died)}
        deaths = {workers: len(self._tasks_of(workers)) for workers in dead}
        for worker, message in messages:
            task = self.running.get(worker)
            if task is None:
                assert isinstance(message, Died | Lost), message  # an idle worker can report nothing else
                if isinstance(message, Died) and deaths.get(self._process_of[worker]) == 0:
                    del deaths[self._process_of[worker]]
                    self._count_unexplained_death(worker, message)
                continue
            if task.epoch_began is None:
                task.epoch_began = self._watchdog.now
            match message:
                case BatchesDone(epoch=epoch, done=done, total=total):
                    self.listener(BatchesTrained(task.name, epoch, done, total))
                    continue
                case EpochMetrics():
                    task.epoch_began = self._watchdog.now
                    event = self._epoch(task, message)
                    if event.new:
                        self._tune(worker)
                    yield task, event
                    continue
                case Note(text=text):
                    self.listener(Note(f"{task.name}: {text}"))
                    continue
                case Failure(kind="disk_full", message=text):
                    raise SweeperError(f"{text}; {RESUME_HINT} (see {self.engine.log(worker)})")
                case Failure(of_the_store=True, message=text):
                    hint = "nothing is lost, the same command resumes once it can be"
                    raise SweeperError(f"{text}; {hint} (see {self.engine.log(worker)})")
            self._release(worker)
            match message:
                case TrialResult():
                    yield task, message
                case Failure(kind="out_of_memory") if n_beside := len(self._tasks_of(self._process_of[worker])):
                    self.listener(Note(f"{task.name}: out of memory beside other trials; fewer will train at once"))
                    self.engine.limit_concurrency(worker, n_beside)
                    self._requeue(task)
                case Failure(kind="out_of_memory"):
                    self.engine.renew(worker)  # a failed trial does not return all of its memory
                    if message.own_fault or task.retried:
                        self.engine.lift_limit(worker)
                    if message.own_fault:
                        yield task, replace(message, log=self.engine.log(worker))
                    elif task.retried:
                        text = f"out of memory twice, which the trial itself does not explain: {message.message}"
                        yield task, replace(message, message=text, log=self.engine.log(worker))
                    else:
                        # Another process, or trials that this worker trained before, may have taken the memory.
                        task.retried = True
                        self._requeue(task)
                case Failure():
                    yield task, replace(message, log=self.engine.log(worker))
                case Lost():
                    self.listener(Note(f"{task.name}: {message}; resuming from its last epoch"))
                    self._requeue(task)
                case Died(is_startup_failure=True):
                    self._requeue(task)
                    if deaths.pop(self._process_of[worker], None) is not None:
                        self._count_unexplained_death(worker, message)
                case Died() if (n_trained := deaths[self._process_of[worker]]) > 1:
                    # With fewer tasks at once, down to one, it becomes clear which task kills the process.
                    self.engine.limit_concurrency(worker, n_trained // 2)
                    self.listener(Note(f"{task.name}: {message}; resuming from its last epoch, beside fewer trials"))
                    self._requeue(task)
                case Died():
                    task.deaths += 1
                    if task.deaths >= MOST_DEATHS:
                        self.engine.lift_limit(worker)
                        text = f"{message}, {task.deaths} times without finishing an epoch"
                        yield task, Failure("error", text, log=self.engine.log(worker))
                    else:
                        self.listener(Note(f"{task.name}: {message}; resuming from its last epoch"))
                        self._requeue(task)

    def _listen(self, seconds: float) -> list[tuple[int, Any]]:
        """The workers' messages; kills the processes of workers that hang, and adds these deaths."""
        messages = self.backfill.handle(self.engine.wait(seconds))
        self._tell_waiting()
        self._watchdog.advance()
        for worker, message in messages:
            if not isinstance(message, Died | Lost):  # how long a worker hung foretells nothing
                self._watchdog.hear(worker)
        killed: set[range] = set()
        deaths: list[tuple[int, Any]] = []
        for worker, task in self.running.items():
            process = self._process_of[worker]
            complaint = self._watchdog.complaint(worker, task.deaths + self._unexplained_deaths)
            if complaint and process not in killed:
                deaths += self.engine.kill(worker, complaint).items()
                killed.add(process)
        # The answer to an epoch from a killed process would reach the new one; the checkpoint holds the epoch.
        heard = [(worker, message) for worker, message in messages if self._process_of[worker] not in killed]
        return heard + deaths

    def _tell_waiting(self) -> None:
        waiting = self.engine.waiting()
        if waiting and waiting != self._waiting:
            self.listener(Note(waiting))
        self._waiting = waiting

    def _epoch(self, task: Task[Subject], metrics: EpochMetrics) -> Epoch:
        task.history.append(metrics)
        new = metrics.epoch > task.reported
        if new:
            task.reported, task.deaths, self._unexplained_deaths = metrics.epoch, 0, 0
            self._watchdog.end_epoch()
        return Epoch(metrics, new)

    def _tune(self, worker: int) -> None:
        """Tells the tuner of the worker's process, if the process has one, that an epoch has ended."""
        workers = self._process_of[worker]
        if workers in self._tuners:
            self._tuners[workers].record_epoch(self.running[worker], time.monotonic(), self._tasks_of(workers))

    def _tasks_of(self, workers: range) -> list[Task[Subject]]:
        """The tasks that the process with these workers is training."""
        return [self.running[worker] for worker in workers if worker in self.running]

    def _load(self, workers: range) -> tuple[int, bool]:
        """How much the process with these workers has to do: a job that is no task counts least."""
        return len(self._tasks_of(workers)), any(worker in self.backfill for worker in workers)

    def _release(self, worker: int) -> None:
        self.running.pop(worker).epoch_began = None

    def _requeue(self, task: Task[Subject]) -> None:
        task.history.clear()  # the checkpoint restores it
        self.requeued.append(task)

    def _count_unexplained_death(self, worker: int, died: Died) -> None:
        self._unexplained_deaths += 1
        if self._unexplained_deaths >= MOST_DEATHS:
            what = (
                f"hang before they train ({died.hung})"
                if died.hung
                else f"end before they train (exit code {died.exit_code})"
            )
            raise SweeperError(f"workers {what}; see {self.engine.log(worker)}")
