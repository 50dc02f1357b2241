"""Plots of the confusion matrices of one or more networks on one part of the data."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from sweeper.evaluation.metrics import largest_confusions
from sweeper.plots.glyphs import drawable
from sweeper.plots.names import LONGEST_CLASS_NAME, fitted
from sweeper.plots.names import width as width_of
from sweeper.plots.panels import empty_figure, percent

# With more classes, counts are not readable in the cells, and only the colours show the shares.
MOST_CLASSES_WITH_COUNTS = 20
MOST_CLASS_NAMES = 100


def confusion_matrix(matrix: npt.ArrayLike, classes: Sequence[str], title: str) -> Figure:
    """A confusion matrix coloured by the share of each true class, with the largest confusions in words below.

    `matrix` holds counts of shape (n, n), rows true and columns predicted; `classes` holds the n names. With up to
    20 classes the cells show the counts, except zeros. Raises ValueError where the shapes disagree.
    """
    return _drawn([("", matrix)], classes, title)


def confusion_matrices(networks: Sequence[Mapping[str, Any]], classes: Sequence[str], title: str) -> Figure:
    """The confusion matrices of several networks side by side, on one scale, each with its largest confusions below.

    Each network has its `name` and its `matrix`, as that of `confusion_matrix`. Raises ValueError without a network, or
    where shapes disagree.
    """
    if not networks:
        raise ValueError("networks must hold at least one network, got none")
    return _drawn([(network["name"], network["matrix"]) for network in networks], classes, title)


def _drawn(matrices: Sequence[tuple[str, npt.ArrayLike]], classes: Sequence[str], title: str) -> Figure:
    """Matrices with their names side by side, and one scale at the right."""
    n = len(classes)
    with_counts = n <= MOST_CLASSES_WITH_COUNTS
    side = max(4.0, 0.56 * n) if with_counts else min(0.16 * n, 16.0)
    size, angle = (9, 45) if with_counts else (6, 90)
    shown = range(0, n, math.ceil(n / MOST_CLASS_NAMES))
    classes = fitted(classes, LONGEST_CLASS_NAME)
    names = [classes[i] for i in shown]
    # A letter is about 0.6 of its font size wide; a point is 1/72 inch.
    longest = max(map(width_of, names)) * 0.6 * size / 72
    counts = [(name, _checked(matrix, n, name)) for name, matrix in matrices]
    width = len(matrices) * (side + 0.3) + longest + 1.3
    words = _words(counts, classes, int(13 * width))
    height = side + longest * math.sin(math.radians(angle)) + 1.1 + 0.15 * (1 + words.count("\n"))
    figure = empty_figure(width, height + 0.35 * (len(matrices) > 1), title)
    panels = figure.subplots(1, len(matrices), squeeze=False)[0]
    for axes, (name, matrix) in zip(panels, counts, strict=True):
        totals = matrix.sum(axis=1, keepdims=True)
        shares = matrix / np.maximum(totals, 1)
        # On a linear scale, a confusion of 2 % would look like none beside a diagonal near 100 %.
        image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1), interpolation="nearest")
        if with_counts:
            for i, j in np.argwhere(matrix):
                dark = math.sqrt(shares[i, j]) > 0.6
                axes.text(j, i, str(matrix[i, j]), ha="center", va="center", fontsize=8, color="w" if dark else "k")
        if name:
            axes.set_title(textwrap.fill(drawable(name), int(9 * side)), fontsize=10, parse_math=False)
        axes.set_xticks(
            shown, names, rotation=angle, ha="right", rotation_mode="anchor", fontsize=size, parse_math=False
        )
        axes.set_yticks(shown, names if axes is panels[0] else [], fontsize=size, parse_math=False)
        axes.set_xlabel("Predicted class")
    panels[0].set_ylabel("True class")
    ticks = [0, 0.01, 0.05, 0.1, 0.2, 0.5, 1]
    bar = figure.colorbar(image, ax=panels.tolist(), shrink=0.8, aspect=30, pad=0.02, ticks=ticks, format=percent(0))
    bar.set_label("Share of the true class (%)")
    figure.supxlabel(words, fontsize=9, parse_math=False)
    return figure


def _checked(matrix: npt.ArrayLike, n: int, name: str) -> npt.NDArray[np.int64]:
    found = np.asarray(matrix)
    if found.shape != (n, n):
        place = f" ({name})" if name else ""
        raise ValueError(f"matrix must have shape ({n}, {n}) for {n} classes, got {found.shape}{place}")
    return found


def _words(matrices: Sequence[tuple[str, npt.NDArray[np.int64]]], classes: Sequence[str], width: int) -> str:
    """The largest confusions: of the only matrix below each other, of several in a line each, `width` letters wide."""
    lines = []
    for name, matrix in matrices:
        totals = matrix.sum(axis=1)
        confusions = [
            f"{classes[i]} taken for {classes[j]}: {count} of {totals[i]}" for i, j, count in largest_confusions(matrix)
        ]
        if not name:
            return "\n".join(["Largest confusions", *confusions]) if confusions else "No confusions"
        lines += textwrap.wrap(f"{drawable(name)}: {'; '.join(confusions) or 'no confusions'}", width)
    return "\n".join(["Largest confusions", *lines])
