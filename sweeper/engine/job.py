"""One training of a trial, as a worker's job: yields the metrics of every epoch, and at last a result."""

import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.config import Configuration, TimmConfig
from sweeper.events import Note
from sweeper.training import process_locks

if TYPE_CHECKING:  # a worker imports this module before it limits its threads: no import may create thread pools
    import numpy as np
    from torch import nn

    from sweeper.training.device_data import TrainingData
    from sweeper.training.epoch_metrics import EpochMetrics
    from sweeper.training.loop import BatchListener


@dataclass(frozen=True)
class InitialWeights:
    """Tensors that a training loads before its first step, from a safetensors file with this SHA-256.

    `tensors` are their names. With `freeze` the loaded tensors stay fixed, and only the others are trained.
    """

    path: Path
    sha256: str
    tensors: tuple[str, ...]
    freeze: bool


@dataclass(frozen=True)
class PretrainedWeights:
    """Pretrained weights that a training starts from; mean and std by channel, of pixels in [0, 1], are the weights'.

    The configuration says where they are. They must have this SHA-256.
    """

    sha256: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class TrialJob:
    """All that a worker needs for one training of a trial; with folds or repeats, a trial has several trainings.

    `folder` belongs to this training alone. `label`, such as "fold 2", distinguishes it from the trial's other
    trainings; it is empty for the only training. `fold`, counted from 0, is the fold that it trains on.
    """

    number: int
    configuration: Configuration
    epochs: int
    seed: int
    folder: Path
    data_key: str  # identifies the data and the arithmetic: a checkpoint with another key is not resumed
    fold: int = 0
    label: str = ""
    initial: InitialWeights | None = None
    test_flip: bool = False  # as in the protocol
    pretrained: PretrainedWeights | None = None

    @property
    def key(self) -> int | str:
        """The key of the training's run; the trial's number if this is its only training."""
        return f"{self.number}, {self.label}" if self.label else self.number

    @property
    def weights(self) -> Path:
        """The file of the finished training's weights."""
        return self.folder / "model.safetensors"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    @property
    def identity(self) -> str:
        """Everything that decides the weights: a file with another identity belongs to another training."""
        own = f"{self.configuration.key()} seed={self.seed} epochs={self.epochs} fold={self.fold} {self.data_key}"
        own += " test_flip" * self.test_flip  # it decides at which epoch a training with patience ends
        if self.pretrained is not None:
            own += f" pretrained={self.pretrained.sha256}"
        if self.initial is None:
            return own
        return f"{own} initial={self.initial.sha256} freeze={self.initial.freeze}"


# Metrics on the validation part that are computed only at a training's end, not after every epoch.
END_METRICS = ("macro_precision", "macro_recall", "thresholded_precision", "thresholded_recall")


@dataclass(frozen=True)
class TrialResult:
    """The result of a finished training, in addition to the metrics of its epochs.

    `confusion` is the validation part's confusion matrix (classes, classes), None if there is no such part. `metrics`
    are those of END_METRICS that are defined, as fractions of 1.
    """

    confusion: "np.ndarray | None"
    metrics: Mapping[str, float] = field(default_factory=dict)


def train_trial(
    job: TrialJob,
    data: "TrainingData",
    *,
    graphs: bool = False,
    on_batch: "BatchListener" = lambda epoch, done, total: None,
) -> Iterator["EpochMetrics | Note | TrialResult"]:
    """Trains the trial, resuming from its checkpoint if there is one, and yields the result last.

    With `graphs`, on a GPU, the training steps run as CUDA graphs; if they cannot, a note says why. `on_batch` is
    called after every batch, with the epoch, the batches done in it, and their number.

    If the checkpoint is damaged or belongs to another training, it is set aside with a note, and training starts anew.

    Raises Diverged, ValueError for a network that cannot take the images, and OSError if a file cannot be written.
    """
    from scipy.special import softmax

    from sweeper.evaluation.metrics import confusion_matrix, macro_precision_recall_f1, thresholded_precision_recall
    from sweeper.training.checkpoint import CheckpointError, remove_leftovers, set_aside, write_tensors
    from sweeper.training.validation import evaluate

    remove_leftovers(job.folder)
    if job.pretrained is not None:
        data = data.scaled_by(job.pretrained.mean, job.pretrained.std)
    reason = ""
    try:
        model = yield from _fit(job, data, graphs, on_batch)
    except CheckpointError as error:
        reason = str(error)
    if reason:
        yield Note(f"{reason}; set aside as {set_aside(job.checkpoint).name}, the training starts anew")
        model = yield from _fit(job, data, graphs, on_batch)
    write_tensors(job.weights, model.state_dict(), {"identity": job.identity})
    if not len(data.validation):
        yield TrialResult(None)
        return
    _, outputs = evaluate(model, data, data.validation, lambda: on_batch(job.epochs, 1, 1), test_flip=job.test_flip)
    probabilities = outputs if job.configuration.model.softmax_output else softmax(outputs, axis=1)
    labels = data.validation.labels.cpu().numpy()
    predictions = outputs.argmax(1)
    precision, recall, _ = macro_precision_recall_f1(labels, predictions, data.n_classes)
    metrics = zip(END_METRICS, (precision, recall, *thresholded_precision_recall(labels, probabilities)), strict=True)
    defined = {name: value for name, value in metrics if not math.isnan(value)}
    yield TrialResult(confusion_matrix(labels, predictions, data.n_classes), defined)


def _fit(
    job: TrialJob, data: "TrainingData", graphs: bool, on_batch: "BatchListener"
) -> Generator["EpochMetrics | Note", None, "nn.Module"]:
    """Trains a new network, yields its epochs, and returns the trained network."""
    import torch

    from sweeper.models import weight_transfer
    from sweeper.models.classifier import tensors_of_classifier
    from sweeper.training.loop import fit

    with process_locks.building:
        # Not torch.manual_seed: it also seeds the GPUs' generators, from which another training may be drawing.
        torch.default_generator.manual_seed(job.seed)
        model = _built(job, data)
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
        head=tensors_of_classifier(model) if job.configuration.train.freeze_epochs else (),
        graphs=graphs,
        probabilities=job.configuration.model.softmax_output,
        test_flip=job.test_flip,
        tell=notes.append,
        on_batch=on_batch,
    ):
        yield from map(Note, notes)
        notes.clear()
        yield metrics
    return model


def _built(job: TrialJob, data: "TrainingData") -> "nn.Module":
    """The untrained network, on the CPU. Raises ValueError if its pretrained weights are no longer those of the job."""
    from sweeper.models.families import build, without_weights

    config, shape, n_classes = job.configuration.model, data.input_shape, data.n_classes
    if job.pretrained is None:  # in a study of an older version, timm itself may load pretrained weights
        return build(config, shape, n_classes)
    from sweeper.models import pretrained

    assert isinstance(config, TimmConfig)
    network = build(without_weights(config), shape, n_classes)
    found = pretrained.find(config, offline=True)  # the command has downloaded what it lacked
    if found.sha256 != job.pretrained.sha256:
        raise ValueError(f"the pretrained weights {config.weights} have changed: {found.path} is another file now")
    pretrained.load(network, config, shape, n_classes, found)
    return network
