"""The training pool: all that a search may learn from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data import lookup
from sweeper.data.images.options import AS_IT_IS, DataOptions
from sweeper.data.known import catalog, locate
from sweeper.data.known.reader import known_part
from sweeper.errors import plain


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The training images and labels of a data set, not yet cut into train, validation and confirm."""

    name: str
    images: NDArray[np.uint8]  # (N, C, H, W); may be mapped and read-only
    labels: NDArray[np.int64]  # (N,), in 0..len(classes)-1
    classes: tuple[str, ...]
    sha256: str  # of the training files only, as they lie there: the test files cannot change it
    source: str  # where the files were
    own_validation: NDArray[np.int64] | None = None  # indices of the images that the data set keeps for validation

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of each image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width


def load_training_set(
    dataset: str,
    *,
    options: DataOptions = AS_IT_IS,
    data_dir: Path | None = None,
    offline: bool = False,
    notify: Callable[[str], None] = lambda note: None,
) -> TrainingSet:
    """The training pool of a data set: a known name, downloaded if it must be and may be, or a folder or .npz file.

    The test files are never opened. `notify` gets a line for each download, each bad file passed over, and a `data_dir`
    that is not used: it and `offline` are for known names. UsageError for what is neither, or a missing `data_dir`;
    SweeperError for files that are bad or not found.
    """
    path = lookup.path_of(dataset)
    if path is not None:
        if data_dir is not None:
            notify(f"the data folder {data_dir} is for known data sets; {plain(dataset)} is a path of its own")
        part = lookup.training_part(path, options, notify)
    else:
        known = catalog.get(dataset)
        found = locate.read(known, known.training, data_dir=data_dir, offline=offline, notify=notify)
        part = known_part(known, known.training, found, options)
    n_images = len(part.labels)
    return TrainingSet(
        name=lookup.name_of(dataset),
        images=part.images,
        labels=part.labels,
        classes=part.classes,
        sha256=part.sha256,
        source=part.source,
        own_validation=np.arange(n_images - part.n_validation, n_images) if part.n_validation else None,
    )


def is_here(dataset: str, *, data_dir: Path | None, notify: Callable[[str], None]) -> bool:
    """Whether the training pool can be loaded without the network. Raises UsageError for what is no data set."""
    if lookup.path_of(dataset) is not None:
        return True
    known = catalog.get(dataset)
    return locate.find(known, known.training, data_dir=data_dir, notify=notify) is not None
