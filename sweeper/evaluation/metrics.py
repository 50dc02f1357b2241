"""Metrics of a classifier's predictions beyond plain accuracy, such as F1, cross-entropy and confusions."""

# Computed without scikit-learn: its import would double the time in which a worker starts.
import numpy as np
import numpy.typing as npt
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
    right, present, predicted = _class_counts(labels, predictions, n_classes)
    there = present + predicted > 0
    right, present, predicted = right[there], present[there], predicted[there]
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(present, 1)
    f1 = 2 * right / (present + predicted)
    return float(precision.mean()), float(recall.mean()), float(f1.mean())


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
    predicted = probabilities > threshold
    n_right, n_predicted = int(predicted[np.arange(len(labels)), labels].sum()), int(predicted.sum())
    return n_right / n_predicted if n_predicted else np.nan, n_right / len(labels)


def per_class_accuracy(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.float64]:
    """The share of each class's images that are predicted right, of shape (n_classes,); NaN for a class without images.

    Raises ValueError as `macro_f1` does.
    """
    right, present, _ = _class_counts(labels, predictions, n_classes)
    return np.divide(right, present, out=np.full(n_classes, np.nan), where=present > 0)


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
    return np.bincount(labels * n_classes + predictions, minlength=n_classes**2).reshape(n_classes, n_classes)


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
    labels, predictions = _indices("labels", labels, n_classes), _indices("predictions", predictions, n_classes)
    if len(labels) != len(predictions):
        raise ValueError(f"each label must have a prediction, got {len(labels)} labels, {len(predictions)} predictions")
    return labels, predictions


def _class_counts(
    labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The images of each class that are predicted right, that there are, and that are predicted to be of it."""
    labels, predictions = _class_indices(labels, predictions, n_classes)
    right = labels[labels == predictions]
    counts = [np.bincount(of, minlength=n_classes) for of in (right, labels, predictions)]
    return counts[0], counts[1], counts[2]


def _scored(
    labels: npt.ArrayLike, scores: npt.ArrayLike, name: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The labels (n,) and each image's scores of all classes (n, n_classes), checked."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or len(scores) != np.size(labels):
        raise ValueError(f"{name} must have shape ({np.size(labels)}, n_classes), got {scores.shape}")
    return _indices("labels", labels, scores.shape[1]), scores


def _indices(name: str, values: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.int64]:
    """The values as an array of class indices, checked."""
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must have shape (n,) with n > 0, got {array.shape}")
    outside = np.flatnonzero((array < 0) | (array >= n_classes))
    if outside.size:
        first = outside[0]
        raise ValueError(f"{name} must be in [0, {n_classes}), got {array[first]} (image {first})")
    return array.astype(np.int64, casting="same_kind")  # products of bytes would overflow in the confusion matrix
