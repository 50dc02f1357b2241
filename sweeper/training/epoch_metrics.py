"""The metrics of an epoch, as the training loop yields them and a checkpoint keeps them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class EpochMetrics:
    """The metrics of one epoch, counted from 1. Losses are means over images, accuracies shares of 1.

    The train metrics are running ones, taken while the weights change, with dropout on. The losses are -ln p(true
    class) of the output alone, without the auxiliary heads' losses, label smoothing and penalty, so that they compare
    with each other and with those of all other networks. `lr` is the learning rate of the epoch's last step.
    `gradient_norm` is the mean over steps of the 2-norm over all parameters that train, before clipping.
    `images_per_second` counts training images over the time spent training; `epoch_seconds` is that time plus the
    validation pass. The validation metrics are NaN without a validation part.

    `penalty` is the weight-decay penalty at the epoch's end (optimizers.penalty): studies that report losses with the
    penalty add it to both losses. `heads` holds the accuracies of the auxiliary heads, under names such as
    "conv2_train_accuracy" and "conv2_validation_accuracy".
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    validation_macro_f1: float
    lr: float
    images_per_second: float
    gradient_norm: float
    epoch_seconds: float
    validation_balanced_accuracy: float = math.nan  # checkpoints of older versions lack it
    penalty: float = 0.0
    heads: Mapping[str, float] = field(default_factory=dict)

    def values(self) -> dict[str, float]:
        """Every metric by name, the heads' with the prefix "aux_"; the penalty only where it is not 0."""
        values = asdict(self)
        heads = values.pop("heads")
        if not self.penalty:
            del values["penalty"]
        return values | {f"aux_{name}": value for name, value in heads.items()}


@dataclass(frozen=True, kw_only=True)
class SoftmaxEpochMetrics(EpochMetrics):
    """The metrics of a network that ends in a softmax, which is trained on its probabilities taken as logits.

    `train_softmax_loss` and `validation_softmax_loss` are the cross-entropies of that training, to compare with those
    of studies that reported them.
    """

    train_softmax_loss: float
    validation_softmax_loss: float


class Diverged(Exception):
    """The loss is no longer finite."""


def epochs_of(history: Iterable[Mapping[str, Any]]) -> list[EpochMetrics]:
    """The epochs of a checkpoint's history. Raises TypeError if they have other metrics than EpochMetrics."""
    return [(SoftmaxEpochMetrics if "train_softmax_loss" in past else EpochMetrics)(**past) for past in history]
