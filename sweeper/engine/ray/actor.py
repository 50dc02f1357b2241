"""An actor of the cluster: the process of a worker or, on a GPU, of several."""

import os
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Self

from sweeper.config import TimmConfig
from sweeper.engine.base import BatchesDone, Died, Failure
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.engine.local.worker import WorkerSetup, work
from sweeper.engine.ray import cluster, environment, job_files, node_folders
from sweeper.engine.ray.job_files import JobFiles
from sweeper.engine.ray.weights import Weights
from sweeper.events import Note
from sweeper.process import processor


@dataclass(frozen=True)
class Contact:
    """The first thing that an actor says: where and what it is, before it gets images or code.

    Only of plain types: a node with another version must be able to say it. `node` is the node's id, `seconds` the time
    of its clock, and `token` whether its Ray asks whoever connects for a token.
    """

    node: str = ""
    software: Mapping[str, str] = field(default_factory=dict)
    processor: str = ""
    seconds: float = 0.0
    token: bool = False

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """What `contact` has returned; another version of sweeper may say less, or more."""
        return cls(**{own.name: said[own.name] for own in fields(cls) if own.name in said})


@dataclass(frozen=True)
class Reply:
    """Messages of a worker, the last of which may have to be answered, with its job's new files and new lines of log.

    `gpu` is the GPU's name, said once by a process that has loaded its data on one. `period` is after how many epochs
    the job's checkpoint travels. `unfit` says why the node cannot train, whatever the job; there is no message then.
    """

    messages: Sequence[Any] = ()
    new_files: Mapping[str, bytes] = field(default_factory=dict)
    log: bytes = b""
    gpu: str = ""
    period: int = 1
    unfit: str = ""


class Worker:
    """Runs engine.local.worker in threads of this process, and answers the pool's calls, several at once.

    Each of its workers gets one call at a time, which returns the worker's next message.
    """

    def __init__(self) -> None:
        self._ours: list[Connection] = []
        self._files: dict[int, JobFiles] = {}
        self._jobs: dict[int, TrialJob] = {}
        self._folder = Path()
        self._log = -1
        self._log_lock = Lock()

    def contact(self) -> dict[str, Any]:
        """What Contact has, by name."""
        return {
            "node": cluster.own_node_id(),
            "software": environment.software(),
            "processor": processor.of_this_machine(),
            "seconds": time.time(),
            "token": os.environ.get("RAY_AUTH_MODE", "").lower() == "token",
        }

    def watch(self) -> None:
        """Never returns: the call fails once this process is gone."""
        Event().wait()

    def size(self, block: Any) -> int:
        """The bytes of an array that came to this node."""
        return int(block.nbytes)

    def begin(self, setup: WorkerSetup, device: str, n_workers: int, images: Sequence[Any]) -> Reply:
        """Starts the workers, and returns once they have loaded their data, or died of it.

        `images` has a reference for each fold.
        """
        try:
            self._folder = node_folders.make()
            written = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            self._log = os.open(self._folder / "log", os.O_RDONLY)
        except OSError as error:
            return Reply(unfit=_unwritable(error))
        for descriptor in (1, 2):
            os.dup2(written, descriptor)
        pairs = [Pipe() for _ in range(n_workers)]
        self._ours, theirs = [ours for ours, _ in pairs], [theirs for _, theirs in pairs]
        setup = replace(setup, read=lambda fold: cluster.get(images[fold]))
        Thread(target=self._work, args=(theirs, setup, device), daemon=True).start()
        for connection in self._ours:
            try:
                connection.recv()  # Ready
            except (EOFError, OSError):
                return Reply([Died(1, ready=False)], log=self._new_lines())
        return Reply(log=self._new_lines(), gpu=_gpu(device))

    def train(
        self,
        worker: int,
        job: TrialJob,
        files: Mapping[str, bytes],
        initial: Weights | None,
        pretrained: Weights | None,
        ended: Any,
    ) -> Reply:
        """Gives a worker a job, and returns its first message. `ended` is the result of the call before, if any."""
        try:
            self._files[worker] = JobFiles(self._folder / str(worker), files)
            if initial is not None and job.initial is not None:
                job = replace(job, initial=replace(job.initial, path=self._kept(initial)))
            if pretrained is not None:
                self._use(pretrained, job)
        except OSError as error:
            return Reply(unfit=_unwritable(error))
        self._jobs[worker] = job = replace(job, folder=self._files[worker].folder)
        return self._send(worker, job)

    def answer(self, worker: int, proceed: bool) -> Reply:
        """Lets a worker train on, and returns its next message; or ends its job."""
        if proceed:
            return self._send(worker, True)
        with suppress(OSError):  # `watch` tells of the end of this process
            self._ours[worker].send(False)
        return Reply()

    def receive(self, worker: int) -> Reply:
        """A worker's next message, after one that is not to be answered."""
        try:
            message = self._ours[worker].recv()
        except (EOFError, OSError):
            return Reply([Died(1)], log=self._new_lines())
        files, period, job = self._files[worker], 1, self._jobs[worker]
        found: dict[str, bytes] = {}
        match message:
            case Failure(kind="disk_full", message=text) | Failure(of_the_store=True, message=text):
                return Reply(log=self._new_lines(), unfit=text)  # the job's folder is this node's
            case TrialResult():
                found = files.new(epoch=job.epochs, last=True)
            case BatchesDone() | Note() | Failure():
                pass
            case metrics:
                period = job_files.period(files.checkpoint_size())
                found = files.new(epoch=metrics.epoch, last=metrics.epoch == job.epochs)
        return Reply([message], found, self._new_lines(), period=period)

    def end(self) -> None:
        """Deletes the files of this process, which is then killed."""
        node_folders.delete(self._folder)

    def _work(self, connections: Sequence[Connection], setup: WorkerSetup, device: str) -> None:
        try:
            work(connections, setup, device)
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            for connection in connections:  # whoever waits for a message gets none any more
                connection.close()

    def _send(self, worker: int, message: Any) -> Reply:
        try:
            self._ours[worker].send(message)
        except OSError:
            return Reply([Died(1)], log=self._new_lines())
        return self.receive(worker)

    def _kept(self, weights: Weights) -> Path:
        """A file with these weights, for all jobs of this process."""
        path = self._folder / f"weights-{weights.name}"
        if not path.exists():
            job_files.write(self._folder, {path.name: weights.content})
        return path

    def _use(self, weights: Weights, job: TrialJob) -> None:
        """Lets the job's network start from these pretrained weights."""
        from sweeper.models import pretrained, weight_files

        assert isinstance(job.configuration.model, TimmConfig)
        path = self._kept(weights)
        found = pretrained.Pretrained(path, weight_files.sha256_of(path), weights.settings)
        pretrained.use(job.configuration.model, found)

    def _new_lines(self) -> bytes:
        """What the log has got since the last call."""
        with self._log_lock:
            lines = b""
            while part := os.read(self._log, 1 << 20):
                lines += part
            return lines


def _gpu(device: str) -> str:
    if not device.startswith("cuda"):
        return ""
    import torch

    return torch.cuda.get_device_name(device)


def _unwritable(error: OSError) -> str:
    return f"{error.filename or tempfile.gettempdir()} there cannot be written: {error.strerror or error}"
