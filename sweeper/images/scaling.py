"""Scales stored values of any type to the bytes that networks train on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.images.value_range import ValueRange

# A part was scaled in another way than the training images if even its largest value reaches a smaller share of their
# range: bytes for floats up to 1 reach 1/255.
LEAST_REACHED = 0.01


def to_bytes(values: NDArray[Any], value_range: ValueRange) -> NDArray[np.uint8]:
    """The values, which must be finite, as bytes: rounded, a half to the even neighbour, and clipped to 0 and 255."""
    spread = (values.astype(np.float64) - value_range.low) * 255 / (value_range.high - value_range.low)
    return np.rint(spread).clip(0, 255).astype(np.uint8)


def n_outside(values: NDArray[Any], value_range: ValueRange) -> int:
    """How many values are clipped by more than rounding."""
    wide, margin = values.astype(np.float64), value_range.margin
    return int(np.count_nonzero((wide < value_range.low - margin) | (wide > value_range.high + margin)))
