"""Figures of trials and studies: plain data in, a matplotlib Figure out, with no global state touched."""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sweeper.evaluation.metrics import largest_confusions

# Okabe and Ito's palette: told apart with every common colour-vision deficiency, and in grey by lightness.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREY = "#767676"

METRIC_LABELS = {
    "accuracy": "Validation accuracy (share of images)",
    "macro_f1": "Validation macro F1 (share of 1)",
    "loss": "Validation loss (nats)",
}

# Counts stay readable in a cell of this figure's size up to here; beyond it the colours speak alone.
MOST_CLASSES_WITH_COUNTS = 20
MOST_CLASS_NAMES = 100


@dataclass(frozen=True)
class Plot:
    """A figure that is drawn later, maybe by another process: one of FUNCTIONS, and arguments that JSON can hold."""

    function: str
    arguments: Mapping[str, Any]

    def draw(self) -> Figure:
        """The figure. Raises ValueError as its function does."""
        return FUNCTIONS[self.function](**self.arguments)


def learning_curves(epochs: Sequence[Mapping[str, float]], title: str) -> Figure:
    """Loss and accuracy by epoch, training against validation, with the epoch of best validation accuracy.

    Each mapping holds `epoch`, `train_loss`, `validation_loss` (nats), `train_accuracy` and
    `validation_accuracy` (shares of 1); other keys are ignored, and values that are not finite leave a gap.
    Raises ValueError without an epoch.
    """
    if not epochs:
        raise ValueError("epochs must hold at least one epoch, got none")
    figure = _figure(9, 4.0)
    figure.suptitle(textwrap.fill(title, 90), fontsize=12)
    loss, accuracy = figure.subplots(1, 2)
    _draw_training_and_validation(loss, epochs, "loss")
    _draw_training_and_validation(accuracy, epochs, "accuracy")

    loss.set_ylabel("Loss (nats)")
    losses = [e[key] for e in epochs for key in ("train_loss", "validation_loss") if math.isfinite(e[key])]
    # A run that nearly diverges starts so high that its useful part would lie flat on the axis.
    if losses and 0 < 100 * min(losses) < max(losses):
        loss.set_yscale("log")
        loss.set_ylabel("Loss (nats, logarithmic)")
    accuracy.set_ylabel("Accuracy (% of images)")
    accuracy.yaxis.set_major_formatter(PercentFormatter(xmax=1))

    scored = [e for e in epochs if math.isfinite(e["validation_accuracy"])]
    if scored:
        best = max(scored, key=lambda e: e["validation_accuracy"])
        for axes in (loss, accuracy):
            axes.axvline(best["epoch"], color=GREY, linestyle=":", linewidth=1.2, zorder=1)
        accuracy.plot(
            [best["epoch"]],
            [best["validation_accuracy"]],
            "o",
            markersize=11,
            markerfacecolor="none",
            markeredgecolor="black",
            label=f"best: {best['validation_accuracy']:.2%}, epoch {best['epoch']:g}",
        )
    # Below the panels, where no curve can run under it.
    figure.legend(*accuracy.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def confusion_matrix(matrix: npt.ArrayLike, classes: Sequence[str], title: str) -> Figure:
    """A confusion matrix coloured by the share of each true class, its largest confusions in words below.

    `matrix` holds counts of shape (n, n), rows true and columns predicted; `classes` the n names. With up to
    20 classes the counts stand in the cells, zeros left blank. Raises ValueError where the shapes disagree.
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
    names = [textwrap.shorten(classes[i], 24, placeholder="...") for i in shown]
    # A letter is about 0.6 of its font size wide; a point is 1/72 inch.
    longest = max(len(name) for name in names) * 0.6 * size / 72
    width, height = side + longest + 1.6, side + longest * math.sin(math.radians(angle)) + 2.0
    figure = _figure(width, height)
    figure.suptitle(textwrap.fill(title, int(10 * width)), fontsize=12)
    axes = figure.add_subplot()
    # With a linear scale a confusion of 2 % could not be told from none beside a diagonal near 100 %.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1), interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, pad=0.02, ticks=[0, 0.01, 0.05, 0.1, 0.2, 0.5, 1])
    bar.ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    bar.set_label("Share of the true class (%)")

    axes.set_xticks(shown, names, rotation=angle, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_yticks(shown, names, fontsize=size)
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
    figure.supxlabel(words, fontsize=9)
    return figure


def optimization_history(
    numbers: Sequence[int],
    values: Sequence[float | None],
    states: Sequence[str],
    metric: str,
    direction: str,
) -> Figure:
    """Each trial's value by its number, and the best so far among the completed ones.

    `numbers`, `values` and `states` are parallel; trials whose state is neither `complete` nor `pruned`, or
    whose value is None or not finite, are left out. `metric` is `accuracy`, `macro_f1` or `loss` (another
    is shown as it is). Trials far worse than the rest stand as arrows at the edge: to scale, they would
    squeeze all the others into a line. Raises ValueError for a `direction` that is neither `maximize` nor
    `minimize`.
    """
    if direction not in ("maximize", "minimize"):
        raise ValueError(f"direction must be maximize or minimize, got {direction!r}")
    points: dict[str, list[tuple[int, float]]] = {"complete": [], "pruned": []}
    for number, value, state in sorted(zip(numbers, values, states, strict=True), key=lambda t: t[0]):
        if state in points and value is not None and math.isfinite(value):
            points[state].append((number, value))

    figure = _figure(8, 4.2)
    axes = figure.add_subplot()
    axes.set_title("Optimization history")
    axes.set_xlabel("Trial number")
    axes.set_ylabel(METRIC_LABELS.get(metric, metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.25)
    if not points["complete"] and not points["pruned"]:
        axes.text(0.5, 0.5, "No trial has a value yet", ha="center", transform=axes.transAxes, color=GREY)
        axes.set(xticks=[], yticks=[])
        return figure

    low, high = _view([v for _, v in points["complete"]], [v for _, v in points["pruned"]], direction)
    edge, beyond = (low, "v") if direction == "maximize" else (high, "^")
    for state, colour, marker in (("pruned", ORANGE, "x"), ("complete", BLUE, "o")):
        inside = [(x, y) for x, y in points[state] if low <= y <= high]
        outside = [(x, edge) for x, y in points[state] if not low <= y <= high]
        for group, shape, label in (
            (inside, marker, f"{state} ({len(points[state])})"),
            (outside, beyond, f"{state}, worse than shown ({len(outside)})"),
        ):
            if group:
                x, y = zip(*group, strict=True)
                axes.scatter(x, y, s=28, c=colour, marker=shape, label=label, zorder=3)
    if points["complete"]:
        best = max if direction == "maximize" else min
        completed = [x for x, _ in points["complete"]]
        so_far = list(accumulate((y for _, y in points["complete"]), best))
        last = max(x for group in points.values() for x, _ in group)
        axes.step(
            [*completed, last],
            [*so_far, so_far[-1]],
            where="post",
            color=BLUE,
            linewidth=1.8,
            label=f"best completed: {so_far[-1]:.4f}",
        )
    margin = 0.06 * (high - low)
    axes.set_ylim(low - margin, high + margin)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def parameter_importance(importances: Mapping[str, float], basis: str) -> Figure:
    """A bar for each parameter's share of the score's variation, largest on top, undefined ones (NaN) last.

    `basis` says what the shares are of, such as "score after epoch 1, 50 trials".
    Raises ValueError without a parameter.
    """
    if not importances:
        raise ValueError("importances must hold at least one parameter, got none")
    ranked = sorted(importances.items(), key=lambda item: (math.isnan(item[1]), -item[1]))
    figure = _figure(7, 1.2 + 0.34 * len(ranked))
    axes = figure.add_subplot()
    bars = axes.barh(
        [name for name, _ in ranked],
        [0.0 if math.isnan(share) else share for _, share in ranked],
        color=BLUE,
        height=0.7,
    )
    axes.bar_label(bars, ["undefined" if math.isnan(share) else f"{share:.3f}" for _, share in ranked], padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_title("Parameter importance")
    axes.set_xlabel(f"Importance (share of 1; {basis})")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


FUNCTIONS: Mapping[str, Callable[..., Figure]] = {
    function.__name__: function
    for function in (learning_curves, confusion_matrix, optimization_history, parameter_importance)
}


def _figure(width: float, height: float) -> Figure:
    """An empty figure (inches) that lays itself out, with a little more air at its edges than by default."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))


def _draw_training_and_validation(axes: Axes, epochs: Sequence[Mapping[str, float]], quantity: str) -> None:
    """Two lines that differ in colour, dash and marker."""
    x = [e["epoch"] for e in epochs]
    few = len(epochs) <= 25
    for part, label, colour, dash, marker in (
        ("train", "training", ORANGE, "--", "s"),
        ("validation", "validation", BLUE, "-", "o"),
    ):
        y = [e[f"{part}_{quantity}"] for e in epochs]
        if not any(math.isfinite(value) for value in y) and math.isfinite(epochs[0][f"train_{quantity}"]):
            continue  # the training had no validation part
        axes.plot(x, y, dash, color=colour, marker=marker if few else "", markersize=4, label=label)
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.25)


def _view(completed: list[float], pruned: list[float], direction: str) -> tuple[float, float]:
    """The values to show: completed trials within Tukey's fence, and the better half of the pruned ones."""
    sign = 1 if direction == "maximize" else -1
    good = sign * np.array(completed or pruned)
    first, third = np.quantile(good, [0.25, 0.75])
    worst = good[good >= first - 1.5 * (third - first)].min()
    if pruned:
        worst = min(worst, np.median(sign * np.array(pruned)))
    best = max(good.max(), (sign * np.array(pruned)).max(initial=-math.inf))
    ends = sorted((sign * float(worst), sign * float(best)))
    # A single value has no range of its own.
    spread = 0.0 if ends[1] > ends[0] else 0.01 * max(abs(ends[0]), 1.0)
    return ends[0] - spread, ends[1] + spread
