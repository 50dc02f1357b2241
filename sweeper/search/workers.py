"""Worker processes of this machine: each trains one trial at a time and asks after every epoch whether to go on."""

import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeper.search.trial import TrialJob, TrialResult, train_trial

if TYPE_CHECKING:  # a worker imports this module before it limits its threads: nothing that brings pools of threads
    from sweeper.data.pool import TrainingPool
    from sweeper.data.splits import Indices
    from sweeper.search.resources import Execution

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LEAVING_SECONDS = 5.0
# An out-of-memory trial that held this share of the card explains it by itself.
OWN_PEAK = 0.5


@dataclass(frozen=True)
class WorkerSetup:
    """What every worker is given once: the parts it may see, and how to compute."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    n_classes: int
    mean: Sequence[float]
    std: Sequence[float]
    threads: int
    layout: str


def setup_for(
    pool: "TrainingPool", train: "Indices", validation: "Indices", spec: Mapping[str, Any], execution: "Execution"
) -> WorkerSetup:
    """Workers that see these images of the pool, and no others, scaled as the study's `spec` says."""
    return WorkerSetup(
        train=(pool.images[train], pool.labels[train]),
        validation=(pool.images[validation], pool.labels[validation]),
        n_classes=len(pool.classes),
        mean=spec["mean"],
        std=spec["std"],
        threads=execution.threads,
        layout=execution.layout,
    )


@dataclass(frozen=True)
class Failure:
    """Why a trial ended without a result. `kind` is diverged, out_of_memory or error.

    `own_fault` tells, for out_of_memory, that the trial's own peak explains it.
    """

    kind: str
    message: str
    trace: str = ""
    own_fault: bool = True


@dataclass(frozen=True)
class Died:
    """The worker is gone; it has been replaced."""

    exit_code: int | None


class WorkerPool:
    """Spawned processes, addressed by index. Every epoch that arrives from `wait` must be answered."""

    def __init__(self, setup: WorkerSetup, devices: Sequence[str], log_folder: Path) -> None:
        self._setup, self._devices, self._log_folder = setup, devices, log_folder
        self._context = get_context("spawn")
        log_folder.mkdir(parents=True, exist_ok=True)
        self._workers = [self._spawn(index) for index in range(len(devices))]
        for index in range(len(devices)):
            self._send(index, setup)

    def __len__(self) -> int:
        return len(self._workers)

    def log(self, index: int) -> Path:
        """Where the worker's stderr goes."""
        return self._log_folder / f"worker-{index}.log"

    def train(self, index: int, job: TrialJob) -> None:
        """Gives the worker a trial."""
        self._send(index, job)

    def answer(self, index: int, *, go_on: bool) -> None:
        """Lets the worker go on with its trial behind the epoch that it sent, or ends the trial."""
        self._send(index, go_on)

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """What has come from the workers (index, message); empty after `seconds` without anything."""
        connections = {connection: index for index, (_, connection) in enumerate(self._workers)}
        messages: list[tuple[int, Any]] = []
        for ready in wait(list(connections), seconds):
            assert isinstance(ready, Connection)
            index = connections[ready]
            try:
                messages.append((index, ready.recv()))
            except (EOFError, OSError):
                messages.append((index, self._replace(index)))
        return messages

    def close(self) -> None:
        """Ends all workers, at once if need be."""
        for process, connection in self._workers:
            connection.close()
            process.kill()  # they ignore the milder signals, and have nothing to save
        for process, _ in self._workers:
            process.join(LEAVING_SECONDS)

    def _send(self, index: int, message: Any) -> None:
        with suppress(OSError):  # a dead worker is met, and replaced, by wait()
            self._workers[index][1].send(message)

    def _spawn(self, index: int) -> tuple[Any, Connection]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve,
            args=(theirs, self._devices[index], self.log(index)),
            name=f"sweeper-worker-{index}",
            daemon=True,
        )
        # The child begins with these signals held back, until it has said that it ignores them. The data follow by
        # the connection: as an argument they would be written to a pipe that a dead child leaves open.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        theirs.close()
        return process, ours

    def _replace(self, index: int) -> Died:
        process, connection = self._workers[index]
        connection.close()
        process.join(LEAVING_SECONDS)
        died = Died(process.exitcode)
        self._workers[index] = self._spawn(index)
        self._send(index, self._setup)
        return died


def _serve(connection: Connection, device_name: str, log: Path) -> None:
    # The terminal's Ctrl-C and a batch system's SIGTERM reach the whole group; the coordinator decides what they mean.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    with open(log, "a", buffering=1) as stream:
        os.dup2(stream.fileno(), 1)  # stdout is the command's, and may be read as JSON
        os.dup2(stream.fileno(), 2)
    with suppress(EOFError, ConnectionResetError):
        _work(connection, connection.recv(), device_name)


def _work(connection: Connection, setup: WorkerSetup, device_name: str) -> None:
    # Read by the thread pools when torch is imported.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(setup.threads)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    import torch

    from sweeper.training.tensors import on_device

    torch.set_num_threads(setup.threads)
    device = torch.device(device_name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.use_deterministic_algorithms(True, warn_only=True)
    data = on_device(
        setup.train,
        setup.validation,
        n_classes=setup.n_classes,
        mean=setup.mean,
        std=setup.std,
        device=device,
        layout=getattr(torch, setup.layout),
    )
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the coordinator is gone; checkpoints hold all
        while True:
            _train(connection, connection.recv(), data)


def _train(connection: Connection, job: TrialJob, data: Any) -> None:
    import torch

    from sweeper.training.fit import Diverged

    if data.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(data.device)
    try:
        for message in train_trial(job, data):
            connection.send(message)
            if not isinstance(message, TrialResult) and not connection.recv():
                return
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Diverged as error:
        connection.send(Failure("diverged", str(error)))
    except Exception as error:  # a trial's failure must not end the worker
        trace = traceback.format_exc()
        print(f"trial {job.number}: {trace}", file=sys.stderr)
        if _is_out_of_memory(error):
            connection.send(Failure("out_of_memory", _first_line(error), trace, _explains(data.device)))
        else:
            connection.send(Failure("error", f"{type(error).__name__}: {_first_line(error)}", trace))
    finally:
        if data.device.type == "cuda":
            torch.cuda.empty_cache()


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )


def _explains(device: Any) -> bool:
    """Whether this process alone took most of the card. A CPU's allocator does not tell: never there."""
    import torch

    if device.type != "cuda":
        return False
    total = torch.cuda.get_device_properties(device).total_memory
    return torch.cuda.max_memory_reserved(device) >= OWN_PEAK * total


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
