"""A plot of the learning rate over a training, and of the momentum where the schedule cycles it."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweeper.plots.panels import add_legend, empty_figure, label_epochs, line_style

# The logarithmic axis goes no lower than this share of the lowest peak: the last steps of a cosine that falls to zero
# would otherwise take up most of the axis.
SMALLEST_SHARE = 1e-3


def learning_rates(variants: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """The learning rate of each variant by epoch, and below it the momentum if any variant cycles the momentum.

    Each variant holds its `name`, `steps` (positions in epochs; a value holds from its position to the next),
    the `rates` there, and `momenta` (beta 1 of adam and adamw) or None. Variants with exactly the same curve
    share a line. The axis is logarithmic where the rates span more than a factor of 30. Values that are not finite
    leave a gap. Raises ValueError without a variant, for one without a step, and for lists of unequal length.
    """
    if not variants:
        raise ValueError("variants must hold at least one variant, got none")
    for variant in variants:
        if not len(variant["steps"]):
            raise ValueError(f"steps must hold at least one step, got none (variant {variant['name']})")
    cycled = any(len(set(variant["momenta"] or ())) > 1 for variant in variants)
    quantities = ["rates", "momenta"] if cycled else ["rates"]
    lines = [_lines(variants, quantity) for quantity in quantities]
    # Each panel is at least as high as the legend beside it.
    heights = [max(3.6, 0.21 * sum(1 + label.count("\n") for _, label in shown) + 1) for shown in lines]
    figure = empty_figure(10.5, 0.6 + sum(heights), title)
    panels = figure.subplots(len(lines), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, quantity, shown in zip(panels, quantities, lines, strict=True):
        _draw(axes, variants, quantity, shown)
        label_epochs(axes)
        axes.label_outer()
    _scale_rates(panels[0], [variant["rates"] for variant in variants])
    if cycled:
        panels[1].set_ylabel("Momentum (adam: beta 1)")
    return figure


def _lines(variants: Sequence[Mapping[str, Any]], quantity: str) -> list[tuple[int, str]]:
    """The lines to draw: the index of the first variant that shares a line, and a label that names all of these."""
    names: dict[tuple[tuple[float, ...], ...], list[tuple[int, str]]] = {}
    for i, variant in enumerate(variants):
        if variant[quantity] is not None:
            curve = tuple(variant["steps"]), tuple(variant[quantity])
            names.setdefault(curve, []).append((i, variant["name"]))
    return [(group[0][0], textwrap.fill(", ".join(name for _, name in group), 34)) for group in names.values()]


def _draw(axes: Axes, variants: Sequence[Mapping[str, Any]], quantity: str, lines: Sequence[tuple[int, str]]) -> None:
    handles = []
    for i, _ in lines:
        x, y = list(variants[i]["steps"]), list(variants[i][quantity])
        # Draw the last value for as long as the value before it.
        if len(x) > 1:
            x, y = [*x, 2 * x[-1] - x[-2]], [*y, y[-1]]
        handles += axes.plot(x, y, drawstyle="steps-post", **line_style(i, len(variants), len(x)))
    add_legend(axes, handles, [label for _, label in lines], loc="upper left", bbox_to_anchor=(1, 1), handlelength=3)


def _scale_rates(axes: Axes, curves: Sequence[Sequence[float]]) -> None:
    axes.set_ylabel("Learning rate")
    positive = [[rate for rate in curve if math.isfinite(rate) and rate > 0] for curve in curves]
    peaks = [max(curve) for curve in positive if curve]
    smallest = min((min(curve) for curve in positive if curve), default=0)
    if peaks and max(peaks) > 30 * smallest:
        axes.set_yscale("log")
        axes.set_ylabel("Learning rate (logarithmic)")
        axes.set_ylim(bottom=max(0.7 * smallest, SMALLEST_SHARE * min(peaks)))
    elif peaks:
        axes.set_ylim(0, 1.06 * max(peaks))
