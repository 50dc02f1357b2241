"""Accuracy and F1 of each class, of one network and of two networks on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeper.evaluation.bootstrap import RESAMPLES, SEED
from sweeper.evaluation.holm import holm
from sweeper.evaluation.statistics import Estimate, paired, wilson

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class ClassScore:
    """A network's scores for a class with `n` images, shares of 1.

    `accuracy` is the share of its images that the network takes for it (its recall), from `low` to `high` by Wilson's
    95 % interval. `f1` is 2 TP / (2 TP + FP + FN). Values that no image defines are None: all but `f1` without images,
    and `f1` if the network does not predict the class either.
    """

    n: int
    accuracy: float | None
    low: float | None
    high: float | None
    f1: float | None


@dataclass(frozen=True)
class ClassDifference:
    """The scores of one network for a class minus those of another, with 95 % intervals, each by itself.

    Of the accuracy, `p_adjusted` is McNemar's mid-p after Holm's adjustment over the classes, and `decided` says that
    the networks differ. The intervals cover the sampling of images, for these two trained networks: neither their seeds
    nor how they were chosen. Unknown values are None.
    """

    accuracy: float | None
    low: float | None
    high: float | None
    p_adjusted: float | None
    decided: bool
    f1: float | None
    f1_low: float | None
    f1_high: float | None


def class_scores(labels: Indices, predicted: Indices, n_classes: int) -> list[ClassScore]:
    """The scores of every class for labels and predicted classes (n,)."""
    found = []
    for one in range(n_classes):
        is_class, is_predicted = labels == one, predicted == one
        n, n_right, n_predicted = int(is_class.sum()), int((is_class & is_predicted).sum()), int(is_predicted.sum())
        f1 = 2 * n_right / (n + n_predicted) if n + n_predicted else None
        found.append(ClassScore(n, n_right / n, *wilson(n_right, n), f1) if n else ClassScore(0, None, None, None, f1))
    return found


def class_differences(labels: Indices, first: Indices, second: Indices, n_classes: int) -> list[ClassDifference]:
    """The scores of the `first` network minus those of the `second`, on the same images; all arrays are (n,).

    The interval of the accuracy is Tango's for paired proportions, that of F1 a paired bootstrap's (see `_f1`).
    """
    tests = {}
    for one in np.unique(labels).tolist():
        inside = labels == one
        tests[one] = paired(first[inside] == one, second[inside] == one)
    adjusted = dict(zip(tests, holm([test.p_value() for test in tests.values()]), strict=True))
    found = []
    for one in range(n_classes):
        f1 = _f1_difference(labels == one, first == one, second == one)
        value, interval = (None, None) if f1 is None else (f1.value, f1.interval())
        f1_low, f1_high = (None, None) if interval is None else (max(interval[0], -1.0), min(interval[1], 1.0))
        if one not in tests:
            found.append(ClassDifference(None, None, None, None, False, value, f1_low, f1_high))
            continue
        test, after = tests[one], adjusted[one]
        low, high = test.interval()
        # The interval inverts another test than the mid-p test: near the threshold the two can disagree.
        decided = after.decided and not low <= 0 <= high
        found.append(ClassDifference(test.difference, low, high, after.p_value, decided, value, f1_low, f1_high))
    return found


def _f1_difference(is_class: NDArray[np.bool_], first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Estimate | None:
    """The difference of a class's F1, for boolean arrays (n,): is the image of the class, and is it taken for it.

    None if one of the networks has no F1. As in `evaluation.bootstrap`, the images of the class and the others are
    resampled by themselves, n - 1 of n with the weight n / (n - 1) (Rao & Wu 1988), both networks together.
    """
    scores = [_f1(is_class.sum(), (is_class & taken).sum(), taken.sum()) for taken in (first, second)]
    if np.isnan(scores).any():
        return None
    generator = np.random.default_rng(SEED)
    right, predicted = np.zeros((2, RESAMPLES)), np.zeros((2, RESAMPLES))
    for inside in (is_class, ~is_class):
        # Images that both networks take alike need not be told apart.
        counts = [((first == a) & (second == b) & inside).sum() for a in (True, False) for b in (True, False)]
        n = int(inside.sum())
        if n < 2:  # a single image does not vary
            drawn, weight = np.tile(counts, (RESAMPLES, 1)).astype(np.float64), 1.0
        else:
            shares = np.array(counts) / n
            drawn, weight = generator.multinomial(n - 1, shares, size=RESAMPLES).astype(np.float64), n / (n - 1)
        for network, columns in enumerate(([0, 1], [0, 2])):
            taken = weight * drawn[:, columns].sum(axis=1)
            predicted[network] += taken
            if inside is is_class:
                right[network] = taken
    resampled = _f1(is_class.sum(), right, predicted)
    differences = resampled[0] - resampled[1]
    standard_error = float(np.nanstd(differences - differences[0], ddof=1))
    value = float(scores[0] - scores[1])
    # As many degrees of freedom as images less the two means that are taken from them.
    return Estimate(value, standard_error, len(is_class) - 2.0) if standard_error else Estimate(value, None, None)


def _f1(n: int, right: NDArray[np.float64], predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 TP / (2 TP + FP + FN) for `n` images of a class; NaN where there are none and none is predicted."""
    total = np.asarray(n + predicted, dtype=np.float64)
    return np.divide(2 * np.asarray(right), total, out=np.full(total.shape, np.nan), where=total > 0)


def most_different(differences: Sequence[ClassDifference], scores: Sequence[ClassScore], k: int) -> list[int]:
    """At most `k` classes: those whose accuracies differ most; of equal ones, the one with the lower accuracy."""

    def rank(one: int) -> tuple[float, float]:
        return -abs(differences[one].accuracy or 0.0), scores[one].accuracy or 0.0

    return sorted((one for one, score in enumerate(scores) if score.n), key=rank)[:k]


def worst(scores: Sequence[ClassScore], k: int) -> list[int]:
    """At most `k` classes: those of the lowest accuracy."""
    known = [(score.accuracy, one) for one, score in enumerate(scores) if score.accuracy is not None]
    return [one for _, one in sorted(known)[:k]]
