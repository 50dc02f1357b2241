"""The worker processes of this machine: started, spoken to, and replaced when they die."""

import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from sweeper.data.pool import TrainingPool
from sweeper.data.splits import Indices
from sweeper.errors import SweeperError
from sweeper.search import parts
from sweeper.search.resources import Execution
from sweeper.search.trainings import Scaling
from sweeper.search.trial import TrialJob
from sweeper.search.worker import SIGNALS, Ready, WorkerSetup, serve
from sweeper.store import Store

LEAVING_SECONDS = 5.0


@dataclass(frozen=True)
class Died:
    """The worker is gone; it has been replaced. `ready` tells that it had its data."""

    exit_code: int | None
    ready: bool = True

    @property
    def is_of_the_machine(self) -> bool:
        """Whether it ended by itself before it had its data: no trial is why.

        A signal may be meant for the trial that it was to train.
        """
        return not self.ready and self.exit_code is not None and self.exit_code > 0

    def __str__(self) -> str:
        text = f"the worker ended with exit code {self.exit_code}"
        if self.exit_code == -signal.SIGKILL:
            text += " (killed, maybe by the system for lack of memory)"
        return text


class WorkerPool:
    """Spawned processes, addressed by index. Every epoch that arrives from `wait` must be answered."""

    def __init__(self, setup: WorkerSetup, devices: Sequence[str], log_folder: Path) -> None:
        self._setup, self._devices, self._log_folder = setup, devices, log_folder
        self._context = get_context("spawn")
        self._workers: list[tuple[Any, Connection]] = []
        self._ready: set[int] = set()
        self._used: set[int] = set()  # given a trial
        try:
            log_folder.mkdir(parents=True, exist_ok=True)
            for index in range(len(devices)):
                self._workers.append(self._spawn(index))
            for index in range(len(devices)):
                self._send(index, setup)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._workers)

    def log(self, index: int) -> Path:
        """Where the worker's output goes, with a line for every trial begun and every epoch trained."""
        return self._log_folder / f"worker-{index}.log"

    def train(self, index: int, job: TrialJob) -> None:
        """Gives the worker a trial."""
        self._used.add(index)
        self._send(index, job)

    def answer(self, index: int, *, go_on: bool) -> None:
        """Lets the worker go on with its trial behind the epoch that it sent, or ends the trial."""
        self._send(index, go_on)

    def renew(self, index: int) -> None:
        """Lets an idle worker go on as a process that was given no trial yet."""
        if index in self._used:
            self._workers[index][0].kill()  # it has nothing to save
            self._replace(index)

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """What has come from the workers (index, message); empty after `seconds` without anything."""
        connections = {connection: index for index, (_, connection) in enumerate(self._workers)}
        messages: list[tuple[int, Any]] = []
        for ready in wait(list(connections), seconds):
            assert isinstance(ready, Connection)
            index = connections[ready]
            try:
                message = ready.recv()
            except (EOFError, OSError):
                message = self._replace(index)
            if isinstance(message, Ready):
                self._ready.add(index)
            else:
                messages.append((index, message))
        return messages

    def close(self) -> None:
        """Ends all workers, at once if need be, and deletes the files that they map."""
        for process, connection in self._workers:
            connection.close()
            process.kill()  # they ignore the milder signals, and have nothing to save
        for process, _ in self._workers:
            process.join(LEAVING_SECONDS)
        parts.remove(self._setup.parts)

    def _send(self, index: int, message: Any) -> None:
        with suppress(OSError):  # a dead worker is met, and replaced, by wait()
            self._workers[index][1].send(message)

    def _spawn(self, index: int) -> tuple[Any, Connection]:
        try:
            ours, theirs = self._context.Pipe()
        except OSError as error:
            raise _not_started(error) from error
        process = self._context.Process(
            target=serve,
            args=(theirs, self._devices[index], self.log(index)),
            name=f"sweeper-worker-{index}",
            daemon=True,
        )
        # The child begins with these signals held back, until it has said that it ignores them.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            process.start()
        except OSError as error:
            raise _not_started(error) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        theirs.close()
        return process, ours

    def _replace(self, index: int) -> Died:
        process, connection = self._workers[index]
        connection.close()
        process.join(LEAVING_SECONDS)
        process.kill()  # one that hangs on its way out
        process.join()
        died = Died(process.exitcode, index in self._ready)
        self._ready.discard(index)
        self._used.discard(index)
        self._workers[index] = self._spawn(index)
        self._send(index, self._setup)
        return died


def _not_started(error: OSError) -> SweeperError:
    return SweeperError(
        f"no worker can be started: {error.strerror or error}; nothing is lost, the same command goes on"
    )


def start_workers(
    pool: TrainingPool,
    folds: Sequence[tuple[Indices, Indices]],
    scalings: Sequence[Scaling],
    execution: Execution,
    *,
    store: Store,
    owner: str,
    owner_id: str,
) -> WorkerPool:
    """Workers that see these images of the pool, (train, validation) for each fold, and no others.

    The images are written to the folder that the owner of this id has for them in the store, from which the workers
    map them. Raises SweeperError if they cannot be written, or a worker cannot be started.
    """
    folder = store.parts_folder(owner, owner_id)
    parts.write(folder, (tuple((pool.images[part], pool.labels[part]) for part in fold) for fold in folds))
    setup = WorkerSetup(
        parts=folder,
        n_classes=len(pool.classes),
        scalings=scalings,
        threads=execution.threads,
        layout=execution.layout,
        memory=execution.worker_memory,
    )
    return WorkerPool(setup, execution.devices, store.log_folder(owner, owner_id))
