"""Plots of loss and accuracy by epoch: of one training, of repeated ones, of several variants, of auxiliary heads."""

import math
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sweeper.evaluation.amounts import amount
from sweeper.plots.glyphs import drawable
from sweeper.plots.panels import (
    BLUE,
    GREY,
    MOST_POINTS_WITH_MARKERS,
    ORANGE,
    add_legend,
    empty_figure,
    label_epochs,
    line_style,
    percent,
)

Training = Sequence[Mapping[str, float]]

PARTS = {"train": "training", "validation": "validation"}
HEAD = re.compile(r"aux_(.+)_(?:train|validation)_accuracy")


def learning_curves(epochs: Training, title: str) -> Figure:
    """Loss and accuracy by epoch, training against validation; marks the epoch of the best validation accuracy.

    Each mapping holds `epoch`, `train_loss`, `validation_loss` (nats), `train_accuracy` and
    `validation_accuracy` (shares of 1); other keys are ignored, and values that are not finite leave a gap.
    Raises ValueError without an epoch.
    """
    _require_epochs([epochs])
    figure = empty_figure(9, 4.0, title)
    loss, accuracy = _training_against_validation(figure, [epochs])
    _mark_best((loss, accuracy), epochs)
    # Below the panels, where the legend covers no curve.
    add_legend(figure, *accuracy.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def learning_curves_of_networks(networks: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Loss and accuracy by epoch, a column for each network, on common scales; names the best validation epoch of each.

    Each network has its `name` and its `epochs`, in the form of those of `learning_curves`. Raises ValueError without a
    network, and for one without an epoch.
    """
    if not networks:
        raise ValueError("networks must hold at least one network, got none")
    for network in networks:
        _require_epochs([network["epochs"]], f" (network {network['name']})")
    figure = empty_figure(4.5 * len(networks) + 0.5, 7.0, title)
    panels = figure.subplots(2, len(networks), sharex=True, sharey="row", squeeze=False)
    for column, network in zip(panels.T, networks, strict=True):
        _draw_parts(column, [network["epochs"]])
        _mark_best(column, network["epochs"])
        column[0].set_title(textwrap.fill(drawable(network["name"]), 44), fontsize=10, parse_math=False)
        column[0].set_xlabel("")
        # Below its own panel: the best epoch is the network's.
        legend = column[1].get_legend_handles_labels()
        add_legend(column[1], *legend, loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=9)
    panels[0, 0].set_ylabel(f"Loss ({_scale_loss(panels[0, 0], [network['epochs'] for network in networks])})")
    panels[1, 0].set_ylabel("Accuracy (% of images)")
    panels[1, 0].yaxis.set_major_formatter(percent())
    return figure


def mean_learning_curves(trainings: Sequence[Training], title: str) -> Figure:
    """Loss and accuracy by epoch, training against validation, as means over trainings of one configuration.

    `trainings` are folds or repeats of any lengths, each in the form of the epochs of `learning_curves`. An epoch's
    mean and band (one standard deviation, ddof = 1, either side) are over the trainings that reached it. A value that
    is not finite in one training leaves a gap. Raises ValueError without a training, or for one without an epoch.
    """
    _require_epochs(trainings)
    figure = empty_figure(9, 4.4, title)
    _, accuracy = _training_against_validation(figure, trainings)
    handles, labels = accuracy.get_legend_handles_labels()
    note = textwrap.fill("; ".join(_description([trainings])), 90)
    legend = add_legend(figure, handles, labels, loc="outside lower center", ncols=2, title=note)
    legend.get_title().set_multialignment("center")
    return figure


def overlaid_curves(variants: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Loss and accuracy by epoch of all variants, training on the left and validation on the right.

    Each variant holds its `name` and its `trainings`, in the form of those of `mean_learning_curves`. A line is the
    mean of a variant's trainings; several trainings also give a light band of one standard deviation either side.
    Raises ValueError without a variant, and for one without a training or epoch.
    """
    if not variants:
        raise ValueError("variants must hold at least one variant, got none")
    for variant in variants:
        _require_epochs(variant["trainings"], f" (variant {variant['name']})")
    description = _description([variant["trainings"] for variant in variants])
    note = "\n".join(textwrap.fill(line, 34) for line in description)
    names = [textwrap.fill(variant["name"], 34) for variant in variants]
    n_lines = sum(1 + text.count("\n") for text in (note, *names))
    # A narrow title, because the legend on the right starts at the title's height.
    figure = empty_figure(13, max(7.5, 0.21 * n_lines + 1), title, 5.5)
    panels = figure.subplots(2, 2, sharex=True, sharey="row", squeeze=False)

    handles: list[Line2D] = []
    for i, variant in enumerate(variants):
        longest = max(len(training) for training in variant["trainings"])
        style = line_style(i, len(variants), longest)
        drawn = [
            _draw_mean(axes, variant["trainings"], f"{part}_{quantity}", 0.18, **style)
            for row, quantity in zip(panels, ("loss", "accuracy"), strict=True)
            for axes, part in zip(row, PARTS, strict=True)
        ]
        handles.append(drawn[0])
    every = [training for variant in variants for training in variant["trainings"]]
    unit = _scale_loss(panels[0, 0], every)
    for column, part in enumerate(PARTS.values()):
        panels[0, column].set_ylabel(f"{part.capitalize()} loss ({unit})")
        panels[1, column].set_ylabel(f"{part.capitalize()} accuracy (% of images)")
    panels[1, 0].yaxis.set_major_formatter(percent())
    for axes in panels.flat:
        label_epochs(axes)
    for axes in panels[0]:
        axes.set_xlabel("")
    add_legend(figure, handles, names, loc="outside right upper", title=note, alignment="left", handlelength=3)
    return figure


def head_accuracies(epochs: Training, title: str) -> Figure:
    """Accuracy by epoch of each auxiliary head beside the output's, training on the left and validation on the right.

    In addition to `epoch`, `train_accuracy` and `validation_accuracy` of the output, each mapping holds
    `aux_<layer>_train_accuracy` and `aux_<layer>_validation_accuracy` (shares of 1) of every head; values that
    are not finite leave a gap. Raises ValueError without an epoch, or without a head.
    """
    _require_epochs([epochs])
    heads = list(dict.fromkeys(found[1] for key in epochs[0] if (found := HEAD.fullmatch(key))))
    if not heads:
        raise ValueError("epochs must hold the accuracy of at least one auxiliary head, got none")
    parts = {part: label for part, label in PARTS.items() if not _is_missing([epochs], part, "accuracy")}
    n_columns = 2 * len(parts)
    figure = empty_figure(1.5 + 4 * len(parts), 3.9 + 0.25 * math.ceil((1 + len(heads)) / n_columns), title)
    (panels,) = figure.subplots(1, len(parts), sharey=True, squeeze=False)
    for axes, (part, label) in zip(panels, parts.items(), strict=True):
        for i, prefix in enumerate(("", *(f"aux_{head}_" for head in heads))):
            _draw_mean(axes, [epochs], f"{prefix}{part}_accuracy", 0, **line_style(i, len(heads) + 1, len(epochs)))
        axes.set_ylabel(f"{label.capitalize()} accuracy (% of images)")
        label_epochs(axes)
    panels[0].yaxis.set_major_formatter(percent())
    labels = ["output", *(f"head at {head}" for head in heads)]
    add_legend(figure, panels[0].get_lines(), labels, loc="outside lower center", ncols=n_columns, handlelength=3)
    return figure


def _require_epochs(trainings: Sequence[Training], place: str = "") -> None:
    if not trainings:
        raise ValueError(f"trainings must hold at least one training, got none{place}")
    if not all(trainings):
        raise ValueError(f"epochs must hold at least one epoch, got none{place}")


def _training_against_validation(figure: Figure, trainings: Sequence[Training]) -> tuple[Axes, Axes]:
    """Panels of loss and accuracy with their labels."""
    loss, accuracy = figure.subplots(1, 2)
    _draw_parts((loss, accuracy), trainings)
    loss.set_ylabel(f"Loss ({_scale_loss(loss, trainings)})")
    accuracy.set_ylabel("Accuracy (% of images)")
    accuracy.yaxis.set_major_formatter(percent())
    return loss, accuracy


def _draw_parts(panels: Sequence[Axes], trainings: Sequence[Training]) -> None:
    """Draws loss and accuracy into a panel each, with two lines that differ in colour, dash and marker."""
    few = max(len(training) for training in trainings) <= MOST_POINTS_WITH_MARKERS
    for axes, quantity in zip(panels, ("loss", "accuracy"), strict=True):
        for part, colour, dash, marker in (("train", ORANGE, "--", "s"), ("validation", BLUE, "-", "o")):
            if not _is_missing(trainings, part, quantity):
                style = {"color": colour, "linestyle": dash, "marker": marker if few else "", "markersize": 4}
                _draw_mean(axes, trainings, f"{part}_{quantity}", 0.25, label=PARTS[part], **style)
        label_epochs(axes)


def _mark_best(panels: Sequence[Axes], epochs: Training) -> None:
    """Marks the epoch of the best validation accuracy in the panels of loss and accuracy; the legend names it."""
    scored = [e for e in epochs if math.isfinite(e["validation_accuracy"])]
    if not scored:
        return
    best = max(scored, key=lambda e: e["validation_accuracy"])
    for axes in panels:
        axes.axvline(best["epoch"], color=GREY, linestyle=":", linewidth=1.2, zorder=1)
    panels[1].plot(
        [best["epoch"]],
        [best["validation_accuracy"]],
        "o",
        markersize=11,
        markerfacecolor="none",
        markeredgecolor="black",
        label=f"best: {amount('accuracy', best['validation_accuracy'])}, epoch {best['epoch']:g}",
    )


def _is_missing(trainings: Sequence[Training], part: str, quantity: str) -> bool:
    """Whether `part` is a validation part that the trainings lack: only their training metrics are finite."""
    finite = {p for p in PARTS for training in trainings for e in training if math.isfinite(e[f"{p}_{quantity}"])}
    return part == "validation" and finite == {"train"}


def _draw_mean(axes: Axes, trainings: Sequence[Training], key: str, band: float, **style: Any) -> Line2D:
    """Draws the mean over `trainings` by epoch, with its band at the opacity `band`."""
    numbers, mean, deviation = _mean_and_deviation(trainings, key)
    (line,) = axes.plot(numbers, mean, **style)
    known = np.isfinite(deviation)
    if known.any():
        low, high = mean - deviation, mean + deviation
        colour = line.get_color()
        axes.fill_between(numbers, low, high, where=known, color=colour, alpha=band, linewidth=0)
        # fill_between shows nothing at an epoch without a band on either side, so draw a vertical line there.
        alone = known & ~np.append(known[1:], False) & ~np.append(False, known[:-1])
        axes.vlines(numbers[alone], low[alone], high[alone], color=colour, alpha=3 * band, linewidth=4)
    return line


def _mean_and_deviation(trainings: Sequence[Training], key: str) -> tuple[npt.NDArray[np.float64], ...]:
    """Epochs, and the mean and standard deviation (NaN for fewer than two) over the trainings that reached each."""
    by_epoch: defaultdict[float, list[float]] = defaultdict(list)
    for training in trainings:
        for e in training:
            by_epoch[e["epoch"]].append(e[key])
    numbers = sorted(by_epoch)
    mean, deviation = np.full((2, len(numbers)), math.nan)
    for i, number in enumerate(numbers):
        values = by_epoch[number]
        if np.isfinite(values).all():
            mean[i] = np.mean(values)
            deviation[i] = np.std(values, ddof=1) if len(values) > 1 else math.nan
    return np.array(numbers, dtype=float), mean, deviation


def _scale_loss(axes: Axes, trainings: Iterable[Training]) -> str:
    """Makes the axis logarithmic where the losses need it; returns the axis's unit."""
    losses = [e[f"{part}_loss"] for training in trainings for e in training for part in PARTS]
    losses = [loss for loss in losses if math.isfinite(loss)]
    # A training that nearly diverges starts so high that its useful part would look flat on a linear axis.
    if losses and 0 < 100 * min(losses) < max(losses):
        axes.set_yscale("log")
        return "nats, logarithmic"
    return "nats"


def _description(groups: Sequence[Sequence[Training]]) -> list[str]:
    """Describes a line and its band in words; `groups` holds the trainings of each line."""
    counts = sorted(len(trainings) for trainings in groups)
    if counts[-1] == 1:
        return ["1 training" if len(groups) == 1 else "1 training each"]
    number = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
    lines = [f"mean of {number} trainings", "band: one standard deviation either side"]
    if any(len({len(training) for training in trainings}) > 1 for trainings in groups):
        lines.append("each epoch over the trainings that reached it")
    return lines
