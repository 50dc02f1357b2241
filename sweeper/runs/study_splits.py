"""Splits a training set by a protocol, and computes the scaling of each fold's images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sweeper.config import Protocol
from sweeper.data.splits import Split, split_folds, split_once
from sweeper.data.training_set import TrainingSet
from sweeper.images.image_set import Scaling
from sweeper.inspection.summary import channel_statistics
from sweeper.studies.seeds import derive_seed


def splits_of(training_set: TrainingSet, protocol: Protocol, *, seed: int, subset: int | None) -> list[Split]:
    """One split for each fold, or the only split. Raises ValueError if the training set is too small."""
    common: dict[str, Any] = {
        "confirm": protocol.confirm,
        "seed": derive_seed(seed, "split"),
        "subset": subset,
        "classes": training_set.classes,
    }
    images, labels = training_set.images, training_set.labels
    if protocol.folds:
        return split_folds(images, labels, folds=protocol.folds, **common)
    own = training_set.own_validation
    return [split_once(images, labels, validation=protocol.validation, own_validation=own, **common)]


def whole(split: Split) -> Split:
    """All images of the split's parts to train on, and none for scores."""
    every = np.sort(np.concatenate([split.train, split.validation, split.confirm]))
    return Split(train=every, validation=every[:0], confirm=every[:0])


def scalings(training_set: TrainingSet, splits: Sequence[Split], pixels: str) -> list[Scaling]:
    """Each split's mean and std by channel, of its train part alone, to avoid leakage; 0 and 1 for unit `pixels`."""
    found = []
    for split in splits:
        mean, std = channel_statistics(training_set.images[split.train])
        if pixels == "unit":
            mean, std = [0.0] * len(mean), [1.0] * len(std)
        found.append((mean, [value or 1.0 for value in std]))  # a constant channel has no spread to divide by
    return found
