"""The worker processes of this machine: started, spoken to, and replaced when they die."""

import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from sweeper.data.splits import Indices
from sweeper.data.summary import Scaling
from sweeper.data.training_set import TrainingSet
from sweeper.engine.base import Died
from sweeper.engine.job import TrialJob
from sweeper.engine.local import shared_images
from sweeper.engine.local.resources import Execution
from sweeper.engine.local.worker import SIGNALS, Ready, WorkerSetup, serve
from sweeper.errors import SweeperError
from sweeper.store.layout import Store

LEAVING_SECONDS = 5.0


@dataclass
class _Process:
    """A process with its workers' connections, and how many of them are to train at once at the most.

    `ready` tells that it has its data, `used` that it was given a trial.
    """

    process: Any
    connections: list[Connection]
    at_once: int
    ready: bool = False
    used: bool = False


class WorkerPool:
    """Workers, addressed by index, in spawned processes. Every epoch that arrives from `wait` must be answered.

    There is a process for each of the devices, with `per_process` workers, which are threads there. With `finds_width`,
    how many of them are best to train at once is still to be found out.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        devices: Sequence[str],
        log_folder: Path,
        per_process: int = 1,
        finds_width: bool = False,
    ) -> None:
        self.finds_width = finds_width
        self._setup, self._devices, self._log_folder, self._per_process = setup, devices, log_folder, per_process
        self._context = get_context("spawn")
        self._processes: list[_Process] = []
        try:
            log_folder.mkdir(parents=True, exist_ok=True)
            for number in range(len(devices)):
                self._processes.append(self._spawn(number, per_process))
            for process in self._processes:
                _send(process.connections[0], setup)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._processes) * self._per_process

    def processes(self) -> list[range]:
        """The workers of each process."""
        return [range(first, first + self._per_process) for first in range(0, len(self), self._per_process)]

    def at_once(self, index: int) -> int:
        """How many trials the worker's process is to train at once at the most."""
        return self._of(index).at_once

    def narrow(self, index: int, at_once: int) -> None:
        """Has the worker's process train no more than so many at once."""
        process = self._of(index)
        process.at_once = max(1, min(process.at_once, at_once))

    def log(self, index: int) -> Path:
        """Where the worker's output goes, with a line for every trial begun and every epoch trained."""
        return self._log_folder / f"worker-{index // self._per_process}.log"

    def train(self, index: int, job: TrialJob) -> None:
        """Gives the worker a trial."""
        self._of(index).used = True
        _send(self._connection(index), job)

    def answer(self, index: int, *, proceed: bool) -> None:
        """Lets the worker go on with its trial behind the epoch that it sent, or ends the trial."""
        _send(self._connection(index), proceed)

    def widen(self, index: int) -> None:
        """Has the worker's process train as many at once as it has workers."""
        self._of(index).at_once = self._per_process

    def renew(self, index: int) -> None:
        """Lets a worker beside which nothing is trained go on in a process that was given no trial yet."""
        if self._of(index).used:
            self._of(index).process.kill()  # it has nothing to save
            self._replace(index)

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """What has come from the workers (index, message); empty after `seconds` without anything.

        Of a worker that died there is nothing beside: its epochs are in its checkpoint, and what answered them would
        reach the new process.
        """
        connections = {self._connection(index): index for index in range(len(self))}
        messages: dict[int, Any] = {}  # a worker waits for an answer before it sends another
        for ready in wait(list(connections), seconds):
            assert isinstance(ready, Connection)
            index = connections[ready]
            if ready.closed:  # its process was replaced for another worker's death
                continue
            try:
                message = ready.recv()
            except (EOFError, OSError):
                messages |= self._replace(index)
                continue
            if isinstance(message, Ready):
                self._of(index).ready = True
            else:
                messages[index] = message
        return list(messages.items())

    def close(self) -> None:
        """Ends all workers, at once if need be, and deletes the files that they map."""
        for process in self._processes:
            for connection in process.connections:
                connection.close()
            process.process.kill()  # they ignore the milder signals, and have nothing to save
        for process in self._processes:
            process.process.join(LEAVING_SECONDS)
        shared_images.remove(self._setup.parts)

    def _of(self, index: int) -> _Process:
        return self._processes[index // self._per_process]

    def _connection(self, index: int) -> Connection:
        return self._of(index).connections[index % self._per_process]

    def _spawn(self, number: int, at_once: int) -> _Process:
        try:
            pairs = [self._context.Pipe() for _ in range(self._per_process)]
        except OSError as error:
            raise _not_started(error) from error
        ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
        process = self._context.Process(
            target=serve,
            args=(theirs, self._devices[number], self.log(number * self._per_process)),
            name=f"sweeper-worker-{number}",
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
        for connection in theirs:
            connection.close()
        return _Process(process, ours, at_once)

    def _replace(self, index: int) -> dict[int, Died]:
        """A new process in the place of the worker's, which is dead; the deaths of its workers."""
        number, old = index // self._per_process, self._of(index)
        for connection in old.connections:
            connection.close()
        old.process.join(LEAVING_SECONDS)
        old.process.kill()  # one that hangs on its way out
        old.process.join()
        self._processes[number] = self._spawn(number, old.at_once)
        _send(self._processes[number].connections[0], self._setup)
        return dict.fromkeys(self.processes()[number], Died(old.process.exitcode, old.ready))


def _send(connection: Connection, message: Any) -> None:
    with suppress(OSError):  # a dead worker is met, and replaced, by wait()
        connection.send(message)


def _not_started(error: OSError) -> SweeperError:
    return SweeperError(
        f"no worker can be started: {error.strerror or error}; nothing is lost, the same command goes on"
    )


def start_workers(
    training_set: TrainingSet,
    folds: Sequence[tuple[Indices, Indices]],
    scalings: Sequence[Scaling],
    execution: Execution,
    *,
    store: Store,
    owner: str,
    owner_id: str,
) -> WorkerPool:
    """Workers that see these images of the training_set, (train, validation) for each fold, and no others.

    The images are written to the folder that the owner of this id has for them in the store, from which the workers
    map them. Raises SweeperError if they cannot be written, or a worker cannot be started.
    """
    folder = store.shared_images_folder(owner, owner_id)
    shared_images.write(
        folder, (tuple((training_set.images[part], training_set.labels[part]) for part in fold) for fold in folds)
    )
    setup = WorkerSetup(
        parts=folder,
        n_classes=len(training_set.classes),
        scalings=scalings,
        threads=execution.threads,
        layout=execution.layout,
        memory=execution.worker_memory,
        graphs=execution.graphs,
    )
    logs = store.log_folder(owner, owner_id)
    return WorkerPool(setup, execution.devices, logs, execution.at_once, execution.finds_width)
