"""A plot of the accuracy and F1 of each class, of one network or of two with their differences."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from sweeper.plots.names import LONGEST_CLASS_NAME, fitted
from sweeper.plots.panels import BLUE, GREY, ORANGE, add_legend, empty_figure, percent

# Letters of a network's name on the axis of the differences.
LONGEST_NAME = 16
STYLES = ((BLUE, "o"), (ORANGE, "s"))


def class_scores(
    networks: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    differences: Mapping[str, Sequence[Any]] | None,
    title: str,
) -> Figure:
    """Dots of each class's accuracy, with its interval, and of its F1; at the right the differences of two networks.

    Each of one or two networks has its `name` and, a value for each of the `classes`, its `accuracy`, `low`, `high` and
    `f1`, shares of 1 or None. The `differences`, of the first network minus the second, have the `accuracy`, its `low`
    and `high`, and whether each is `decided`. Raises ValueError for another number of networks or without a class.
    """
    if not 1 <= len(networks) <= len(STYLES):
        raise ValueError(f"networks must hold one or two networks, got {len(networks)}")
    if not classes:
        raise ValueError("classes must hold at least one class, got none")
    n_panels = 2 if differences is None else 3
    figure = empty_figure(2.2 + 3.1 * n_panels, 1.7 + 0.3 * len(classes), title)
    panels = figure.subplots(1, n_panels, sharey=True, squeeze=False)[0]
    for place, (network, (colour, marker)) in enumerate(zip(networks, STYLES, strict=False)):
        # The dots of two networks stand above each other, so that none hides the other.
        shift = 0.0 if len(networks) == 1 else 0.18 * (2 * place - 1)
        style = {"color": colour, "marker": marker, "label": network["name"]}
        _dots(panels[0], network["accuracy"], shift, (network["low"], network["high"]), **style)
        _dots(panels[1], network["f1"], shift, None, **style)
    for axes, text in zip(panels, ("Accuracy (% of the class's images)", "F1 (%)"), strict=False):
        axes.set_xlabel(text)
        axes.xaxis.set_major_formatter(percent(0))
    if differences is not None:
        first, second = fitted([network["name"].partition(" (")[0] for network in networks], LONGEST_NAME)
        _draw_differences(panels[2], differences, f"{first} minus {second}")
    names = fitted(classes, LONGEST_CLASS_NAME)
    panels[0].set_yticks(range(len(classes)), names, fontsize=9, parse_math=False)
    panels[0].set_ylim(len(classes) - 0.4, -0.6)
    for axes in panels:
        axes.grid(alpha=0.25)
    handles = panels[0].get_legend_handles_labels()[0]
    labels = [textwrap.fill(network["name"], 50) for network in networks]
    add_legend(figure, handles, labels, loc="outside lower center", ncols=2)
    return figure


def _dots(
    axes: Axes,
    values: Sequence[float | None],
    shift: float,
    interval: tuple[Sequence[float | None], Sequence[float | None]] | None,
    **style: Any,
) -> None:
    heights = np.arange(len(values)) + shift
    axes.plot(np.array(values, dtype=float), heights, linestyle="", markersize=5, **style)
    if interval is not None:
        low, high = (np.array(end, dtype=float) for end in interval)  # None becomes NaN, which is not drawn
        axes.hlines(heights, low, high, color=style["color"], linewidth=1.4, alpha=0.7)


def _draw_differences(axes: Axes, differences: Mapping[str, Sequence[Any]], names: str) -> None:
    """Differences with their intervals; what is decided is filled, what is not is an empty grey ring."""
    axes.axvline(0, color="black", linewidth=1)
    for place, (value, low, high, decided) in enumerate(
        zip(*(differences[name] for name in ("accuracy", "low", "high", "decided")), strict=True)
    ):
        if value is None:
            continue
        colour = "black" if decided else GREY
        axes.hlines(place, low, high, color=colour, linewidth=1.4)
        axes.plot([value], [place], "o", markersize=6, color=colour, markerfacecolor=colour if decided else "none")
    words = f"{names}\n(points of accuracy; filled: clear\nafter correcting for all classes)"
    axes.set_xlabel(words, parse_math=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+.0f}" if value else "0"))
