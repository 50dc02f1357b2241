"""A worker's process: trains trials, on a GPU maybe several at once, and asks after every epoch whether to proceed."""

import gc
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Self
from weakref import WeakValueDictionary

from sweeper.engine import arithmetic, worker_log
from sweeper.engine.base import Failure
from sweeper.engine.execution import Execution
from sweeper.engine.failures import failure_of
from sweeper.engine.job import TrialJob, TrialResult, train_trial
from sweeper.engine.local import shared_images
from sweeper.engine.local.heartbeat import Heartbeat
from sweeper.engine.workload import ImagesAndLabels, Workload
from sweeper.events import Note
from sweeper.models import code_files
from sweeper.process.signals import SIGNALS
from sweeper.training import memory

if TYPE_CHECKING:  # imported before the process limits threads and memory: no import may start threads or take memory
    import torch

    from sweeper.training.device_data import TrainingData

# oneDNN caches what it compiles for each layer, and nothing frees the cache between trials: with its default of 1024
# entries, 210 LeNets took 0.8 GiB; with 256, 150 took 0.15 GiB. A network of 24 different convolutions needs no more
# than 256; with 128 its training took three times as long.
PRIMITIVES = 256


@dataclass(frozen=True)
class WorkerSetup:
    """The settings that every worker gets once: the folder of the images that it may see, and how to compute.

    `scalings` holds (mean, std) by channel for each fold, or for the only split. `memory` is the most private memory
    that a worker may hold, in bytes, and `gpu_memory` that of its GPU; None is no limit. With `graphs`, steps run as
    CUDA graphs. `code` are files of users' networks, as the command has read them. `read` gives a fold's images where
    they are in no folder.
    """

    images_folder: Path
    n_classes: int
    scalings: Sequence[tuple[Sequence[float], Sequence[float]]]
    threads: int
    layout: str
    memory: int | None = None
    gpu_memory: int | None = None
    graphs: bool = False
    code: Sequence[code_files.CodeFile] = ()
    read: Callable[[int], tuple[ImagesAndLabels, ImagesAndLabels]] | None = None

    @classmethod
    def of(cls, workload: Workload, execution: Execution, images_folder: Path) -> Self:
        """The settings of workers that compute as it was planned."""
        return cls(
            images_folder=images_folder,
            n_classes=workload.n_classes,
            scalings=workload.scalings,
            threads=execution.threads,
            layout=execution.layout,
            memory=execution.worker_memory,
            gpu_memory=execution.gpu_memory,
            graphs=execution.graphs,
            code=code_files.in_use(),
        )


class _CoordinatorGone(Exception):
    """Nobody is at the other end of a connection. A training may raise the same errors as its end does."""


@dataclass(frozen=True)
class Ready:
    """The worker has loaded its data, and waits for jobs."""


def serve(device_name: str, lifeline: Connection, connections: Sequence[Connection]) -> None:
    """Runs the process from start to end, with one trial at a time on each connection. SIGNALS must be blocked."""
    # Signals from the terminal and from batch systems are for the coordinator, which decides what they mean.
    os.setpgid(0, 0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    with suppress(EOFError, ConnectionResetError):
        work(connections, connections[0].recv(), device_name)


def _end_with(lifeline: Connection) -> None:
    """Ends the process when the coordinator is gone, even during an epoch: checkpoints hold the earlier epochs."""
    with suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)


def _log_line(text: str) -> None:
    """Writes a line to the log, unbuffered: on a full disk, print would keep the text, and fail again at exit."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())


def work(connections: Sequence[Connection], setup: WorkerSetup, device_name: str) -> None:
    """Trains the jobs that arrive on the connections, on each one at a time, until they are closed."""
    if setup.memory is not None:
        memory.limit(setup.memory)
    if device_name == "cpu":
        memory.keep_freed(setup.memory, os.environ)
    os.environ |= arithmetic.ENVIRONMENT
    for name, value in arithmetic.DEFAULTS.items():
        os.environ.setdefault(name, value)
    # The thread pools read these when torch is imported.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(setup.threads)
    os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = str(PRIMITIVES)
    _import_all()
    import torch

    for file in setup.code:
        code_files.use(file)
    device = arithmetic.use(device_name, setup.threads)
    if setup.gpu_memory is not None:
        memory.limit_gpu(device, setup.gpu_memory)
    folds = _Folds(setup, device)
    share = _FirstShare(device, setup.gpu_memory if device.type == "cuda" else setup.memory)
    if len(connections) == 1:
        if setup.graphs:  # one stream for all trials: torch keeps memory for every stream that ever multiplied matrices
            torch.cuda.set_stream(torch.cuda.Stream(device))
        _train_all(connections[0], setup, folds, share)
        return
    _first = folds.data(0)  # keeps the fold loaded, so that all threads share one copy
    # One stream per thread, created once: torch has only 32, and hands them out in turn.
    streams = [torch.cuda.Stream(device) if device.type == "cuda" else None for _ in connections]
    threads = [
        Thread(target=_train_in_thread, args=(connection, setup, folds, share, stream))
        for connection, stream in zip(connections, streams, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class _Folds:
    """The images of the folds in use, one copy for all trials of the process."""

    def __init__(self, setup: WorkerSetup, device: "torch.device") -> None:
        self.device = device
        self._setup = setup
        self._lock = Lock()
        self._loaded: WeakValueDictionary[int, TrainingData] = WeakValueDictionary()

    def data(self, fold: int) -> "TrainingData":
        """The fold's train and validation parts, on the device."""
        with self._lock:
            data = self._loaded.get(fold)
            if data is None:
                data = self._loaded[fold] = load_fold(self._setup, fold, self.device)
            return data


class _FirstShare:
    """Tells whether the process's first trial alone explains an out-of-memory error."""

    def __init__(self, device: "torch.device", limited_to: int | None) -> None:
        self._share = memory.Share(device, limited_to)
        self._n_begun = 0

    def begin(self) -> None:
        """Counts a trial that begins."""
        self._n_begun += 1

    def explains(self, error: Exception) -> bool:
        """The answer of memory.Share; False once a second trial has begun, because it may hold memory as well."""
        return self._n_begun == 1 and self._share.explains(error)


def _import_all() -> None:
    """Imports a training's modules: before all threads do so at once, and without any garbage collection.

    Almost all that they make stays. To look through it would take a sixth of the time meanwhile, and again later.
    """
    gc.disable()
    import scipy.special  # noqa: F401
    import torch  # noqa: F401

    import sweeper.evaluation.metrics
    import sweeper.models.families
    import sweeper.training.loop  # noqa: F401

    gc.freeze()
    gc.enable()


def _train_in_thread(
    connection: Connection, setup: WorkerSetup, folds: _Folds, share: _FirstShare, stream: "torch.cuda.Stream | None"
) -> None:
    """Trains in one of several threads, on its own stream. The whole process ends with the thread.

    If only the thread ended, its connection would stay open, and the coordinator would wait for its trial for ever.
    """
    import torch

    try:
        if stream is not None:
            torch.cuda.set_device(folds.device)
            torch.cuda.set_stream(stream)
        _train_all(connection, setup, folds, share, alone=False)
    except BaseException:
        _log_line(traceback.format_exc())
    os._exit(1)


def _train_all(
    connection: Connection, setup: WorkerSetup, folds: _Folds, share: _FirstShare, *, alone: bool = True
) -> None:
    """Trains the jobs that arrive until the coordinator is gone; `alone` says that no other thread trains."""
    fold, data = 0, folds.data(0)
    # The coordinator is gone; checkpoints keep epochs.
    with suppress(_CoordinatorGone, EOFError, BrokenPipeError, ConnectionResetError):
        connection.send(Ready())
        while True:
            job = connection.recv()
            if job.fold != fold:
                fold, data = job.fold, folds.data(job.fold)
            share.begin()
            failure = _train(connection, job, data, share, setup)
            # Only here, where no traceback holds the network any more.
            lacked = failure is not None and failure.kind == "out_of_memory"
            memory.give_back(folds.device, alone=alone, lacked=lacked)
            if failure is not None:
                _log_line(worker_log.failed(job, failure))
                connection.send(failure)


def load_fold(setup: WorkerSetup, fold: int, device: "torch.device") -> "TrainingData":
    """Loads the train and validation parts of a fold onto the device."""
    import torch

    from sweeper.training.device_data import on_device

    mean, std = setup.scalings[fold]
    return on_device(
        *(shared_images.read(setup.images_folder, fold) if setup.read is None else setup.read(fold)),
        n_classes=setup.n_classes,
        mean=mean,
        std=std,
        device=device,
        layout=getattr(torch, setup.layout),
    )


def _train(
    connection: Connection, job: TrialJob, data: "TrainingData", share: _FirstShare, setup: WorkerSetup
) -> Failure | None:
    """Trains the trial to its end, or until the coordinator ends it; returns the failure, if it failed."""
    training = train_trial(job, data, graphs=setup.graphs, on_batch=Heartbeat(connection))
    try:
        for message in worker_log.logged(job, training, _log_line):
            try:
                connection.send(message)
                if not isinstance(message, TrialResult | Note) and not connection.recv():
                    break
            except (EOFError, BrokenPipeError, ConnectionResetError) as error:
                raise _CoordinatorGone from error
    except _CoordinatorGone:
        raise
    except Exception as error:  # a trial's failure must not end the worker
        return failure_of(error, job, limited=setup.memory is not None, explains=share.explains)
    return None
