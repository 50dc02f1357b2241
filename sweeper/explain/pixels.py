"""Images and feature maps as small pictures: bytes of a size that a figure can show."""

import math

import numpy as np
from numpy.typing import NDArray

# The longest side of a picture, in pixels: a figure shows it about an inch wide.
LONGEST = 96


def thumbnail(image: NDArray[np.uint8], longest: int = LONGEST) -> NDArray[np.uint8]:
    """An image (channels, height, width), if it is larger than `longest`, as means of square blocks of its pixels."""
    return np.rint(_shrunk(image.astype(np.float64), longest)).astype(np.uint8)


def as_pixels(maps: NDArray[np.float32], longest: int = LONGEST // 2) -> tuple[NDArray[np.uint8], float, float]:
    """Maps (n, height, width) as bytes on one scale for all, and the values that became 0 and 255.

    Values that are not finite count as the nearest that is; if none is finite, all are 0.
    """
    finite = maps[np.isfinite(maps)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    known = np.nan_to_num(maps.astype(np.float64), nan=low, posinf=high, neginf=low)
    scaled = (_shrunk(known, longest) - low) * (255 / (high - low) if high > low else 0.0)
    return np.rint(scaled).clip(0, 255).astype(np.uint8), low, high


def strongest(maps: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The positions of at most `k` of the maps (channels, height, width): those of the largest mean magnitude."""
    order = np.argsort(-np.abs(maps).mean(axis=(1, 2)), kind="stable")
    return np.sort(order[:k])


def _shrunk(pixels: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """Means of square blocks (..., height, width); blocks at the lower and right edge may be cut."""
    block = math.ceil(max(pixels.shape[-2:]) / longest)
    if block == 1:
        return pixels
    for axis in (-2, -1):
        side = pixels.shape[axis]
        starts = np.arange(0, side, block)
        sums = np.add.reduceat(pixels, starts, axis=axis)
        counts = np.minimum(starts + block, side) - starts
        pixels = sums / (counts[:, None] if axis == -2 else counts)
    return pixels
