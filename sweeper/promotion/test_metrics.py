"""Metrics, tables and plots of a network's predictions on the test set."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import softmax

from sweeper import plots
from sweeper.evaluation import metrics
from sweeper.evaluation.constant import Constant, best_constant
from sweeper.evaluation.statistics import wilson
from sweeper.promotion.comparisons import bounded
from sweeper.promotion.predictions import Predictions
from sweeper.runs.record import CONFUSION
from sweeper.store.stored_values import checked
from sweeper.tracking.csv_text import csv_text

Logits = NDArray[np.float32]
# With these, spreadsheets begin formulas.
FORMULAS = ("=", "+", "-", "@")


@dataclass(frozen=True)
class TestMetrics:
    """Metrics of one network's predictions on the test set; shares of 1, the loss in nats.

    `low` and `high` are the ends of the accuracy's interval. `metric_low` and `metric_high` are those of the study's
    `metric` if it is another; None without an interval. `constant` is what always saying one class scores in that
    metric; `only_class` is the class that the network gives to every image, None if it gives several.
    """

    __test__ = False  # pytest takes a class of this name for tests

    n: int
    accuracy: float
    low: float
    high: float
    loss: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    thresholded_precision: float | None
    thresholded_recall: float
    per_class_accuracy: Sequence[float | None]
    confusions: Sequence[tuple[str, str, int]]
    balanced_accuracy: float
    metric: str
    metric_low: float | None
    metric_high: float | None
    constant: Constant
    only_class: str | None


def check_metrics(found: Mapping[str, Any]) -> None:
    """Raises ValueError for stored fields of TestMetrics that cannot be shown; an older sweeper has stored fewer."""
    kinds = get_type_hints(TestMetrics)
    for name in {"accuracy", "low", "high", "loss", "confusions", *found} & kinds.keys():
        if name not in found:
            raise ValueError(f"test.{name} is missing")
        checked(kinds[name], found[name], f"test.{name}")


def measure(logits: Logits, network: Predictions, classes: Sequence[str]) -> TestMetrics:
    """Computes all test metrics of the only network of `network`; its `logits` have shape (n, classes)."""
    labels, predictions, metric = network.labels, network.predicted[:, 0], network.metric
    constant = best_constant(metric, [labels], classes)
    assert constant is not None
    metric_low, metric_high = (None, None) if metric == "accuracy" else bounded(network.network_estimate(), metric)
    n_correct = int((predictions == labels).sum())
    low, high = wilson(n_correct, len(labels))
    precision, recall, f1 = metrics.macro_precision_recall_f1(labels, predictions, len(classes))
    thresholded_precision, thresholded_recall = metrics.thresholded_precision_recall(labels, softmax(logits, axis=1))
    matrix = metrics.confusion_matrix(labels, predictions, len(classes))
    return TestMetrics(
        n=len(labels),
        accuracy=n_correct / len(labels),
        low=low,
        high=high,
        loss=metrics.cross_entropy(labels, logits),
        macro_precision=precision,
        macro_recall=recall,
        macro_f1=f1,
        thresholded_precision=_none_for_nan(thresholded_precision),
        thresholded_recall=thresholded_recall,
        per_class_accuracy=[
            _none_for_nan(value) for value in metrics.per_class_accuracy(labels, predictions, len(classes))
        ],
        confusions=[(classes[i], classes[j], number) for i, j, number in metrics.largest_confusions(matrix)],
        balanced_accuracy=metrics.balanced_accuracy(labels, predictions, len(classes)),
        metric=metric,
        metric_low=metric_low,
        metric_high=metric_high,
        constant=constant,
        only_class=next((classes[label] for label in network.only_classes()), None),
    )


def tables(
    labels: NDArray[np.int64],
    logits: Mapping[str, Logits],
    tested: Mapping[str, TestMetrics],
    classes: Sequence[str],
    files: Sequence[str] | None,
) -> dict[str, str]:
    """CSV texts by file name: accuracy by class, and every image's predictions.

    `logits` and `tested` are by role. `files` are those of the images; None if these have only their numbers.
    """
    roles, cells = list(logits), [_cell(name, "'") for name in classes]
    per_class = [(cell, *(tested[role].per_class_accuracy[i] for role in roles)) for i, cell in enumerate(cells)]
    columns: list[Any] = [range(len(labels)), [cells[label] for label in labels]]
    names = ["image", "label"]
    if files is not None:
        columns.insert(1, [_cell(file, "./") for file in files])
        names.insert(1, "file")
    for role in roles:
        probabilities = softmax(logits[role].astype(np.float64), axis=1)
        predictions = logits[role].argmax(1)
        columns += [[cells[p] for p in predictions], [round(float(p), 4) for p in probabilities.max(axis=1)]]
        names += [f"{role}_prediction", f"{role}_probability"]
    return {
        "per_class_accuracy.csv": csv_text(["class", *roles], per_class),
        "predictions.csv": csv_text(names, list(zip(*columns, strict=True))),
    }


def confusions_in(predictions: str, classes: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """The confusion matrices by role of a predictions.csv that `tables` made, rows true and columns predicted.

    Raises ValueError for another table.
    """
    # Older sweepers wrote the names as they are.
    positions = {name: position for position, name in enumerate(classes)}
    positions |= {_cell(name, "'"): position for position, name in enumerate(classes)}
    columns, *rows = csv.reader(predictions.splitlines(keepends=True))
    roles = [name.removesuffix("_prediction") for name in columns if name.endswith("_prediction")]
    try:
        labels = [positions[row[columns.index("label")]] for row in rows]
        return {
            role: metrics.confusion_matrix(
                labels, [positions[row[columns.index(f"{role}_prediction")]] for row in rows], len(classes)
            )
            for role in roles
        }
    except (KeyError, IndexError) as error:
        raise ValueError(f"predictions.csv has rows of other classes or lengths: {error}") from error


def plots_of(
    labels: NDArray[np.int64], logits: Mapping[str, Logits], classes: tuple[str, ...], which_test: str
) -> dict[str, Callable[[], Figure]]:
    """A confusion matrix for each role, by file name; `which_test`, in its title, says which test evaluation it shows.

    The labels are (n,), the logits of each role (n, classes).
    """

    def matrix(role: str) -> Callable[[], Figure]:
        counts = metrics.confusion_matrix(labels, logits[role].argmax(1), len(classes))
        return lambda: plots.confusion_matrix(counts, classes, f"Test confusion matrix, {role} ({which_test})")

    return {f"{CONFUSION}/{role}_confusion_matrix.png": matrix(role) for role in logits}


def _cell(name: str, guard: str) -> str:
    """A name in a cell: one that a spreadsheet would take for a formula begins with `guard` instead.

    A path may have ./ in front, and is still the same; spreadsheets' own mark of a text is an apostrophe.
    """
    # Bytes that are no UTF-8, which a system may allow in a name, are escaped: a text file cannot hold them.
    text = name.encode("utf-8", "backslashreplace").decode()
    return f"{guard}{text}" if text.startswith(FORMULAS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _none_for_nan(value: float) -> float | None:
    """None for NaN, which JSON does not have."""
    return None if np.isnan(value) else float(value)
