"""A plot of images as points in the plane, coloured by class."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sweeper.plots.glyphs import drawable
from sweeper.plots.names import LONGEST_CLASS_NAME, fitted
from sweeper.plots.panels import GREY, MARKERS, add_legend, empty_figure
from sweeper.quantities import counted

# Ten colours that stay apart at the size of a dot, on light and dark ground: matplotlib's "tab10" with purple for grey.
# Markers repeat after four, so that no two of twenty classes share both.
COLOURS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf", "#7a0177",
)  # fmt: skip
# Colours and markers together can be told apart for no more classes than this.
MOST_NAMED = 15


def embeddings(
    networks: Sequence[Mapping[str, Any]], classes: Sequence[str], named: Sequence[int], title: str
) -> Figure:
    """The images as points, a panel for each network; the `named` classes in colour, at most 15, the others in grey.

    Each network has its `name`, its `points`, a pair of numbers for each image, and the images' `labels`, positions in
    `classes`. Raises ValueError without a network, and for more named classes.
    """
    if not networks:
        raise ValueError("networks must hold at least one network, got none")
    if len(named) > MOST_NAMED:
        raise ValueError(f"named must hold at most {MOST_NAMED} classes, got {len(named)}")
    figure = empty_figure(5.2 * len(networks) + 2.6, 5.6, title)
    panels = figure.subplots(1, len(networks), squeeze=False)[0]
    for axes, network in zip(panels, networks, strict=True):
        _draw(axes, np.asarray(network["points"], dtype=float), np.asarray(network["labels"]), named)
        axes.set_title(textwrap.fill(drawable(network["name"]), 52), fontsize=10, parse_math=False)
    names = fitted([classes[one] for one in named], LONGEST_CLASS_NAME)
    handles = [Line2D([], [], linestyle="", **_style(place)) for place in range(len(named))]
    n_others = len({label for network in networks for label in network["labels"]} - set(named))
    if n_others:
        handles.append(Line2D([], [], linestyle="", marker=".", color=GREY))
        names.append(counted(n_others, "other class", "other classes"))
    add_legend(figure, handles, names, loc="outside right upper", fontsize=9)
    return figure


def _draw(axes: Axes, points: Any, labels: Any, named: Sequence[int]) -> None:
    others = ~np.isin(labels, named)
    axes.plot(*points[others].T, linestyle="", marker=".", markersize=3, color=GREY, alpha=0.5)
    for place, one in enumerate(named):
        style = _style(place) | {"markersize": 4 if len(points) > 500 else 6}
        axes.plot(*points[labels == one].T, linestyle="", alpha=0.75, markeredgewidth=0, **style)
    axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")


def _style(place: int) -> dict[str, Any]:
    return {"color": COLOURS[place % len(COLOURS)], "marker": MARKERS[place % 4], "markersize": 6}
