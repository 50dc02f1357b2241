"""Finds which images a network has been trained on: exact copies, pixel by pixel."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sweeper.analysis.images import load_pool, study_of
from sweeper.analysis.network import TrainedNetwork
from sweeper.data.source import DataAccess
from sweeper.data.training_set import TrainingSet
from sweeper.errors import SweeperError
from sweeper.store.layout import Store


@dataclass(frozen=True, eq=False)
class TrainedOn:
    """The images that a network was trained on, uint8 (n, channels, height, width), of its study's training set.

    Without them, both are None, and `why_unknown` says why.
    """

    training_set: TrainingSet | None
    images: NDArray[np.uint8] | None
    why_unknown: str = ""

    def holds(self, images: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        """Which of these images the network was trained on, shape (n,); None if that is unknown."""
        return None if self.images is None else copies_of(self.images, images)


def trained_on(store: Store, network: TrainedNetwork, data_access: DataAccess) -> TrainedOn:
    """The images that the network was trained on, as far as they are on this machine: downloads nothing."""
    try:
        here = replace(data_access, offline=True)
        training_set, split = load_pool(study_of(store, network), network.fold, here, lambda _: None)
    except SweeperError as error:
        return TrainedOn(None, None, str(error))
    parts = [split.train] if network.trained_on == "train" else [split.train, split.validation, split.confirm]
    return TrainedOn(training_set, training_set.images[np.sort(np.concatenate(parts))])


def copies_of(known: NDArray[np.uint8], images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the images (n, channels, height, width) equal one of the known ones in every pixel, shape (n,)."""
    digests = {_digest(image) for image in known}
    return np.array([_digest(image) in digests for image in images], dtype=np.bool_)


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=32).digest()
