"""A plot of what the conv and pool layers of networks make of one image."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweeper.plots.glyphs import drawable
from sweeper.plots.panels import empty_figure
from sweeper.plots.pictures import show_image
from sweeper.quantities import counted

# Maps in a row of a layer's mosaic, and its width in inches.
COLUMNS, WIDTH = 8, 5.2
# Each map is drawn with at least this many dots a side, so that a narrow gap parts it from the next.
DOTS = 12


def feature_maps(image: npt.ArrayLike, networks: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """The image, and below it the maps of each layer, a column for each network.

    `image` holds bytes (channels, height, width). Each network has its `name`, its `prediction` in words, and its
    `layers`, each with its name as `layer`, the number of its `channels`, its `height` and `width`, the `shown`
    channels, and their `maps`, bytes (shown, height, width) from the layer's `low` value to its `high` one. Raises
    ValueError without a network, and for one without a layer.
    """
    if not networks:
        raise ValueError("networks must hold at least one network, got none")
    for network in networks:
        if not network["layers"]:
            raise ValueError(f"layers must hold at least one layer, got none (network {network['name']})")
    n_rows = max(len(network["layers"]) for network in networks)
    heights = [1.5]
    for row in range(n_rows):
        shapes = [_shape(network["layers"][row]) for network in networks if row < len(network["layers"])]
        heights.append(max(WIDTH * rows / columns for rows, columns in shapes) + 0.3)
    figure = empty_figure(len(networks) * (WIDTH + 0.3), sum(heights) + 0.9, title)
    panels = figure.subplots(1 + n_rows, len(networks), squeeze=False, height_ratios=heights)
    for column, network in enumerate(networks):
        show_image(panels[0, column], image)
        text = f"{network['name']}\n{network['prediction']}"
        panels[0, column].set_title(
            "\n".join(textwrap.fill(line, 52) for line in drawable(text).split("\n")), fontsize=9, parse_math=False
        )
        for row in range(n_rows):
            axes = panels[1 + row, column]
            if row < len(network["layers"]):
                _draw(axes, network["layers"][row])
            axes.set_axis_off()
    return figure


def _shape(layer: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of a layer's mosaic."""
    n = len(layer["shown"])
    columns = n if n < COLUMNS else COLUMNS * math.ceil(n / 64)
    return math.ceil(n / columns), columns


def _draw(axes: Axes, layer: Mapping[str, Any]) -> None:
    rows, columns = _shape(layer)
    maps = np.asarray(layer["maps"], dtype=np.float64)
    n, height, width = maps.shape
    scale = math.ceil(DOTS / min(height, width, DOTS))
    maps = maps.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = maps.shape[1] + max(1, maps.shape[1] // 12), maps.shape[2] + max(1, maps.shape[2] // 12)
    mosaic = np.full((rows * height, columns * width), np.nan)  # the gaps are left as the page is
    for place, one in enumerate(maps):
        top, left = (place // columns) * height, (place % columns) * width
        mosaic[top : top + one.shape[0], left : left + one.shape[1]] = one
    axes.imshow(mosaic, cmap="viridis", vmin=0, vmax=255, interpolation="nearest")
    which = f"{n} of {layer['channels']} channels" if n < layer["channels"] else counted(n, "channel")
    axes.set_title(
        f"{layer['layer']}: {which} of {layer['height']}x{layer['width']}, {layer['low']:.3g} to {layer['high']:.3g}",
        fontsize=8,
        loc="left",
        parse_math=False,
    )
