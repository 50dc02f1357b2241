"""One part of a data set, as everything behind the readers of files knows it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The training or the test part of a data set; its arrays may be mapped and read-only.

    `sha256` is of its files or stored arrays as they lie there, whatever is then made of them. The last `n_validation`
    images are those that the data set itself keeps for validation.
    """

    images: NDArray[np.uint8]  # (N, C, H, W)
    labels: NDArray[np.int64]  # (N,), in 0..len(classes)-1
    classes: tuple[str, ...]
    sha256: str
    source: str
    n_validation: int = 0


class NoTestImages(SweeperError):
    """The data set has no test part, or none of the classes that were asked for."""
