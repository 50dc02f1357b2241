"""The plot of a study's trials in order, with the best so far."""

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sweeper.evaluation.amounts import amount, is_share
from sweeper.plots.panels import BLUE, GREY, ORANGE, empty_figure, percent

METRIC_LABELS = {
    "accuracy": "Validation accuracy (% of images)",
    "balanced_accuracy": "Validation balanced accuracy (%)",
    "macro_f1": "Validation macro F1 (%)",
    "loss": "Validation loss (nats)",
}

# The share of an optimization history's height that is left to the better trials before the worst are drawn as arrows.
LEAST_ROOM = 1 / 3


def optimization_history(
    numbers: Sequence[int],
    values: Sequence[float | None],
    states: Sequence[str],
    metric: str,
    direction: str,
) -> Figure:
    """Each trial's value by its number, and the best value so far among the completed trials.

    `numbers`, `values` and `states` are parallel; trials whose state is neither `complete` nor `pruned`, or
    whose value is None or not finite, are left out. `metric` is a key of METRIC_LABELS (any other name
    is shown as it is). Trials far worse than the rest appear as arrows at the edge, with a count of their own: drawn
    to scale, they would squeeze all other trials into a line. Raises ValueError for a `direction` that is neither
    `maximize` nor `minimize`.
    """
    if direction not in ("maximize", "minimize"):
        raise ValueError(f"direction must be maximize or minimize, got {direction!r}")
    points: dict[str, list[tuple[int, float]]] = {"complete": [], "pruned": []}
    for number, value, state in sorted(zip(numbers, values, states, strict=True), key=lambda t: t[0]):
        if state in points and value is not None and math.isfinite(value):
            points[state].append((number, value))

    figure = empty_figure(8, 4.2)
    axes = figure.add_subplot()
    axes.set_title("Optimization history")
    axes.set_xlabel("Trial number")
    axes.set_ylabel(METRIC_LABELS.get(metric, metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if metric in METRIC_LABELS and is_share(metric):
        axes.yaxis.set_major_formatter(percent())
    axes.grid(alpha=0.25)
    if not points["complete"] and not points["pruned"]:
        axes.text(0.5, 0.5, "No trial has a value yet", ha="center", transform=axes.transAxes, color=GREY)
        axes.set(xticks=[], yticks=[])
        return figure

    low, high = shown_range([v for _, v in points["complete"]], [v for _, v in points["pruned"]], direction)
    edge, beyond = (low, "v") if direction == "maximize" else (high, "^")
    for state, colour, marker in (("pruned", ORANGE, "x"), ("complete", BLUE, "o")):
        inside = [(x, y) for x, y in points[state] if low <= y <= high]
        outside = [(x, edge) for x, y in points[state] if not low <= y <= high]
        for group, shape, label in (
            (inside, marker, f"{state} ({len(inside)})"),
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
            label=f"best completed: {amount(metric, so_far[-1])}",
        )
    margin = 0.06 * (high - low)
    axes.set_ylim(low - margin, high + margin)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def shown_range(completed: list[float], pruned: list[float], direction: str) -> tuple[float, float]:
    """The range of values to show: all, unless completed trials and the better pruned ones would have too little room.

    Then it is the range of the completed trials within Tukey's fence and of the better half of the pruned trials.
    """
    sign = 1 if direction == "maximize" else -1
    good, values = sign * np.array(completed or pruned), sign * np.array([*completed, *pruned])
    first, third = np.quantile(good, [0.25, 0.75])
    worst = good[good >= first - 1.5 * (third - first)].min()
    if pruned:
        worst = min(worst, np.median(sign * np.array(pruned)))
    best = values.max()
    if best - values.min() <= (best - worst) / LEAST_ROOM:
        worst = values.min()
    ends = sorted((sign * float(worst), sign * float(best)))
    # A single value has no range, so make one around it.
    spread = 0.0 if ends[1] > ends[0] else 0.01 * max(abs(ends[0]), 1.0)
    return ends[0] - spread, ends[1] + spread
