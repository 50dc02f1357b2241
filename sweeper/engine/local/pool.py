"""Starts the worker processes of this machine, talks to them, and replaces those that die."""

import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import Any

from sweeper.engine import worker_log
from sweeper.engine.base import Died
from sweeper.engine.execution import Execution
from sweeper.engine.job import TrialJob
from sweeper.engine.local import shared_images
from sweeper.engine.local.process import module_folders, start
from sweeper.engine.local.worker import Ready, WorkerSetup
from sweeper.engine.workload import Workload
from sweeper.errors import SweeperError
from sweeper.process import processor
from sweeper.process.signals import SIGNALS

LEAVING_SECONDS = 5.0


@dataclass
class _Process:
    """A process, its workers' connections, and how many of the workers may train at once.

    The process ends when `lifeline` is closed, as it is when this process ends. `ready` says whether the process has
    loaded its data, `used` whether it was given a trial.
    """

    process: Popen[bytes]
    connections: list[Connection]
    lifeline: Connection
    at_once: int
    ready: bool = False
    used: bool = False


class WorkerPool:
    """Workers, addressed by index, in processes of their own. Every epoch that `wait` returns must be answered.

    There is one process for each entry of `devices`, and its `per_process` workers are threads. With
    `tunes_concurrency`, the dispatcher finds out how many of these threads should train at once.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        devices: Sequence[str],
        log_folder: Path,
        per_process: int = 1,
        tunes_concurrency: bool = False,
    ) -> None:
        self.tunes_concurrency = tunes_concurrency
        self._setup, self._devices, self._log_folder, self._per_process = setup, devices, log_folder, per_process
        self._processes: list[_Process] = []
        try:
            worker_log.make_folder(log_folder)
            for number in range(len(devices)):
                self._processes.append(self._spawn(number, per_process))
            for process in self._processes:
                _send(process.connections[0], setup)
        except BaseException:
            self.close()
            raise

    @property
    def processor(self) -> str:
        """The kind of this machine's processor or of its GPUs."""
        return processor.of(self._devices)

    def __len__(self) -> int:
        return len(self._processes) * self._per_process

    def processes(self) -> list[range]:
        """The workers of each process."""
        return [range(first, first + self._per_process) for first in range(0, len(self), self._per_process)]

    def at_once(self, index: int) -> int:
        """How many trials the worker's process may train at once."""
        return self._process_of(index).at_once

    def limit_concurrency(self, index: int, at_once: int) -> None:
        """Limits how many trials the worker's process may train at once; never raises an earlier limit."""
        process = self._process_of(index)
        process.at_once = max(1, min(process.at_once, at_once))

    def place(self, index: int) -> str:
        """Empty: all workers run on this machine."""
        return ""

    def waiting(self) -> str:
        """Empty: all workers have a place on this machine."""
        return ""

    def log(self, index: int) -> Path:
        """The file of the worker's output, with a line for every trial begun and every epoch trained."""
        return self._log_folder / f"worker-{index // self._per_process}.log"

    def train(self, index: int, job: TrialJob) -> None:
        """Gives the worker a trial."""
        self._process_of(index).used = True
        _send(self._connection(index), job)

    def answer(self, index: int, *, proceed: bool) -> None:
        """Lets the worker train the next epoch of its trial, or ends the trial."""
        _send(self._connection(index), proceed)

    def lift_limit(self, index: int) -> None:
        """Lets the worker's process train as many trials at once as it has workers."""
        self._process_of(index).at_once = self._per_process

    def renew(self, index: int) -> None:
        """Gives a worker a process that has trained nothing yet. No other worker of its old process may be training."""
        if self._process_of(index).used:
            self._process_of(index).process.kill()  # it has nothing to save: checkpoints hold the finished epochs
            self._replace(index)

    def kill(self, index: int, reason: str) -> dict[int, Died]:
        """Replaces the worker's process, which hangs, and returns the deaths of its workers."""
        self._process_of(index).process.kill()  # a stopped process dies of it, too
        return self._replace(index, reason)

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """The messages that have arrived, as (index, message); empty if none arrives within `seconds`.

        A dead worker's other messages are dropped: the checkpoint holds its epochs, and an answer to an epoch would
        reach the new process.
        """
        connections = {self._connection(index): index for index in range(len(self))}
        # One per worker: a second one waits for the next call.
        messages: dict[int, Any] = {}
        for ready in wait(list(connections), seconds):
            assert isinstance(ready, Connection)
            index = connections[ready]
            if ready.closed:  # its process was just replaced, because another of its workers died
                continue
            try:
                message = ready.recv()
            except (EOFError, OSError):
                messages |= self._replace(index)
                continue
            if isinstance(message, Ready):
                self._process_of(index).ready = True
            else:
                messages[index] = message
        return list(messages.items())

    def close(self) -> None:
        """Kills all workers, and deletes the files that they map."""
        for process in self._processes:
            for connection in process.connections:
                connection.close()
            process.process.kill()  # they ignore SIGNALS, and have nothing to save
            process.lifeline.close()
        for process in self._processes:
            _wait(process.process)
        shared_images.remove(self._setup.images_folder)

    def _process_of(self, index: int) -> _Process:
        return self._processes[index // self._per_process]

    def _connection(self, index: int) -> Connection:
        return self._process_of(index).connections[index % self._per_process]

    def _spawn(self, number: int, at_once: int) -> _Process:
        try:
            pairs = [Pipe() for _ in range(self._per_process)]
            their_lifeline, lifeline = Pipe(duplex=False)
        except OSError as error:
            raise _not_started(error) from error
        ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
        # The child starts with these signals blocked, until it has set them to be ignored.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            log = self.log(number * self._per_process)
            process = start(f"sweeper-worker-{number}", self._devices[number], log, their_lifeline, theirs)
        except OSError as error:
            raise _not_started(error) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            for connection in (their_lifeline, *theirs):
                connection.close()
        _send(ours[0], module_folders())
        return _Process(process, ours, lifeline, at_once)

    def _replace(self, index: int, hung: str = "") -> dict[int, Died]:
        """Replaces the worker's dead process with a new one, and returns the deaths of its workers."""
        number, old = index // self._per_process, self._process_of(index)
        for connection in old.connections:
            connection.close()
        _wait(old.process)
        old.process.kill()  # in case it hangs while it exits
        # Not for ever: a process that waits for a stuck driver or disk dies only when that answers. It trains no more.
        _wait(old.process)
        old.lifeline.close()
        self._processes[number] = self._spawn(number, old.at_once)
        _send(self._processes[number].connections[0], self._setup)
        return dict.fromkeys(self.processes()[number], Died(old.process.returncode, old.ready, hung))


def _wait(process: Popen[bytes]) -> None:
    """Waits for the end of the process, for LEAVING_SECONDS at most."""
    with suppress(TimeoutExpired):
        process.wait(LEAVING_SECONDS)


def _send(connection: Connection, message: Any) -> None:
    with suppress(OSError):  # wait() notices a dead worker, and replaces it
        connection.send(message)


def _not_started(error: OSError) -> SweeperError:
    return SweeperError(
        f"no worker can be started: {error.strerror or error}; nothing is lost, the same command resumes"
    )


def start_workers(workload: Workload, execution: Execution) -> WorkerPool:
    """Starts workers that see only the images of the workload.

    Writes these images to its folder; the workers map the files. Raises SweeperError if the images cannot be written,
    or a worker cannot be started.
    """
    shared_images.write(workload.images_folder, workload.all_parts())
    setup = WorkerSetup.of(workload, execution, workload.images_folder)
    return WorkerPool(setup, execution.devices, workload.log_folder, execution.at_once, execution.tunes_concurrency)
