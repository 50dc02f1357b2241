"""Metrics of a classifier's predictions beyond plain accuracy, such as F1, cross-entropy and confusions."""

import numpy as np
import numpy.typing as npt
import sklearn.metrics
from scipy.special import log_softmax

# The metrics of an epoch that learning curves show.
LEARNING_CURVES = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")


def macro_f1(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int) -> float:
    """The unweighted mean over classes of F1 = 2 TP / (2 TP + FP + FN), a share of 1.

    Selects the classes, and raises ValueError, as `macro_precision_recall_f1` does.
    """
    return macro_precision_recall_f1(labels, predictions, n_classes)[2]


def macro_precision_recall_f1(
    labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int
) -> tuple[float, float, float]:
    """The unweighted means over classes of precision, recall and F1, shares of 1.

    `labels` and `predictions` are class indices of shape (n,). A class that is neither present nor predicted
    is left out of the means; one that is present but never predicted, or the reverse, counts as 0 in each mean. F1 is
    the mean of the classes' F1, not the F1 of the mean precision and recall.
    Raises ValueError for an index outside [0, n_classes), for no images, and for unequal lengths.
    """
    labels, predictions = _class_indices(labels, predictions, n_classes)
    precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(
        labels, predictions, labels=np.union1d(labels, predictions), average="macro", zero_division=0
    )
    return float(precision), float(recall), float(f1)


def thresholded_precision_recall(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, threshold: float = 0.5
) -> tuple[float, float]:
    """Precision and recall over all pairs of an image and a class, shares of 1.

    `labels` are class indices of shape (n,), `probabilities` have shape (n, n_classes). A pair counts as predicted
    when its probability is above the threshold, so an image may have no predicted class or several: these are the
    metrics Precision and Recall of Keras on one-hot labels. The precision is NaN where nothing is predicted.
    Raises ValueError as `cross_entropy` does.
    """
    labels, probabilities = _scored(labels, probabilities, "probabilities")
    present = np.arange(probabilities.shape[1]) == labels[:, None]
    precision, recall, _, _ = sklearn.metrics.precision_recall_fscore_support(
        present.ravel(), (probabilities > threshold).ravel(), average="binary", zero_division=np.nan
    )
    return float(precision), float(recall)


def per_class_accuracy(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.float64]:
    """The share of each class's images that are predicted right, of shape (n_classes,); NaN for a class without images.

    Raises ValueError as `macro_f1` does.
    """
    labels, predictions = _class_indices(labels, predictions, n_classes)
    shares: npt.NDArray[np.float64] = sklearn.metrics.recall_score(
        labels, predictions, labels=np.arange(n_classes), average=None, zero_division=np.nan
    )
    return shares


def balanced_accuracy(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int) -> float:
    """The unweighted mean of the classes' accuracies, a share of 1; a class without images is left out.

    Raises ValueError as `macro_f1` does.
    """
    return float(np.nanmean(per_class_accuracy(labels, predictions, n_classes)))


def cross_entropy(labels: npt.ArrayLike, logits: npt.ArrayLike) -> float:
    """The mean over images of -ln p(true class), in nats, for logits of shape (n, n_classes).

    The mean is finite for all finite logits. Raises ValueError for logits of another shape, for labels that are not one
    class index per image, and for no images.
    """
    labels, logits = _scored(labels, logits, "logits")
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def confusion_matrix(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.int64]:
    """Counts of images of shape (n_classes, n_classes): rows are true classes, columns predicted ones.

    Raises ValueError as `macro_f1` does.
    """
    labels, predictions = _class_indices(labels, predictions, n_classes)
    counts: npt.NDArray[np.int64] = sklearn.metrics.confusion_matrix(labels, predictions, labels=np.arange(n_classes))
    return counts


def largest_confusions(matrix: npt.NDArray[np.int64], k: int = 3) -> list[tuple[int, int, int]]:
    """At most `k` largest counts off the diagonal, as (true class, predicted class, count), largest first.

    `matrix` has shape (n, n), rows true. Equal counts keep the matrix's order; zeros are left out.
    """
    errors = np.array(matrix)
    np.fill_diagonal(errors, 0)
    largest = np.argsort(-errors, axis=None, kind="stable")[:k]
    rows, columns = np.unravel_index(largest, errors.shape)
    return [(int(i), int(j), int(errors[i, j])) for i, j in zip(rows, columns, strict=True) if errors[i, j] > 0]


def _class_indices(
    labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return _indices("labels", labels, n_classes), _indices("predictions", predictions, n_classes)


def _scored(
    labels: npt.ArrayLike, scores: npt.ArrayLike, name: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The labels (n,) and each image's scores of all classes (n, n_classes), checked."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or len(scores) != np.size(labels):
        raise ValueError(f"{name} must have shape ({np.size(labels)}, n_classes), got {scores.shape}")
    return _indices("labels", labels, scores.shape[1]), scores


def _indices(name: str, values: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.int64]:
    """The values as an array, checked here because scikit-learn silently drops an index that is not in its list."""
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must have shape (n,) with n > 0, got {array.shape}")
    outside = np.flatnonzero((array < 0) | (array >= n_classes))
    if outside.size:
        first = outside[0]
        raise ValueError(f"{name} must be in [0, {n_classes}), got {array[first]} (image {first})")
    return array
