"""The logs of workers: their folder, and the lines of a training's begin, its epochs, and how it failed."""

import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.engine.base import Failure
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.errors import SweeperError, said
from sweeper.evaluation.amounts import amount
from sweeper.events import Note

if TYPE_CHECKING:  # a worker imports this module before it limits its threads: no import may create thread pools
    from sweeper.training.epoch_metrics import EpochMetrics

Write = Callable[[str], None]


def make_folder(folder: Path) -> None:
    """Makes the folder of the logs, if it does not exist. Raises SweeperError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SweeperError(f"the workers' logs cannot be written: {said(error)}") from error


def logged(
    job: TrialJob, messages: "Iterable[EpochMetrics | Note | TrialResult]", write: Write
) -> "Generator[EpochMetrics | Note | TrialResult, None, None]":
    """Passes a training's messages on, and writes its begin, its notes and each epoch that was not known before."""
    from sweeper.training.checkpoint import CheckpointError, read_history

    try:
        known = len(read_history(job.checkpoint))
    except CheckpointError:
        known = 0
    write(f"{_name(job)}: begins, epochs done: {known} of {job.epochs}, pid {os.getpid()}")
    for message in messages:
        if isinstance(message, Note):
            known = 0  # the checkpoint's epochs were sent before the note, or are set aside
            write(f"{_name(job)}: {message.text}")
        elif not isinstance(message, TrialResult) and message.epoch > known:
            write(_epoch_line(job, message))
        yield message


def failed(job: TrialJob, failure: Failure) -> str:
    """The line of a failure, with its trace."""
    return f"{_name(job)} failed: {failure.trace or failure.message}"


def _name(job: TrialJob) -> str:
    return ", ".join([f"trial {job.number}", *([job.label] if job.label else []), f"seed {job.seed}"])


def _epoch_line(job: TrialJob, metrics: "EpochMetrics") -> str:
    return (
        f"{_name(job)}, epoch {metrics.epoch}: train loss {metrics.train_loss:.4f}, validation loss "
        f"{metrics.validation_loss:.4f}, validation accuracy {amount('accuracy', metrics.validation_accuracy)}, "
        f"{metrics.epoch_seconds:.2f} s, pid {os.getpid()}"
    )
