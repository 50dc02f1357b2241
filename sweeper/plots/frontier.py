"""The plot of a study's networks by score and by cost, with the Pareto front."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from sweeper.evaluation.amounts import is_share
from sweeper.plots.panels import BLUE, GREY, ORANGE, empty_figure, percent
from sweeper.plots.study import METRIC_LABELS, shown_range

COST_LABELS = {
    "parameters": "Parameters",
    "multiply_adds": "Multiply-adds an image",
    "latency": "Milliseconds an image, one at a time on one CPU thread",
}
# From this ratio of the largest to the smallest cost on, a linear axis would press the small networks into a corner.
LOG_FROM = 4
# More names than these would cover each other; then only every second, third, ... point of the front has one.
MOST_NAMES = 12


def accuracy_and_cost(
    points: Sequence[Mapping[str, Any]], metric: str, cost: str, direction: str, noise: float | None = None
) -> Figure:
    """The networks by cost and score; those that no other beats in both are joined, and named by their trials.

    Each point has `trial`, `cost`, `value`, `may_win` and `on_front`; one with a `role` is ringed and named by it.
    Scores within `noise` of the best are in a band. Networks far worse than the rest are arrows at the edge. Raises
    ValueError without a point.
    """
    if not points:
        raise ValueError("points must hold at least one network, got none")
    figure = empty_figure(8, 4.8)
    axes = figure.add_subplot()
    axes.set_title("Score and cost")
    axes.set_xlabel(COST_LABELS.get(cost, cost))
    axes.set_ylabel(METRIC_LABELS.get(metric, metric))
    if metric in METRIC_LABELS and is_share(metric):
        axes.yaxis.set_major_formatter(percent())
    axes.grid(alpha=0.25)
    front = sorted((p for p in points if p["on_front"]), key=lambda p: p["cost"])
    low, high = shown_range([p["value"] for p in points], [], direction)
    worst = [p["value"] for p in front]
    low, high = min([low, *worst]), max([high, *worst])
    edge, beyond = (low, "v") if direction == "maximize" else (high, "^")
    others = [p for p in points if not p["on_front"]]
    for group, colour, marker, label in (
        ([p for p in others if p["may_win"]], GREY, "o", "beaten in both"),
        ([p for p in others if not p["may_win"]], ORANGE, "x", "may not win"),
    ):
        inside = [p for p in group if low <= p["value"] <= high]
        if inside:
            axes.scatter(
                [p["cost"] for p in inside], [p["value"] for p in inside], s=22, c=colour, marker=marker, zorder=2,
                label=f"{label} ({len(inside)})",
            )  # fmt: skip
    outside = [p for p in others if not low <= p["value"] <= high]
    if outside:
        axes.scatter(
            [p["cost"] for p in outside], [edge] * len(outside), s=22, c=GREY, marker=beyond, zorder=2,
            label=f"worse than shown ({len(outside)})",
        )  # fmt: skip
    if front:
        costs, values = [p["cost"] for p in front], [p["value"] for p in front]
        axes.step(costs, values, where="post", color=BLUE, linewidth=1.4, zorder=3)
        axes.scatter(costs, values, s=40, c=BLUE, zorder=4, label=f"Pareto front ({len(front)})")
        every = math.ceil(len(front) / MOST_NAMES)
        for index, point in enumerate(front):
            # The best is named in any case.
            if (len(front) - 1 - index) % every == 0:
                axes.annotate(
                    str(point["trial"]), (point["cost"], point["value"]), (0, 7), textcoords="offset points",
                    ha="center", zorder=5,
                )  # fmt: skip
        if noise is not None:
            best = values[-1]
            other = best - noise if direction == "maximize" else best + noise
            axes.axhspan(best, other, color=BLUE, alpha=0.12, label="not told apart from the best", zorder=0)
    for point in points:
        if role := point.get("role"):
            place = point["cost"], min(max(point["value"], low), high)
            axes.scatter(*place, s=130, facecolors="none", edgecolors=ORANGE, linewidths=1.6, zorder=5)
            axes.annotate(
                role if point["on_front"] else f"{role}, {point['trial']}", place, (0, -17), textcoords="offset points",
                ha="center", zorder=6,
            )  # fmt: skip
    every_cost = [p["cost"] for p in points]
    if min(every_cost) > 0 and max(every_cost) >= LOG_FROM * min(every_cost):
        axes.set_xscale("log")
    elif cost != "latency":
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_major_locator(MaxNLocator(6))
    margin = 0.08 * (high - low)
    axes.set_ylim(low - margin, high + margin)
    axes.margins(x=0.08)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure
