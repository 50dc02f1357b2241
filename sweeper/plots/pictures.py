"""Images of a data set in figures, and tiles of an image with the probabilities of its classes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweeper.evaluation.amounts import amount
from sweeper.plots.names import LONGEST_CLASS_NAME, fitted
from sweeper.plots.panels import BLUE, GREY, ORANGE, empty_figure

COLUMNS = 3


def image_probabilities(tiles: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Images, each with bars of its most probable classes: the largest is coloured and bold.

    Each tile has the `image` as bytes (channels, height, width), its `name`, its `true` class or None, its most
    probable `classes`, and their `probabilities`, shares of 1. The largest is blue if it is the true class or that is
    unknown, and orange if it is wrong. Raises ValueError without a tile.
    """
    if not tiles:
        raise ValueError("tiles must hold at least one image, got none")
    n_columns = 2 if len(tiles) == 4 else min(COLUMNS, len(tiles))
    n_rows = math.ceil(len(tiles) / n_columns)
    n_bars = max(len(tile["classes"]) for tile in tiles)
    figure = empty_figure(4.6 * n_columns + 0.2, n_rows * max(1.5, 0.55 + 0.25 * n_bars) + 0.8, title)
    panels = figure.subplots(n_rows, 2 * n_columns, squeeze=False, width_ratios=[1, 1.3] * n_columns)
    for place, (picture, bars) in enumerate(panels.reshape(-1, 2)):
        if place < len(tiles):
            show_image(picture, tiles[place]["image"])
            _caption(picture, tiles[place])
            _bars(bars, tiles[place])
        else:
            picture.set_axis_off()
            bars.set_axis_off()
    return figure


def show_image(axes: Axes, image: npt.ArrayLike) -> None:
    """Shows bytes (channels, height, width) of 1 or 3 channels, without axes."""
    pixels = np.asarray(image, dtype=np.uint8)
    shown = pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels[0]
    axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()


def _caption(axes: Axes, tile: Mapping[str, Any]) -> None:
    lines = fitted([tile["name"]], LONGEST_CLASS_NAME)
    if tile["true"] is not None:
        lines.append(f"true: {fitted([tile['true']], LONGEST_CLASS_NAME)[0]}")
    axes.set_title("\n".join(lines), fontsize=9, parse_math=False)


def _bars(axes: Axes, tile: Mapping[str, Any]) -> None:
    names = fitted(tile["classes"], LONGEST_CLASS_NAME)
    is_wrong = tile["true"] is not None and tile["classes"][0] != tile["true"]
    colours = [ORANGE if is_wrong else BLUE, *[GREY] * (len(names) - 1)]
    bars = axes.barh(range(len(names)), tile["probabilities"], color=colours, height=0.45)
    axes.bar_label(bars, [amount("accuracy", share, 1) for share in tile["probabilities"]], fontsize=9, padding=2)
    for place, name in enumerate(names):
        weight = "bold" if place == 0 else "normal"
        is_true = tile["true"] is not None and tile["classes"][place] == tile["true"]
        # Above its bar, where a long name has room.
        axes.text(
            0, place - 0.3, f"{name} (true)" if is_true else name, fontsize=9, weight=weight, parse_math=False,
            va="bottom",
        )  # fmt: skip
    axes.set_xlim(0, 1.25)
    axes.set_ylim(len(names) - 0.5, -0.95)
    axes.set_axis_off()
