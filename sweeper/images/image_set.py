"""One part of a data set, in the form that all readers of files return."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError
from sweeper.images.value_range import ValueRange

# Mean and standard deviation of the pixels, by channel.
Scaling = tuple[list[float], list[float]]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The training or test part of a data set; its arrays may be mapped and read-only.

    `sha256` is the hash of the files or arrays as stored, before any conversion. The last `n_validation` images are
    those that the data set itself keeps for validation. `conversions` says in short phrases what else than 8-bit grey
    or colour the files hold, and what became of it; it is empty for images that are read as they are stored.
    `value_range` has the stored values that became 0 and 255; None for pixels that were stored as bytes. `scales_bytes`
    says that stored bytes are among the values of that range, and not pixels. `files` names the file of each image,
    relative to `source`; it is None for images that have no files of their own.
    """

    images: NDArray[np.uint8]  # (N, C, H, W)
    labels: NDArray[np.int64]  # (N,), in 0..len(classes)-1
    classes: tuple[str, ...]
    sha256: str
    source: str
    n_validation: int = 0
    conversions: tuple[str, ...] = ()
    value_range: ValueRange | None = None
    scales_bytes: bool = False
    files: tuple[str, ...] | None = None


@dataclass(frozen=True)
class PixelFormat:
    """What the training images are, and so what the test images must become.

    `shape` is (channels, height, width); `value_range` is as in ImageSet.
    """

    shape: tuple[int, int, int]
    value_range: ValueRange | None = None


class NoTestImages(SweeperError):
    """The data set has no test part, or no test images of the chosen classes."""


class UnusableTestImages(NoTestImages):
    """The data set has test images that no network can be tested on: without labels, or of classes not trained on."""
