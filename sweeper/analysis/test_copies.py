"""Finds which of a person's own images are test images of the data that a network was trained on."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sweeper.analysis.images import study_of
from sweeper.analysis.network import TrainedNetwork
from sweeper.analysis.seen import copies_of
from sweeper.data.source import DataAccess
from sweeper.data.test_set import find_test_set
from sweeper.data.training_set import TrainingSet
from sweeper.errors import SweeperError
from sweeper.store.layout import Store
from sweeper.studies import data_source


def n_test_images(
    store: Store,
    network: TrainedNetwork,
    training_set: TrainingSet,
    images: NDArray[np.uint8],
    data_access: DataAccess,
) -> int:
    """How many of the images (n, channels, height, width) equal a test image of the network's study, pixel by pixel.

    `training_set` is the study's. Downloads nothing, and predicts nothing. A test part that is not on this machine, or
    cannot be read, has no image.
    """
    try:
        source = data_source.source_of(study_of(store, network), replace(data_access, offline=True))
        test_set = find_test_set(source, pixel_format=training_set.pixel_format)
    except SweeperError:
        return 0
    return 0 if test_set is None else int(copies_of(test_set.images, images).sum())
