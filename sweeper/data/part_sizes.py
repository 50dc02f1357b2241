"""How many images the parts of a training set get: a share or a count, but one of each class where that is possible."""

import math

import numpy as np
from numpy.typing import NDArray


def enough_for(labels: NDArray[np.int64], size: int, n_parts: int) -> int:
    """The images that suffice for one of each class, if `size` images hold one of each class for each part; else 0.

    The labels are those of all images, (n,).
    """
    counts = np.unique(labels, return_counts=True)[1]
    fits = len(counts) and counts.min() >= n_parts and len(counts) * n_parts <= size
    return len(counts) if fits else 0


def count_of(name: str, value: float | int, size: int, least: int, enough: int) -> int:
    """The number of images that `value`, a share or a count, means in a training set of `size` images.

    A share means `enough` images at least.
    """
    if isinstance(value, float):
        low = "[0" if least == 0 else "(0"
        if not 0 <= value < 1 or (value == 0 and least > 0):
            raise ValueError(f"{name} as a share must be in {low}, 1), got {value}")
        count = math.floor(value * size + 0.5)
        if value > 0 and count == 0:
            raise ValueError(
                f"{name} must come to at least one image, got {value} of {size} images; --set {name}=1 asks for one"
            )
        return max(count, enough) if count else 0
    if isinstance(value, bool) or value < least:
        raise ValueError(f"{name} as a count must be at least {least}, got {value}")
    return value
