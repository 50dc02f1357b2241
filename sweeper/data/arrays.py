"""The two files of one part of a data set, already checked by hash, as arrays of images and labels."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from sweeper.data import formats
from sweeper.data.catalog import DataFile, Dataset
from sweeper.data.sources import Found
from sweeper.errors import SweeperError


def decode(dataset: Dataset, found: Found) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, C, H, W) uint8 and labels (N,) int64; SweeperError naming the file that does not fit."""
    channels, height, width = dataset.input_shape
    images_place, labels_place = map(str, found.paths)
    images = formats.read_idx(found.contents[0], images_place, ndim=3)
    labels = formats.read_idx(found.contents[1], labels_place, ndim=1).astype(np.int64)
    if images.shape[1:] != (height, width):
        got = " x ".join(str(size) for size in images.shape[1:])
        raise SweeperError(f"images must be {height} x {width}, got {got} ({images_place})")
    if len(images) != len(labels):
        raise SweeperError(
            f"there must be one label an image, got {len(images):,} images and {len(labels):,} labels ({labels_place})"
        )
    if len(labels) == 0:
        raise SweeperError(f"there must be at least one image, got none ({images_place})")
    if labels.max() >= len(dataset.classes):
        raise SweeperError(
            f"labels must be in 0..{len(dataset.classes) - 1}, got {labels.max()} "
            f"for image {labels.argmax()} ({labels_place})"
        )
    return images.reshape(-1, channels, height, width), labels


def combined_sha256(part: tuple[DataFile, DataFile]) -> str:
    """One SHA-256 for the part: over the hex digests of its images and labels files, a line each."""
    return hashlib.sha256("".join(f"{file.sha256}\n" for file in part).encode()).hexdigest()
