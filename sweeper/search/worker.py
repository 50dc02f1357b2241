"""A worker's process: it trains one trial at a time, and asks after every epoch whether to go on."""

import os
import signal
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from sweeper.errors import DISK_FULL
from sweeper.search import parts
from sweeper.search.events import Note
from sweeper.search.trial import TrialJob, TrialResult, train_trial
from sweeper.training import memory

if TYPE_CHECKING:  # imported before the process limits its threads and its memory: nothing here that takes either
    import torch

    from sweeper.training.fit import EpochMetrics
    from sweeper.training.tensors import TrainingData

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What oneDNN compiles for a layer it keeps, and nothing gives that back between trials: with its own 1024, 210 LeNets
# took 0.8 GiB; with these, 150 took 0.15. A network of 24 different convolutions needs no more: with 128 it took thrice
# the time.
PRIMITIVES = 256


@dataclass(frozen=True)
class WorkerSetup:
    """What every worker is given once: the folder of the parts that it may see, and how to compute.

    `scalings` holds (mean, std) by channel for each fold, of which there is one where the data are cut once.
    `memory` is the most private memory that a worker may hold, in bytes; None is as much as there is.
    """

    parts: Path
    n_classes: int
    scalings: Sequence[tuple[Sequence[float], Sequence[float]]]
    threads: int
    layout: str
    memory: int | None = None


@dataclass(frozen=True)
class Ready:
    """The worker has its data, and trains what it is given."""


@dataclass(frozen=True)
class Failure:
    """Why a trial ended without a result. `kind` is diverged, out_of_memory, disk_full or error.

    `own_fault` tells, for out_of_memory, that what the trial itself took explains it: that is known in a process that
    had trained nothing before. `log` is the worker's.
    """

    kind: str
    message: str
    trace: str = ""
    own_fault: bool = True
    log: Path | None = None


def serve(connection: Connection, device_name: str, log: Path) -> None:
    """The process's whole life. It begins with SIGNALS held back."""
    # The terminal's Ctrl-C and a batch system's SIGTERM are the coordinator's, which decides what they mean.
    os.setpgid(0, 0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    Thread(target=_end_with_parent, daemon=True).start()
    _write_to(log)
    with suppress(EOFError, ConnectionResetError):
        _work(connection, connection.recv(), device_name)


def _end_with_parent() -> None:
    """Ends the process, in the middle of an epoch too, when the coordinator is gone: checkpoints hold the rest."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _write_to(log: Path) -> None:
    """Sends stdout, which is the command's and may be read as JSON, and stderr to the log."""
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    except OSError:  # no room for another file: a trial needs no log
        descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _note(text: str) -> None:
    """A line in the log, at once. Not print: what did not fit would stay in its buffer and fail again at the end."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())


def _work(connection: Connection, setup: WorkerSetup, device_name: str) -> None:
    if setup.memory is not None:
        memory.limit(setup.memory)
    # Read by the thread pools when torch is imported.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(setup.threads)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = str(PRIMITIVES)
    import torch

    torch.set_num_threads(setup.threads)
    device = torch.device(device_name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.use_deterministic_algorithms(True, warn_only=True)
    fold, data = 0, data_of(setup, 0, device)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the coordinator is gone; checkpoints hold all
        connection.send(Ready())
        share: memory.Share | None = memory.Share(device, setup.memory)
        while True:
            job = connection.recv()
            if job.fold != fold:
                fold, data = job.fold, data_of(setup, job.fold, device)
            failure = _train(connection, job, data, share, limited=setup.memory is not None)
            share = None
            memory.give_back(device)  # now that no traceback holds the network any more
            if failure is not None:
                _note(f"{_called(job)} failed: {failure.trace or failure.message}")
                connection.send(failure)


def data_of(setup: WorkerSetup, fold: int, device: "torch.device") -> "TrainingData":
    """What a trial may see of a fold, on the device."""
    import torch

    from sweeper.training.tensors import on_device

    mean, std = setup.scalings[fold]
    return on_device(
        *parts.read(setup.parts, fold),
        n_classes=setup.n_classes,
        mean=mean,
        std=std,
        device=device,
        layout=getattr(torch, setup.layout),
    )


def _train(
    connection: Connection, job: TrialJob, data: "TrainingData", share: memory.Share | None, *, limited: bool
) -> Failure | None:
    """Trains the trial until its end, or until it is told to stop; gives why it failed, if it did.

    `share` is of a process that has trained nothing yet, else None.
    """
    from sweeper.training.checkpoint import CheckpointError, read_history
    from sweeper.training.fit import Diverged

    try:
        known = len(read_history(job.checkpoint))
    except CheckpointError:
        known = 0
    _note(f"{_called(job)}: begins, {known} of {job.epochs} epochs are done already, pid {os.getpid()}")
    try:
        for message in train_trial(job, data):
            if isinstance(message, Note):
                known = 0  # the checkpoint is of no use
                _note(f"{_called(job)}: {message.text}")
            elif not isinstance(message, TrialResult) and message.epoch > known:
                _note(_epoch_line(job, message))
            connection.send(message)
            if not isinstance(message, TrialResult | Note) and not connection.recv():
                break
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Diverged as error:
        return Failure("diverged", str(error))
    except Exception as error:  # a trial's failure must not end the worker
        trace = traceback.format_exc()
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return Failure("disk_full", f"{error.filename or job.folder} cannot be written: {error.strerror}", trace)
        if memory.is_out_of_memory(error, limited=limited):
            own_fault = share is not None and share.explains(error)
            return Failure("out_of_memory", _first_line(error), trace, own_fault)
        return Failure("error", f"{type(error).__name__}: {_first_line(error)}", trace)
    return None


def _called(job: TrialJob) -> str:
    return ", ".join([f"trial {job.number}", *([job.label] if job.label else []), f"seed {job.seed}"])


def _epoch_line(job: TrialJob, metrics: "EpochMetrics") -> str:
    return (
        f"{_called(job)}, epoch {metrics.epoch}: train loss {metrics.train_loss:.4f}, validation loss "
        f"{metrics.validation_loss:.4f}, validation accuracy {metrics.validation_accuracy:.4f}, "
        f"{metrics.epoch_seconds:.2f} s, pid {os.getpid()}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
