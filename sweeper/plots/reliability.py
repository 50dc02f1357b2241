"""A reliability diagram: how often networks are right, by how sure they are."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sweeper.evaluation.amounts import amount
from sweeper.plots.glyphs import drawable
from sweeper.plots.panels import BLUE, GREY, empty_figure, percent


def reliability_diagram(networks: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Accuracy by confidence, with intervals, and below it the number of images in each bin, a column for each network.

    Each network has its `name`, its expected calibration `error`, a share of 1, and its `bins`, each with its `low` and
    `high` end, the number `n` of its images, and, where there are any, their mean `confidence` and `accuracy`, from
    `accuracy_low` to `accuracy_high`. Raises ValueError without a network.
    """
    if not networks:
        raise ValueError("networks must hold at least one network, got none")
    figure = empty_figure(4.3 * len(networks) + 0.6, 5.6, title)
    panels = figure.subplots(2, len(networks), squeeze=False, sharex=True, sharey="row", height_ratios=[3, 1])
    for (above, below), network in zip(panels.T, networks, strict=True):
        name = textwrap.fill(drawable(network["name"]), 44)
        above.set_title(
            f"{name}\nexpected calibration error {amount('accuracy', network['error'], 1)}",
            fontsize=10,
            parse_math=False,
        )
        _draw(above, below, [one for one in network["bins"] if one["n"]])
    panels[0, 0].set_ylabel("Accuracy (% of the bin's images)")
    panels[1, 0].set_ylabel("Images")
    panels[1, 0].yaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
    panels[0, 0].yaxis.set_major_formatter(percent(0))
    panels[1, 0].xaxis.set_major_formatter(percent(0))
    return figure


def _draw(above: Axes, below: Axes, bins: Sequence[Mapping[str, Any]]) -> None:
    left, widths = [one["low"] for one in bins], [one["high"] - one["low"] for one in bins]
    above.bar(left, [one["accuracy"] for one in bins], widths, align="edge", color=BLUE, alpha=0.35, linewidth=0)
    above.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2)
    confidence = [one["confidence"] for one in bins]
    above.vlines(confidence, [one["accuracy_low"] for one in bins], [one["accuracy_high"] for one in bins], color=BLUE)
    above.plot(confidence, [one["accuracy"] for one in bins], "o", color=BLUE, markersize=5, zorder=4)
    above.set(xlim=(0, 1.03), ylim=(0, 1.04))  # room for a dot at 1
    counts = below.bar(left, [one["n"] for one in bins], widths, align="edge", color=GREY, alpha=0.6, linewidth=0)
    below.bar_label(counts, [f"{one['n']:,}" for one in bins], fontsize=8, rotation=90, padding=2)
    below.margins(y=0.6)
    below.set_xlabel("Confidence (% probability of the predicted class)")
    for axes in (above, below):
        axes.grid(alpha=0.25)
