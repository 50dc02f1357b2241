"""An engine in this process, for debuggers and tests: one worker, which trains within `wait`."""

import os
import time
from bdb import BdbQuit
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sweeper.engine import arithmetic, worker_log
from sweeper.engine.base import Died, Failure, Lost
from sweeper.engine.execution import Execution
from sweeper.engine.failures import failure_of
from sweeper.engine.job import TrialJob, TrialResult, train_trial
from sweeper.engine.local import plan as local_plan
from sweeper.engine.options import DeviceOptions
from sweeper.engine.workload import Workload
from sweeper.errors import SweeperError, UsageError, first_line
from sweeper.events import Note
from sweeper.process import processor
from sweeper.training import memory
from sweeper.training.device_data import TrainingData, on_device
from sweeper.training.epoch_metrics import EpochMetrics

Message = EpochMetrics | Note | TrialResult


@dataclass
class _Training:
    """A job that is being trained, and its messages; `unanswered` says that its last epoch waits for an answer."""

    job: TrialJob
    messages: Generator[Message, None, None]
    share: memory.Share
    unanswered: bool = False


class InlineEngine:
    """Trains in the thread that calls `wait`, which then lasts until the epoch's end: there, a debugger can stop.

    `load` gives a fold's data, counted from 0. Until `close`, torch computes in this process as in a worker's.
    """

    tunes_concurrency = False

    def __init__(
        self, load: Callable[[int], TrainingData], device: str, threads: int, graphs: bool, log_folder: Path
    ) -> None:
        self._load, self._device_name, self._graphs = load, device, graphs
        self._log = log_folder / "worker-0.log"
        worker_log.make_folder(log_folder)
        self._settings = ExitStack()
        self._device = self._settings.enter_context(_computing(device, threads, graphs))
        self._data: tuple[int, TrainingData] | None = None  # a fold and its data
        self._training: _Training | None = None

    @property
    def processor(self) -> str:
        """The kind of this machine's processor or GPU."""
        return processor.of([self._device_name])

    def __len__(self) -> int:
        return 1

    def processes(self) -> list[range]:
        """The one worker, of the one process."""
        return [range(1)]

    def at_once(self, index: int) -> int:
        """One: this process trains one job at a time."""
        return 1

    def limit_concurrency(self, index: int, at_once: int) -> None:
        """Does nothing: fewer than one at a time is none."""

    def lift_limit(self, index: int) -> None:
        """Does nothing: there is no limit to lift."""

    def renew(self, index: int) -> None:
        """Forgets what is being trained, and frees its memory: the process stays the same."""
        self._end()

    def kill(self, index: int, reason: str) -> Mapping[int, Died | Lost]:
        """Forgets what is being trained. Never needed: while a job hangs, so does this process."""
        self._end()
        return {index: Died(None, hung=reason)}

    def train(self, index: int, job: TrialJob) -> None:
        """Gives the worker a job, which begins with the next `wait`."""
        if self._data is None or self._data[0] != job.fold:
            self._data = None  # before the other fold's data take memory beside it
            self._data = job.fold, self._load(job.fold)
        messages = train_trial(job, self._data[1], graphs=self._graphs)
        share = memory.Share(self._device, None)
        self._training = _Training(job, worker_log.logged(job, messages, self._write), share)

    def answer(self, index: int, *, proceed: bool) -> None:
        """Lets the worker train the next epoch of its job with the next `wait`, or ends the job."""
        assert self._training is not None
        self._training.unanswered = False
        if not proceed:
            self._end()

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """The next message of the job, which is trained until then; empty after `seconds` if there is none to train."""
        if self._training is None or self._training.unanswered:
            time.sleep(seconds)
            return []
        return [(0, self._next(self._training))]

    def place(self, index: int) -> str:
        """Empty: the worker runs on this machine."""
        return ""

    def waiting(self) -> str:
        """Empty: the worker has its place."""
        return ""

    def log(self, index: int) -> Path:
        """The file with a line for every job begun and every epoch trained, as a worker process has it."""
        return self._log

    def close(self) -> None:
        """Forgets what is being trained; torch then computes as before."""
        self._end()
        self._data = None
        self._settings.close()

    def _next(self, training: _Training) -> Message | Failure:
        message: Message | Failure
        try:
            message = next(training.messages)
            training.unanswered = isinstance(message, EpochMetrics)
        except BdbQuit:
            raise SweeperError("ended in the debugger; nothing is lost, the same command resumes") from None
        except Exception as error:
            message = self._failure(error, training)
            self._write(worker_log.failed(training.job, message))
        if isinstance(message, TrialResult | Failure):
            self._end()  # only here, where no traceback holds the network any more
        return message

    def _failure(self, error: Exception, training: _Training) -> Failure:
        try:
            return failure_of(error, training.job, limited=False, explains=training.share.explains)
        except RuntimeError as error:
            text = f"{self._device_name} has failed, and this process can no longer use it ({first_line(error)})"
            raise SweeperError(f"{text}; nothing is lost, the same command resumes") from error

    def _end(self) -> None:
        """Ends the job, if there is one, and frees its memory."""
        if self._training is not None:
            self._training.messages.close()
            self._training = None
            self._give_back()

    def _give_back(self) -> None:
        memory.give_back(self._device, only_trains=False)
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)  # by which the next job's share is told

    def _write(self, text: str) -> None:
        """Writes a line to the log; a full disk ends no training."""
        with suppress(OSError), open(self._log, "a", encoding="utf-8") as file:
            file.write(f"{text}\n")


@contextmanager
def _computing(device_name: str, threads: int, graphs: bool) -> Iterator[torch.device]:
    """Gives the device; within the block, torch computes as in a worker's process.

    A program that calls sweeper then draws the random numbers that it would have drawn.
    """
    os.environ |= arithmetic.ENVIRONMENT
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    device = arithmetic.use(device_name, threads)
    try:
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            torch.cuda.stream(torch.cuda.Stream(device)) if graphs else nullcontext(),
        ):
            yield device
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


def plan(options: DeviceOptions, data_bytes: int, environment: Mapping[str, str]) -> Execution:
    """The one worker, on the first of the devices. Raises UsageError for options that need processes."""
    if options.jobs not in (None, 1):
        raise UsageError(f"the inline engine trains one trial at a time, got {options.jobs} (--jobs)")
    if options.jobs_per_gpu not in (None, 0, 1):
        raise UsageError(f"the inline engine trains one trial at a time, got {options.jobs_per_gpu} (--jobs-per-gpu)")
    if options.worker_memory is not None:
        raise UsageError("the inline engine has no process whose memory could be limited (--worker-memory)")
    planned = local_plan.plan(options, data_bytes, environment, most_jobs=1)
    return replace(planned, engine="inline", worker_memory=None, tunes_concurrency=False)


def start_workers(workload: Workload, execution: Execution) -> InlineEngine:
    """Starts the worker, which sees only the workload's images. Raises SweeperError if its log cannot be written."""
    return InlineEngine(
        partial(_data, workload, execution),
        execution.devices[0],
        execution.threads,
        execution.graphs,
        workload.log_folder,
    )


def _data(workload: Workload, execution: Execution, fold: int) -> TrainingData:
    """The train and validation parts of a fold, on the device."""
    train, validation = workload.parts(fold)
    mean, std = workload.scalings[fold]
    return on_device(
        train,
        validation,
        n_classes=workload.n_classes,
        mean=mean,
        std=std,
        device=torch.device(execution.devices[0]),
        layout=getattr(torch, execution.layout),
    )
