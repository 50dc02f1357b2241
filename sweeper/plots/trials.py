"""Plots of all trials of a study: their scores by epoch, when they ran, and their scores by a parameter's value."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sweeper.plots.names import LONGEST_CLASS_NAME, fitted
from sweeper.plots.panels import BLUE, GREY, ORANGE, add_legend, empty_figure

RED, GREEN = "#C0392B", "#009E73"
STATE_COLOURS: Mapping[str, str] = {
    "complete": BLUE, "pruned": ORANGE, "infeasible": GREY, "failed": RED, "running": GREEN,
    "interrupted": GREEN,
}  # fmt: skip


def intermediate_values(
    curves: Sequence[Mapping[str, Any]], best: Sequence[int], label: str, step: str, low: float, high: float
) -> Figure:
    """The scores of all trials by epoch or training, those of the `best` trials in blue, with a cross where one ended.

    Each of `curves` has `number`, `state`, `steps` and `values`; values that are not finite leave a gap. `label` names
    the scores, `step` what they are counted by. Values from `low` to `high` are shown.
    """
    figure = empty_figure(8, 4.2)
    axes = figure.add_subplot()
    for curve in sorted(curves, key=lambda curve: curve["number"] in best):
        is_best = curve["number"] in best
        values = [value if math.isfinite(value) else math.nan for value in curve["values"]]
        axes.plot(
            curve["steps"], values, color=BLUE if is_best else GREY, alpha=1 if is_best else 0.4, linewidth=1.2,
            marker="." if len(values) == 1 else None, zorder=3 if is_best else 2,
        )  # fmt: skip
        if curve["state"] == "pruned" and values:
            axes.plot(curve["steps"][-1:], values[-1:], marker="x", color=ORANGE, zorder=4)
    handles = [
        Line2D([], [], color=BLUE, label=f"the best {len(best)}"),
        Line2D([], [], color=GREY, label="other trials"),
        Line2D([], [], color=ORANGE, marker="x", linestyle="", label="pruned here"),
    ]
    add_legend(axes, handles, [str(handle.get_label()) for handle in handles], loc="upper left", bbox_to_anchor=(1, 1))
    axes.set_xlabel(step)
    axes.set_ylabel(label)
    axes.set_ylim(low, high)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.25)
    return figure


def timeline(bars: Sequence[Mapping[str, Any]]) -> Figure:
    """When each trial ran: a bar from its start to its end, in minutes since the first start, in its state's colour.

    Each of `bars` has `number`, `state`, `start` and `end`, in seconds.
    """
    figure = empty_figure(8, 1.6 + min(5.0, 0.14 * len(bars)))
    axes = figure.add_subplot()
    for bar in bars:
        axes.barh(
            bar["number"], (bar["end"] - bar["start"]) / 60, left=bar["start"] / 60, height=0.8,
            color=STATE_COLOURS.get(bar["state"], GREY),
        )  # fmt: skip
    states = [state for state in STATE_COLOURS if any(bar["state"] == state for bar in bars)]
    add_legend(
        axes, [Patch(color=STATE_COLOURS[state]) for state in states], states, loc="upper left", bbox_to_anchor=(1, 1)
    )
    axes.set_xlabel("Minutes since the first trial began")
    axes.set_ylabel("Trial")
    axes.invert_yaxis()
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="x", alpha=0.25)
    return figure


def scores_by_value(
    name: str, values: Sequence[Any], scores: Sequence[float], label: str, low: float, high: float, *, log: bool = False
) -> Figure:
    """The scores of trials by their value of the parameter `name`; texts are categories.

    `values` and `scores` are parallel. `label` names the scores; those from `low` to `high` are shown.
    """
    figure = empty_figure(4.2, 3.2)
    axes = figure.add_subplot()
    if any(isinstance(value, str) for value in values):
        known = sorted({str(value) for value in values})
        values = [known.index(str(value)) for value in values]
        shown = fitted(known, LONGEST_CLASS_NAME)
        axes.set_xticks(range(len(known)), shown, rotation=30, ha="right", parse_math=False)
    elif log:
        axes.set_xscale("log")
    axes.scatter(values, scores, s=22, color=BLUE, alpha=0.7)
    axes.set_xlabel(name, parse_math=False)
    axes.set_ylabel(label)
    axes.set_ylim(low, high)
    axes.grid(alpha=0.25)
    return figure
