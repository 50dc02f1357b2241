"""The interface between the dispatcher and an engine, the place where trainings run."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sweeper.engine.job import TrialJob


class Engine(Protocol):
    """Workers, addressed by index; each trains one job at a time.

    Every engine keeps these promises, which `tests/engine/test_conformance.py` checks:

    - A worker that has sent an epoch sends nothing more until it is answered.
    - The files of an epoch or a result are in the job's folder before the message about it arrives.
    - Nothing arrives from a worker that was replaced, or about a job that was ended.
    - A worker's death is reported as Died, and the loss of its place as Lost, never as the failure of its job.
    - A job resumes from the checkpoint in its folder, whichever engine has made that. On the same kind of device, with
      the same threads and layout, all engines train bitwise the same weights.
    """

    # Whether the dispatcher has to find out how many jobs at once give a process its highest throughput.
    tunes_concurrency: bool

    @property
    def processor(self) -> str:
        """The kind of processor or GPU that trains, as process.processor tells it; empty until a worker has a place."""

    def __len__(self) -> int:
        """The number of workers."""

    def processes(self) -> list[range]:
        """The workers of each process."""

    def at_once(self, index: int) -> int:
        """How many jobs the worker's process may train at once; 0 while it has no place to run, and takes no job."""

    def limit_concurrency(self, index: int, at_once: int) -> None:
        """Limits how many jobs the worker's process may train at once; never raises an earlier limit."""

    def lift_limit(self, index: int) -> None:
        """Removes the limit that `limit_concurrency` has set."""

    def renew(self, index: int) -> None:
        """Gives a worker a process that has trained nothing yet, and forgets what the old one was training.

        Does nothing if its process has trained nothing. The new process may have to wait for a place.
        """

    def kill(self, index: int, reason: str) -> Mapping[int, "Died | Lost"]:
        """Replaces the worker's process, which hangs, and returns what became of its workers."""

    def train(self, index: int, job: TrialJob) -> None:
        """Gives an idle worker a job."""

    def answer(self, index: int, *, proceed: bool) -> None:
        """Lets the worker train the next epoch of its job, or ends the job."""

    def wait(self, seconds: float) -> list[tuple[int, Any]]:
        """The messages that have arrived, as (index, message); empty if none arrives within `seconds`.

        A message is an EpochMetrics, which must be answered, a BatchesDone, a Note, a TrialResult, a Failure, a Died or
        a Lost. A training worker sends a BatchesDone about once a second, or after every batch if batches take longer;
        an engine that trains within `wait` sends none, and `wait` then lasts until the epoch's end. Returns early once
        a worker has got a place. All workers of a process report its death or loss.
        """

    def place(self, index: int) -> str:
        """The machine that the worker's process runs on; empty for this machine, or while the process has no place."""

    def waiting(self) -> str:
        """What processes without a place wait for, as a sentence for the user; empty if all have one."""

    def log(self, index: int) -> Path:
        """The worker's log file."""

    def close(self) -> None:
        """Ends all workers at once."""


@dataclass(frozen=True)
class BatchesDone:
    """A worker's sign of life within an epoch: how many of the epoch's batches it has issued."""

    epoch: int
    done: int
    total: int


@dataclass(frozen=True)
class Failure:
    """Why a trial ended without a result. `kind` is diverged, out_of_memory, disk_full or error.

    `own_fault` says, for out_of_memory, whether the memory that the trial itself took explains the error; only a
    process that had trained nothing before can tell. Without it, the dispatcher has tried the trial twice.
    `of_the_store` says, for error, that the store's folder cannot be written to, which is no trial's fault. `log` is
    the worker's log file.
    """

    kind: str
    message: str
    trace: str = ""
    own_fault: bool = True
    of_the_store: bool = False
    log: Path | None = None


@dataclass(frozen=True)
class Died:
    """The worker's process has died and was replaced. `ready` says whether the process had loaded its data.

    `hung` is the reason for which it was killed, if the dispatcher has asked for that. The exit code is None if it is
    not known.
    """

    exit_code: int | None
    ready: bool = True
    hung: str = ""

    @property
    def is_startup_failure(self) -> bool:
        """Whether the process exited by itself, or hung, before it had loaded its data: no trial is the cause.

        A death by another signal does not count: the worker may have been killed because of the trial it was given.
        """
        return not self.ready and (bool(self.hung) or (self.exit_code is not None and self.exit_code > 0))

    def __str__(self) -> str:
        if self.hung:
            return f"the worker hung ({self.hung}) and was killed"
        if self.exit_code is None:
            return "the worker's process died"
        text = f"the worker ended with exit code {self.exit_code}"
        if self.exit_code == -signal.SIGKILL:
            text += " (killed, maybe by the system for lack of memory)"
        return text


@dataclass(frozen=True)
class Lost:
    """The place where the worker's process ran is gone; no trial has caused that, and the process was replaced.

    `where` names the place, as Engine.place does. `planned` says whether it was given back on purpose, such as by a
    batch system.
    """

    where: str
    planned: bool = False

    def __str__(self) -> str:
        return f"{self.where} was {'given back' if self.planned else 'lost'}"
