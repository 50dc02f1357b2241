"""Which failure of a training an exception means."""

import traceback
from collections.abc import Callable
from pathlib import Path

from sweeper.engine.base import Failure
from sweeper.engine.job import TrialJob
from sweeper.errors import DISK_FULL, first_line
from sweeper.training import memory


def failure_of(error: Exception, job: TrialJob, *, limited: bool, explains: Callable[[Exception], bool]) -> Failure:
    """The failure that ends the job.

    `limited` says whether the process has a memory limit, and `explains` whether the memory that the job itself took
    explains a lack of memory. Raises the error if the device failed: this process can no longer use it, and no trial
    may be blamed for that.
    """
    from sweeper.training.epoch_metrics import Diverged

    if isinstance(error, Diverged):
        return Failure("diverged", str(error))
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return Failure("disk_full", f"{error.filename or job.folder} cannot be written: {error.strerror}", trace)
    if isinstance(error, OSError) and _is_place_of(job, error.filename):
        text = f"{error.filename} cannot be written: {error.strerror}"
        return Failure("error", text, trace, of_the_store=True)
    if memory.is_out_of_memory(error, limited=limited):
        return Failure("out_of_memory", first_line(error), trace, explains(error))
    if memory.is_of_the_device(error):
        raise error
    return Failure("error", f"{type(error).__name__}: {first_line(error)}", trace)


def _is_place_of(job: TrialJob, path: str | None) -> bool:
    """Whether the path is the job's folder, something in it, or a folder above it."""
    if not isinstance(path, str):
        return False
    return job.folder.is_relative_to(path) or Path(path).is_relative_to(job.folder)
