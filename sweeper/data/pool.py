"""The training pool: all that a search may learn from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data import catalog, sources
from sweeper.data.arrays import combined_sha256, decode


@dataclass(frozen=True, eq=False)
class TrainingPool:
    """The training images and labels of a data set, not yet cut into train, validation and confirm."""

    name: str
    images: NDArray[np.uint8]  # (N, C, H, W)
    labels: NDArray[np.int64]  # (N,), in 0..len(classes)-1
    classes: tuple[str, ...]
    sha256: str  # of the training files only: the test files cannot change it
    source: str  # the folder the files were in

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of each image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width


def load_training_pool(
    name: str,
    *,
    data_dir: Path | None = None,
    offline: bool = False,
    notify: Callable[[str], None] = lambda note: None,
) -> TrainingPool:
    """The training pool of the data set `name`, downloaded if it must be and may be.

    The test files are never opened. `notify` gets a line for each download and each bad file passed over.
    UsageError for an unknown name or a missing `data_dir`; SweeperError for files that are bad or not found.
    """
    dataset = catalog.get(name)
    found = sources.read(dataset, dataset.training, data_dir=data_dir, offline=offline, notify=notify)
    images, labels = decode(dataset, found)
    return TrainingPool(
        name=dataset.name,
        images=images,
        labels=labels,
        classes=dataset.classes,
        sha256=combined_sha256(dataset.training),
        source=str(found.folder),
    )
