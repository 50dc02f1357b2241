"""The training set: all images that a search may learn from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data import lookup
from sweeper.data.known import catalog, locate
from sweeper.data.known.reader import known_part
from sweeper.data.source import DataSource
from sweeper.errors import plain
from sweeper.images import preprocessing
from sweeper.images.image_set import PixelFormat
from sweeper.images.options import DataOptions
from sweeper.images.preprocessing import Preprocessing
from sweeper.images.reading import Reading
from sweeper.images.value_range import ValueRange


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The training images and labels of a data set, before the split into train, validation and confirm."""

    name: str
    images: NDArray[np.uint8]  # (N, C, H, W); may be mapped and read-only
    labels: NDArray[np.int64]  # (N,), in 0..len(classes)-1
    classes: tuple[str, ...]
    sha256: str  # of the training files only, as stored: the test files cannot change it
    source: str  # where the files were found
    own_validation: NDArray[np.int64] | None = None  # indices of the images that the data set keeps for validation
    conversions: tuple[str, ...] = ()  # as ImageSet's
    value_range: ValueRange | None = None  # the stored values that became 0 and 255; None for pixels stored as bytes
    scales_bytes: bool = False  # as ImageSet's
    files: tuple[str, ...] | None = None  # as ImageSet's

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of each image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def pixel_format(self) -> PixelFormat:
        """What the test images must become."""
        return PixelFormat(self.input_shape, self.value_range)

    def preprocessing(self, options: DataOptions) -> Preprocessing:
        """What was done to the images, which were read with these options."""
        return preprocessing.of(options, self.value_range, scales_bytes=self.scales_bytes)


def load_training_set(source: DataSource, *, notify: Callable[[str], None] = lambda note: None) -> TrainingSet:
    """Loads the training set: of a known name, downloaded if needed and allowed, or of a folder or .npz file.

    The test files are never opened. `notify` gets a line for each download, each bad file that is skipped, and a
    `data_dir` that has no effect. Raises UsageError for an unknown data set or a missing `data_dir`, and SweeperError
    for files that are bad or not found.
    """
    dataset, path = source.dataset, lookup.path_of(source.dataset)
    lookup.check_options(dataset, source.options)
    if path is not None:
        if source.data_dir is not None:
            notify(f"ignored the data folder {source.data_dir}: {plain(dataset)} is a path, not a known data set")
        found = lookup.training_part(path, source.options, Reading(notify, source.max_bytes))
    else:
        known = catalog.get(dataset)
        if Path(dataset).is_dir():
            notify(f"{dataset} is the known data set, not the folder of this name here: ./{dataset} names the folder")
        files = locate.read(known, known.training, data_dir=source.data_dir, offline=source.offline, notify=notify)
        found = known_part(known, known.training, files, source.options, Reading(notify, source.max_bytes))
    n_images = len(found.labels)
    return TrainingSet(
        name=lookup.name_of(dataset),
        images=found.images,
        labels=found.labels,
        classes=found.classes,
        sha256=found.sha256,
        source=found.source,
        own_validation=np.arange(n_images - found.n_validation, n_images) if found.n_validation else None,
        conversions=found.conversions,
        value_range=found.value_range,
        scales_bytes=found.scales_bytes,
        files=found.files,
    )


def is_here(source: DataSource, *, notify: Callable[[str], None]) -> bool:
    """Whether the training set can be loaded without the network. Raises UsageError for an unknown data set."""
    if lookup.path_of(source.dataset) is not None:
        return True
    known = catalog.get(source.dataset)
    return locate.find(known, known.training, data_dir=source.data_dir, notify=notify) is not None
