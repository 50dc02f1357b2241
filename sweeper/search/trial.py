"""One trial in a worker: a configuration in, metrics epoch by epoch and a final result out."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.config import Configuration
from sweeper.search.events import Note

if TYPE_CHECKING:  # a worker imports this module before it limits its threads: nothing that brings pools of them
    import numpy as np
    from torch import nn

    from sweeper.training.fit import EpochMetrics
    from sweeper.training.tensors import TrainingData


@dataclass(frozen=True)
class TrialJob:
    """What a worker needs to know to train a trial. The folder is the trial's own."""

    number: int
    configuration: Configuration
    epochs: int
    seed: int
    folder: Path
    data_key: str  # of the data and the arithmetic: a checkpoint made with others is not gone on with

    @property
    def weights(self) -> Path:
        """Where the weights of the finished trial are written."""
        return self.folder / "model.safetensors"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    @property
    def identity(self) -> str:
        """All that decides the weights: files that carry another identity are another training's."""
        return f"{self.configuration.key()} seed={self.seed} epochs={self.epochs} {self.data_key}"


@dataclass(frozen=True)
class TrialResult:
    """What a finished trial leaves beside its metrics: the validation part's confusion matrix (classes, classes).

    None where there is no validation part.
    """

    confusion: "np.ndarray | None"


def train_trial(job: TrialJob, data: "TrainingData") -> Iterator["EpochMetrics | Note | TrialResult"]:
    """Trains the trial, going on from its checkpoint if there is one; last comes the result.

    A checkpoint that is damaged or another training's is set aside, a note tells of it, and the trial starts anew.

    Raises Diverged, ValueError for a network that cannot take the images, and OSError where a file cannot be written.
    """
    from sweeper.evaluation.metrics import confusion_matrix
    from sweeper.training.checkpoint import CheckpointError, remove_leftovers, set_aside, write_tensors
    from sweeper.training.fit import evaluate

    remove_leftovers(job.folder)
    reason = ""
    try:
        model = yield from _fit(job, data)
    except CheckpointError as error:
        reason = str(error)
    if reason:
        yield Note(f"{reason}; set aside as {set_aside(job.checkpoint).name}, the training starts anew")
        model = yield from _fit(job, data)
    write_tensors(job.weights, model.state_dict(), {"identity": job.identity})
    if not len(data.validation):
        yield TrialResult(None)
        return
    _, predictions = evaluate(model, data, data.validation)
    labels = data.validation.labels.cpu().numpy()
    yield TrialResult(confusion_matrix(labels, predictions, data.n_classes))


def _fit(job: TrialJob, data: "TrainingData") -> Generator["EpochMetrics", None, "nn.Module"]:
    """The epochs of a new network, which it gives when it is trained."""
    import torch

    from sweeper.models import build
    from sweeper.training.fit import fit

    torch.manual_seed(job.seed)
    model = build(job.configuration.model, data.input_shape, data.n_classes)
    model = model.to(data.device).to(memory_format=data.layout)
    yield from fit(
        model,
        data,
        job.configuration.train,
        epochs=job.epochs,
        seed=job.seed,
        checkpoint_path=job.checkpoint,
        identity=job.identity,
    )
    return model
