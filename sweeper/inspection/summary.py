"""Summarises a data set in plain values: counts, shape, class balance, pixel statistics, hashes, a few images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data.training_set import TrainingSet
from sweeper.images.class_choice import class_counts

# Bytes of uint8 images read at once, since they may be mapped from disk. Summing them takes a few times this memory.
CHUNK_BYTES = 16_000_000


def channel_statistics(images: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 images (N, C, H, W), with pixels in [0, 1].

    The result is exact, because it comes from the 256-bin histogram, and no float copy of the images is made.
    """
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = np.zeros(256, dtype=np.int64)
        for chunk in _chunks(images):
            counts += np.bincount(chunk[:, channel].ravel(), minlength=256)
        mean = np.average(values, weights=counts)
        means.append(float(mean))
        deviations.append(float(np.sqrt(np.average((values - mean) ** 2, weights=counts))))
    return means, deviations


def pixel_statistics(images: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (ddof = 0) of each pixel over uint8 images (N, C, H, W), with pixels in [0, 1].

    Returns two arrays (C, H, W), rounded only at the end: the sums of values and of squares are integers. These cannot
    overflow with fewer than 11 million images.
    """
    sums, squares = np.zeros((2, *images.shape[1:]), dtype=np.int64)
    for chunk in _chunks(images):
        sums += chunk.sum(axis=0, dtype=np.int64)
        squares += np.square(chunk, dtype=np.uint16).sum(axis=0, dtype=np.int64)
    n = len(images)
    return sums / (255 * n), np.sqrt(n * squares - sums**2) / (255 * n)


def sample_indices(labels: NDArray[np.int64], n_classes: int, per_class: int, seed: int) -> list[NDArray[np.int64]]:
    """The sorted indices of up to `per_class` images of each class, drawn without replacement; the labels are (n,)."""
    rng = np.random.default_rng(seed)
    found = []
    for label in range(n_classes):
        members = np.flatnonzero(labels == label)
        found.append(np.sort(rng.choice(members, min(per_class, len(members)), replace=False)))
    return found


def part_summary(labels: NDArray[np.int64], classes: tuple[str, ...], sha256: str, source: str) -> dict[str, Any]:
    """The counts of one part with these labels (n,), in total and per class, with its hash and its source."""
    return {
        "images": len(labels),
        "class_counts": class_counts(labels, classes),
        "sha256": sha256,
        "source": source,
    }


def summarise(training_set: TrainingSet) -> dict[str, Any]:
    """The summary that `sweeper data info` shows, without the test part (null), which this function never sees.

    The training part's counts include the data set's own validation part, if it has one.
    """
    mean, std = channel_statistics(training_set.images)
    _, deviations = pixel_statistics(training_set.images)
    own = training_set.own_validation
    return {
        "name": training_set.name,
        "input_shape": list(training_set.input_shape),
        "classes": list(training_set.classes),
        "conversions": list(training_set.conversions),
        "mean": mean,
        "std": std,
        "pixel_std": {
            "smallest": float(deviations.min()),
            "largest": float(deviations.max()),
            "pixels": deviations.size,
            "constant": int((deviations == 0).sum()),
        },
        "training": part_summary(training_set.labels, training_set.classes, training_set.sha256, training_set.source),
        "own_validation": None
        if own is None
        else {"images": len(own), "class_counts": class_counts(training_set.labels[own], training_set.classes)},
        "test": None,
    }


def _chunks(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    size = max(1, CHUNK_BYTES // max(1, images[:1].nbytes))
    return (images[start : start + size] for start in range(0, len(images), size))
