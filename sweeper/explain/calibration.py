"""Whether a network's probabilities can be trusted: its accuracy by confidence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeper.evaluation.statistics import wilson

# As in Guo et al.
BINS = 15


@dataclass(frozen=True)
class Bin:
    """Images whose confidence is above `low` and at most `high`; of `n` = 0 images, the other values are None.

    `confidence` is the mean probability of the predicted class, `accuracy` the share that is right, from
    `accuracy_low` to `accuracy_high` by Wilson's 95 % interval. All are shares of 1.
    """

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None


@dataclass(frozen=True)
class Reliability:
    """Bins of equal width over the confidence, and the expected calibration error, a share of 1, of `n` images.

    `confidence` and `accuracy` are the means over all images: a network whose confidence is larger is overconfident.
    """

    bins: Sequence[Bin]
    error: float
    n: int
    confidence: float
    accuracy: float


def reliability(labels: NDArray[np.int64], log_probabilities: NDArray[np.float64], n_bins: int = BINS) -> Reliability:
    """The reliability diagram of a network's predictions, `labels` (n,) and `log_probabilities` (n, classes).

    Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, equations 2, 3 and 5: with
    acc(B) the share of the images in bin B that are right, conf(B) their mean probability of the predicted class,

        ECE = sum over bins of |B| / n * |acc(B) - conf(B)|

    With few images in a bin, chance alone makes |acc - conf| larger than 0, so the error is an overestimate. Raises
    ValueError for no images.
    """
    n = len(labels)
    if not n:
        raise ValueError("a reliability diagram needs at least one image, got none")
    confidence = np.exp(log_probabilities.max(axis=1))
    correct = log_probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, n_bins + 1)
    # A bin is open below and closed above, as in the paper.
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    bins, error = [], 0.0
    for place in range(n_bins):
        inside = places == place
        low, high, count = float(edges[place]), float(edges[place + 1]), int(inside.sum())
        if not count:
            bins.append(Bin(low, high, 0, None, None, None, None))
            continue
        mean, n_correct = float(confidence[inside].mean()), int(correct[inside].sum())
        error += count / n * abs(n_correct / count - mean)
        bins.append(Bin(low, high, count, mean, n_correct / count, *wilson(n_correct, count)))
    return Reliability(bins, float(error), n, float(confidence.mean()), float(correct.mean()))
