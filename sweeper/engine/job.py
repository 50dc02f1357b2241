"""One trial in a worker: a configuration in, metrics epoch by epoch and a final result out."""

import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from sweeper.config import Configuration
from sweeper.events import Note

if TYPE_CHECKING:  # a worker imports this module before it limits its threads: nothing that brings pools of them
    import numpy as np
    from torch import nn

    from sweeper.training.device_data import TrainingData
    from sweeper.training.loop import EpochMetrics


@dataclass(frozen=True)
class InitialWeights:
    """What a training takes over before its first step: tensors of a safetensors file that has this SHA-256.

    `tensors` are their names; with `freeze` they stay as they are, the others alone are trained.
    """

    path: Path
    sha256: str
    tensors: tuple[str, ...]
    freeze: bool


@dataclass(frozen=True)
class TrialJob:
    """What a worker needs to know for one training of a trial, which has several with folds or repeats.

    The folder is the training's own. `label` tells it from the trial's others, such as "fold 2"; it is empty for the
    only one. `fold`, counted from 0, is what it is trained on.
    """

    number: int
    configuration: Configuration
    epochs: int
    seed: int
    folder: Path
    data_key: str  # of the data and the arithmetic: a checkpoint made with others is not gone on with
    fold: int = 0
    label: str = ""
    initial: InitialWeights | None = None

    @property
    def key(self) -> int | str:
        """What the training's run is called: the trial itself where this is its only training."""
        return f"{self.number}, {self.label}" if self.label else self.number

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
        own = f"{self.configuration.key()} seed={self.seed} epochs={self.epochs} fold={self.fold} {self.data_key}"
        if self.initial is None:
            return own
        return f"{own} initial={self.initial.sha256} freeze={self.initial.freeze}"


# Initial weights are drawn from torch's global generator, which all trials of a process share.
_building = Lock()
# What is known of the validation part at a training's end, beside the figures of its epochs.
END_METRICS = ("macro_precision", "macro_recall", "thresholded_precision", "thresholded_recall")


@dataclass(frozen=True)
class TrialResult:
    """What a finished training leaves beside its epochs.

    The validation part's confusion matrix (classes, classes), None where there is no such part, and of FIGURES those
    that are defined, shares of 1.
    """

    confusion: "np.ndarray | None"
    metrics: Mapping[str, float] = field(default_factory=dict)


def train_trial(
    job: TrialJob, data: "TrainingData", *, graphs: bool = False
) -> Iterator["EpochMetrics | Note | TrialResult"]:
    """Trains the trial, going on from its checkpoint if there is one; last comes the result.

    With `graphs`, on a card, its steps are CUDA graphs; where they cannot be, a note tells why.

    A checkpoint that is damaged or another training's is set aside, a note tells of it, and the trial starts anew.

    Raises Diverged, ValueError for a network that cannot take the images, and OSError where a file cannot be written.
    """
    from scipy.special import softmax

    from sweeper.evaluation.metrics import confusion_matrix, macro_precision_recall_f1, thresholded_precision_recall
    from sweeper.training.checkpoint import CheckpointError, remove_leftovers, set_aside, write_tensors
    from sweeper.training.loop import evaluate

    remove_leftovers(job.folder)
    reason = ""
    try:
        model = yield from _fit(job, data, graphs)
    except CheckpointError as error:
        reason = str(error)
    if reason:
        yield Note(f"{reason}; set aside as {set_aside(job.checkpoint).name}, the training starts anew")
        model = yield from _fit(job, data, graphs)
    write_tensors(job.weights, model.state_dict(), {"identity": job.identity})
    if not len(data.validation):
        yield TrialResult(None)
        return
    _, outputs = evaluate(model, data, data.validation)
    probabilities = outputs if job.configuration.model.softmax_output else softmax(outputs, axis=1)
    labels = data.validation.labels.cpu().numpy()
    predictions = outputs.argmax(1)
    precision, recall, _ = macro_precision_recall_f1(labels, predictions, data.n_classes)
    metrics = zip(END_METRICS, (precision, recall, *thresholded_precision_recall(labels, probabilities)), strict=True)
    defined = {name: value for name, value in metrics if not math.isnan(value)}
    yield TrialResult(confusion_matrix(labels, predictions, data.n_classes), defined)


def _fit(job: TrialJob, data: "TrainingData", graphs: bool) -> Generator["EpochMetrics | Note", None, "nn.Module"]:
    """The epochs of a new network, which it gives when it is trained."""
    import torch

    from sweeper.models import weight_transfer
    from sweeper.models.families import build
    from sweeper.training.loop import fit

    with _building:
        # Not torch.manual_seed, which seeds the cards' generators too, from which a neighbour may be drawing.
        torch.default_generator.manual_seed(job.seed)
        model = build(job.configuration.model, data.input_shape, data.n_classes)
    if job.initial is not None:
        weight_transfer.load(model, job.initial.path, job.initial.tensors)
    model = model.to(data.device).to(memory_format=data.layout)
    notes: list[str] = []
    for metrics in fit(
        model,
        data,
        job.configuration.train,
        epochs=job.epochs,
        seed=job.seed,
        checkpoint_path=job.checkpoint,
        identity=job.identity,
        frozen=job.initial.tensors if job.initial is not None and job.initial.freeze else (),
        graphs=graphs,
        tell=notes.append,
    ):
        yield from map(Note, notes)
        notes.clear()
        yield metrics
    return model
