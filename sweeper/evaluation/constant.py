"""The scores of predictors that ignore the image, beside which the scores of networks are read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Constant:
    """A predictor that always says the largest class of a part of the data: that class, and its score in a metric.

    In the loss it gives every image the classes' shares, which is the best that can be done without looking.
    """

    class_name: str
    score: float


def best_constant(metric: str, parts: Sequence[npt.ArrayLike], classes: Sequence[str]) -> Constant | None:
    """The constant predictor of the part of the data with these labels; of several parts (folds), their mean score.

    `metric` is accuracy, balanced_accuracy, macro_f1 or loss. The largest class is that of all parts together, the
    first of equals. None without any label.
    """
    counts = [np.bincount(np.asarray(labels, dtype=np.int64), minlength=len(classes)) for labels in parts]
    counts = [some for some in counts if some.sum()]
    if not counts:
        return None
    largest = int(np.sum(counts, axis=0).argmax())
    return Constant(classes[largest], float(np.mean([_score(metric, some, largest) for some in counts])))


def only_classes(predictions: npt.ArrayLike) -> list[int]:
    """The only class of each network (column of `predictions`, shape (images, networks)), each class once.

    Empty if any network predicts several classes.
    """
    found = [np.unique(column) for column in np.asarray(predictions).T]
    return sorted({int(classes[0]) for classes in found}) if all(len(classes) == 1 for classes in found) else []


def _score(metric: str, counts: npt.NDArray[np.int64], largest: int) -> float:
    shares = counts[counts > 0] / counts.sum()
    share = float(counts[largest] / counts.sum())
    match metric:
        case "accuracy":
            return share
        case "balanced_accuracy":
            return float(counts[largest] > 0) / len(shares)
        case "macro_f1":
            # A class that is predicted without being there counts in the mean.
            return 2 * share / (1 + share) / (len(shares) + (share == 0))
        case "loss":
            return float(-(shares * np.log(shares)).sum())
    raise AssertionError(metric)
