"""Jobs for workers that have no task: they fill the time until a task needs the worker, or until all tasks are done."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.engine.base import Died, Engine, Failure, Lost
from sweeper.engine.execution import Execution
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.process.resources import physical_cores
from sweeper.training.epoch_metrics import EpochMetrics


class Backfill:
    """The jobs of workers without a task, in an engine whose processes train one job each.

    Nobody waits for such a job. One that fails, or whose worker is lost, is dropped; a later command may go on from
    its files.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._workers: set[int] = set()
        self.gave_up = False  # a worker could not train its job, for a reason that may hold for any job

    def __len__(self) -> int:
        return len(self._workers)

    def __contains__(self, worker: int) -> bool:
        return worker in self._workers

    def begin(self, worker: int, job: TrialJob) -> None:
        """Gives an idle worker a job."""
        self._workers.add(worker)
        self._engine.train(worker, job)

    def leave(self, worker: int) -> bool:
        """Forgets the worker's job; returns whether it had one. Its process still trains that: the caller renews it."""
        had_one = worker in self._workers
        self._workers.discard(worker)
        return had_one

    def handle(self, messages: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """Acts on what the workers of these jobs have sent, and returns the other messages."""
        others = []
        for worker, message in messages:
            if worker not in self._workers:
                others.append((worker, message))
                continue
            match message:
                case EpochMetrics():
                    self._engine.answer(worker, proceed=True)
                case TrialResult() | Failure(kind="diverged"):
                    self._workers.discard(worker)
                case Failure():
                    self._workers.discard(worker)
                    self.gave_up = True
                    self._engine.renew(worker)  # a failed training does not return all of its memory
                case Died() | Lost():
                    self._workers.discard(worker)
                    self.gave_up = True
        return others


def room(execution: Execution, environment: Mapping[str, str]) -> int:
    """How many trainings can run at once without slowing each other; 0 if that is not known.

    Two threads of one core slow each other, and so do trainings on one GPU. The cores of a cluster's nodes are unknown.
    """
    if execution.engine == "ray" or execution.at_once > 1 or execution.graphs:
        return 0
    if execution.kind != "cpu" and len(set(execution.devices)) < len(execution.devices):
        return 0
    return physical_cores(environment)
