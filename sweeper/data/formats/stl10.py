"""Reads the binary files of STL-10."""

import math

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError

STL10_IMAGE = (3, 96, 96)


def read_stl10(
    images: bytes, labels: bytes, images_place: str, labels_place: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images (N, 3, 96, 96) and labels (N,) of a pair of STL-10's binary files.

    Layout (A. Coates et al., "STL-10 dataset"): one byte per pixel, channel by channel, each channel column by column;
    one byte per label, counted from 1. Raises SweeperError that names the place.
    """
    size = math.prod(STL10_IMAGE)
    if len(images) % size:
        raise SweeperError(f"there must be {size:,} bytes per image, got {len(images):,} in all ({images_place})")
    pixels = np.frombuffer(images, np.uint8).reshape(-1, *STL10_IMAGE).transpose(0, 1, 3, 2)
    numbers = np.frombuffer(labels, np.uint8).astype(np.int64)
    if 0 in numbers:
        raise SweeperError(f"labels must count from 1, got 0 for image {np.argmin(numbers)} ({labels_place})")
    return np.ascontiguousarray(pixels), numbers - 1
