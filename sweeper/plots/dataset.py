"""Plots of a data set: images by class, mean and standard deviation of each pixel, a few images of each class."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sweeper.plots.names import LONGEST_CLASS_NAME, fitted, width
from sweeper.plots.panels import BLUE, GREY, ORANGE, empty_figure
from sweeper.quantities import counted

# With more classes, their names do not fit below each other, nor their images on a page.
MOST_CLASSES = 100
PART_COLOURS = (BLUE, ORANGE, GREY)
CHANNEL_NAMES = ("red", "green", "blue")
# The side of a tile of images, in inches.
TILE = 1.45


def class_distribution(counts: Mapping[str, Sequence[int]], classes: Sequence[str], title: str) -> Figure:
    """The number of images of each class, a panel for each part of the data set.

    `counts` maps each part's name to one number for each of the `classes`. Of more than 100 classes, the plot names
    only some. Raises ValueError without a part, or where a part has another number of classes.
    """
    if not counts:
        raise ValueError("counts must hold at least one part, got none")
    n = len(classes)
    for part, numbers in counts.items():
        if len(numbers) != n:
            raise ValueError(f"counts must hold a number for each of {n} classes, got {len(numbers)} ({part})")
    few = n <= 20
    size = 9 if few else 6.5
    figure = empty_figure(2.0 + 3.0 * len(counts), 1.4 + min((0.3 if few else 0.14) * n, 16.0), title)
    panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
    for axes, (part, numbers), colour in zip(panels, counts.items(), PART_COLOURS, strict=False):
        if n <= MOST_CLASSES:
            bars = axes.barh(range(n), numbers, color=colour, height=0.8)
            axes.bar_label(bars, [f"{number:,}" for number in numbers], fontsize=size - 1, padding=2)
        else:  # thousands of bars would take a minute to draw
            axes.stairs(numbers, np.arange(n + 1) - 0.5, orientation="horizontal", fill=True, color=colour)
        axes.set_title(f"{part}: {counted(sum(numbers), 'image')}", fontsize=10, parse_math=False)
        axes.set_xlabel("Images")
        # Leaves room for the number after the longest bar; a part without images still gets an axis.
        axes.set_xlim(0, 1.22 * max(1, *numbers))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    shown, names = range(0, n, math.ceil(n / MOST_CLASSES)), fitted(classes, LONGEST_CLASS_NAME)
    panels[0].set_yticks(shown, [names[i] for i in shown], fontsize=size, parse_math=False)
    panels[0].set_ylim(n - 0.4, -0.6)
    return figure


def pixel_statistics(mean: npt.ArrayLike, std: npt.ArrayLike, title: str) -> Figure:
    """Images of the mean and of the standard deviation of each pixel, for pixels in [0, 1].

    `mean` and `std` have shape (C, H, W), with 1 or 3 channels. Three channels are shown together in colour and each by
    itself; the colours of the standard deviations are scaled so that the largest value becomes 1. Raises ValueError for
    other shapes.
    """
    rows = {"mean": np.asarray(mean), "standard deviation": np.asarray(std)}
    shape = rows["mean"].shape
    if len(shape) != 3 or shape[0] not in (1, 3) or rows["standard deviation"].shape != shape:
        raise ValueError(
            f"mean and std must have one shape (1 or 3 channels, height, width), got {shape} and "
            f"{rows['standard deviation'].shape}"
        )
    in_colour = shape[0] == len(CHANNEL_NAMES)
    figure = empty_figure(11.5, 6.0, title) if in_colour else empty_figure(8.0, 4.0, title)
    panels = figure.subplots(2, 4) if in_colour else figure.subplots(1, 2).reshape(2, 1)
    for row, (name, values) in zip(panels, rows.items(), strict=True):
        alone, names = row, [name]
        if in_colour:
            full = max(float(values.max()), 1 / 255) if name != "mean" else 1.0
            row[0].imshow((values / full).transpose(1, 2, 0).clip(0, 1))
            row[0].set_title(f"{name}{f' x {1 / full:.3g}' if full < 1 else ', in colour'}", fontsize=10)
            alone, names = row[1:], [f"{name}, {channel}" for channel in CHANNEL_NAMES]
        # One scale for all channels, over the range of the values: on [0, 1] most means would look uniform.
        scale: dict[str, Any] = {"vmin": float(values.min()), "vmax": float(values.max()), "cmap": "viridis"}
        for axes, channel, text in zip(alone, values, names, strict=True):
            image = axes.imshow(channel, **scale)
            axes.set_title(text, fontsize=10)
        figure.colorbar(image, ax=alone.tolist(), fraction=0.05, pad=0.02)
        for axes in row:
            axes.set_xticks([])
            axes.set_yticks([])
    return figure


def sample_grid(samples: Sequence[npt.NDArray[np.uint8]], classes: Sequence[str], title: str) -> Figure:
    """A tile of images for each class, with its name above.

    `samples` holds one array of uint8 images (n, C, H, W) for each of the `classes`; n may differ, and be 0. Of more
    than 100 classes, the plot shows 100, evenly spread. Raises ValueError unless there is one array for each class.
    """
    n = len(classes)
    if len(samples) != n or not n:
        raise ValueError(f"samples must hold images of each of {n} classes, at least one, got {len(samples)}")
    shown = np.unique(np.linspace(0, n - 1, min(n, MOST_CLASSES)).round().astype(int))
    if len(shown) < n:
        title = f"{title} ({len(shown)} of {n} classes)"
    n_columns = min(10, math.ceil(math.sqrt(2 * len(shown)))) if len(shown) < 50 else 10
    n_rows = math.ceil(len(shown) / n_columns)
    side = math.ceil(math.sqrt(max(1, *(len(samples[i]) for i in shown))))
    figure = empty_figure(0.4 + 1.08 * TILE * n_columns, 0.6 + 1.22 * TILE * n_rows, title)
    axes, names = figure.add_subplot(), fitted(classes, LONGEST_CLASS_NAME)
    for place, i in enumerate(shown.tolist()):
        left, top = 1.08 * (place % n_columns), 1.22 * (place // n_columns)
        if len(samples[i]):
            # The vertical axis points down, as rows of pixels do.
            axes.imshow(
                _tile(np.asarray(samples[i], np.uint8), side),
                extent=(left, left + 1, top + 1, top),
                cmap="gray",
                vmin=0,
                vmax=255,
            )
        name = names[i]
        # A letter is about 0.6 of its font size wide; a point is 1/72 inch.
        size = max(5.0, min(9.0, 72 * 1.04 * TILE / (0.6 * max(1, width(name)))))
        axes.text(left + 0.5, top - 0.03, name, ha="center", va="bottom", fontsize=size, parse_math=False)
    axes.set_xlim(-0.04, 1.08 * n_columns - 0.04)
    axes.set_ylim(1.22 * n_rows - 0.18, -0.2)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return figure


def _tile(images: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Up to side x side images in one, with white gaps between them: (H, W, 3), or (H, W) for grey images."""
    _, n_channels, height, width = images.shape
    gap = max(1, height // 16)
    tile = np.full((n_channels, side * (height + gap) - gap, side * (width + gap) - gap), 255, dtype=np.uint8)
    for place, image in enumerate(images):
        top, left = (place // side) * (height + gap), (place % side) * (width + gap)
        tile[:, top : top + height, left : left + width] = image
    return tile.transpose(1, 2, 0) if n_channels == 3 else tile[0]
