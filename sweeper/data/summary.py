"""What a data set holds, as plain values: counts, shape, class balance, pixel statistics, hashes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data.pool import TrainingPool


def channel_statistics(images: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 images (N, C, H, W), with pixels in [0, 1].

    Exact: from the 256-bin histogram, so no float copy of the images is made.
    """
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = np.bincount(images[:, channel].ravel(), minlength=256)
        mean = np.average(values, weights=counts)
        means.append(float(mean))
        deviations.append(float(np.sqrt(np.average((values - mean) ** 2, weights=counts))))
    return means, deviations


def part_summary(labels: NDArray[np.int64], classes: tuple[str, ...], sha256: str, source: str) -> dict[str, Any]:
    """The counts of one part, in all and by class, with its hash and where it was found."""
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    return {
        "images": len(labels),
        "class_counts": dict(zip(classes, counts, strict=True)),
        "sha256": sha256,
        "source": source,
    }


def summarise(pool: TrainingPool) -> dict[str, Any]:
    """The data set as `sweeper data info` shows it, but for its test part (null), unseen here."""
    mean, std = channel_statistics(pool.images)
    return {
        "name": pool.name,
        "input_shape": list(pool.input_shape),
        "classes": list(pool.classes),
        "mean": mean,
        "std": std,
        "training": part_summary(pool.labels, pool.classes, pool.sha256, pool.source),
        "test": None,
    }
