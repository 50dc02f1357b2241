"""A plot of the confusion matrix of a network on one part of the data."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from sweeper.evaluation.metrics import largest_confusions
from sweeper.plots.names import LONGEST_CLASS_NAME, fitted
from sweeper.plots.names import width as width_of
from sweeper.plots.panels import empty_figure

# With more classes, counts are not readable in the cells, and only the colours show the shares.
MOST_CLASSES_WITH_COUNTS = 20
MOST_CLASS_NAMES = 100


def confusion_matrix(matrix: npt.ArrayLike, classes: Sequence[str], title: str) -> Figure:
    """A confusion matrix coloured by the share of each true class, with the largest confusions in words below.

    `matrix` holds counts of shape (n, n), rows true and columns predicted; `classes` holds the n names. With up to
    20 classes the cells show the counts, except zeros. Raises ValueError where the shapes disagree.
    """
    n = len(classes)
    matrix = np.asarray(matrix)
    if matrix.shape != (n, n):
        raise ValueError(f"matrix must have shape ({n}, {n}) for {n} classes, got {matrix.shape}")
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)

    with_counts = n <= MOST_CLASSES_WITH_COUNTS
    side = max(4.0, 0.56 * n) if with_counts else min(0.16 * n, 16.0)
    size, angle = (9, 45) if with_counts else (6, 90)
    shown = range(0, n, math.ceil(n / MOST_CLASS_NAMES))
    classes = fitted(classes, LONGEST_CLASS_NAME)
    names = [classes[i] for i in shown]
    # A letter is about 0.6 of its font size wide; a point is 1/72 inch.
    longest = max(map(width_of, names)) * 0.6 * size / 72
    width, height = side + longest + 1.6, side + longest * math.sin(math.radians(angle)) + 2.0
    figure = empty_figure(width, height, title)
    axes = figure.add_subplot()
    # On a linear scale, a confusion of 2 % would look like none beside a diagonal near 100 %.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1), interpolation="nearest")
    ticks, percent = [0, 0.01, 0.05, 0.1, 0.2, 0.5, 1], PercentFormatter(xmax=1, decimals=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, pad=0.02, ticks=ticks, format=percent)
    bar.set_label("Share of the true class (%)")

    axes.set_xticks(shown, names, rotation=angle, ha="right", rotation_mode="anchor", fontsize=size, parse_math=False)
    axes.set_yticks(shown, names, fontsize=size, parse_math=False)
    axes.set_xlabel("Predicted class")
    axes.set_ylabel("True class")
    if with_counts:
        for i, j in np.argwhere(matrix):
            dark = math.sqrt(shares[i, j]) > 0.6
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", fontsize=8, color="w" if dark else "k")

    confusions = [
        f"{classes[i]} taken for {classes[j]}: {count} of {totals[i, 0]}" for i, j, count in largest_confusions(matrix)
    ]
    words = "Largest confusions\n" + "\n".join(confusions) if confusions else "No confusions"
    figure.supxlabel(words, fontsize=9, parse_math=False)
    return figure
