"""What a set of predicted classes says about a classifier, beyond the share that is right."""

import numpy as np
import numpy.typing as npt
import sklearn.metrics


def macro_f1(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int) -> float:
    """The unweighted mean over classes of F1 = 2 TP / (2 TP + FP + FN), a share of 1.

    `labels` and `predictions` are class indices of shape (n,). A class that is neither present nor predicted
    has no F1 and is left out of the mean; one that is present but never predicted counts as 0.
    Raises ValueError for an index outside [0, n_classes), for no images, and for unequal lengths.
    """
    labels, predictions = _class_indices(labels, predictions, n_classes)
    return float(
        sklearn.metrics.f1_score(
            labels, predictions, labels=np.arange(n_classes), average="macro", zero_division=np.nan
        )
    )


def confusion_matrix(labels: npt.ArrayLike, predictions: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.int64]:
    """Counts of shape (n_classes, n_classes): rows are true classes, columns predicted ones.

    Raises ValueError as `macro_f1` does.
    """
    labels, predictions = _class_indices(labels, predictions, n_classes)
    counts: npt.NDArray[np.int64] = sklearn.metrics.confusion_matrix(labels, predictions, labels=np.arange(n_classes))
    return counts


def largest_confusions(matrix: npt.NDArray[np.int64], k: int = 3) -> list[tuple[int, int, int]]:
    """The up to `k` largest counts off the diagonal, as (true class, predicted class, count), largest first.

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
    """Both as arrays, checked here because scikit-learn silently drops an index that is not in its list."""
    checked = []
    for name, values in (("labels", labels), ("predictions", predictions)):
        array = np.asarray(values)
        if array.ndim != 1 or array.size == 0:
            raise ValueError(f"{name} must have shape (n,) with n > 0, got {array.shape}")
        outside = np.flatnonzero((array < 0) | (array >= n_classes))
        if outside.size:
            first = outside[0]
            raise ValueError(f"{name} must be in [0, {n_classes}), got {array[first]} (image {first})")
        checked.append(array)
    return checked[0], checked[1]
