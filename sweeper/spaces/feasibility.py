"""Whether the networks of a space can take its images, by arithmetic alone."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from sweeper.config import Configuration, ModelConfig, TimmConfig
from sweeper.data.known.catalog import INPUT_SHAPES
from sweeper.errors import nearest
from sweeper.models.layers import Layer, trace
from sweeper.spaces.parameter import Parameter

# The fields that decide whether a network can take an image.
SHAPE_FIELDS = (
    "filters", "kernel_size", "padding", "input_padding", "pool_after", "hidden",
    "dropout", "dropout_conv", "dropout_pool", "aux_heads",
)  # fmt: skip
# Array entries of all networks together: 20,000 networks of LeNet-5's depth, 3 s of arithmetic, and enough for any
# space written by hand. Above it only the variants' shapes are checked on loading.
MOST_ENTRIES = 400_000


def check_network(config: ModelConfig, dataset: str) -> list[Layer]:
    """The layers, for images of the data set; none of a timm network, which must be built to be known.

    Raises ValueError, naming layer, sizes and data set, when the network cannot take the images.
    """
    if isinstance(config, TimmConfig):
        return []
    try:
        return trace(config, *INPUT_SHAPES[dataset])
    except ValueError as error:
        raise ValueError(f"{error}, with images of {dataset}") from None


def check_decayed_layers(configuration: Configuration, network: Sequence[Layer]) -> None:
    """Raises ValueError, naming the layer, when `weight_decay_layers` has one that the network lacks."""
    if configuration.train.weight_decay_layers and isinstance(configuration.model, TimmConfig):
        # Its layers have names within names, and several the same last one.
        raise ValueError("weight_decay_layers must be empty for networks of timm, in which every parameter decays")
    known = [layer.name for layer in network if layer.n_parameters and layer.kind != "batch_norm"]
    for name in configuration.train.weight_decay_layers:
        if name not in known:
            there = ", ".join(known)
            raise ValueError(f"weight_decay_layers must be among {there} here, got {name!r}{nearest(name, known)}")


def unusable(fixed: Mapping[str, Any], parameters: Mapping[str, Parameter], dataset: str) -> tuple[str, str] | None:
    """The first parameter with a value that fits no network of the space, and why; None where all do.

    `parameters` are in an order in which conditions refer to earlier ones. The name is empty when the fixed
    values, with no parameter that shapes the network, do not fit.
    """
    axes = _axes(parameters)
    # Counted before anything is listed: an axis may have billions of values.
    n_networks = math.prod(p.n_values or 1 for p in axes.values())
    if n_networks * _n_entries(fixed, axes) > MOST_ENTRIES:
        return None
    defaults = Configuration.from_values(fixed).values()
    unsearched = {name: value for name, value in defaults.items() if name not in parameters}
    values = {name: list(p.choices or p.grid()) for name, p in axes.items()}
    # By the value's place on its axis.
    works: set[tuple[str, int]] = set()
    reason: dict[tuple[str, int], str] = {}
    for places in product(*(range(len(axis)) for axis in values.values())):
        point: dict[str, Any] = {}
        for (name, parameter), place in zip(axes.items(), places, strict=True):
            if parameter.is_active(unsearched | point):
                point[name] = values[name][place]
        marks = [
            (name, place) for name, place in zip(axes, places, strict=True) if name in point and name in SHAPE_FIELDS
        ] or [("", 0)]
        try:
            check_network(Configuration.from_values({**fixed, **point}).model, dataset)
            works.update(marks)
        except ValueError as error:
            reason.update(dict.fromkeys(marks, str(error)))
    # A value whose condition never holds is in neither.
    unfit = [mark for mark in reason if mark not in works]
    if not unfit:
        return None
    name, place = min(unfit, key=lambda mark: (["", *axes].index(mark[0]), mark[1]))
    if not name:
        return "", f"the fixed values make no network: {reason[name, place]}"
    return name, f"{name} {values[name][place]!r} fits no network of this space: {reason[name, place]}"


def _axes(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters that decide whether a network can take an image, and those that decide whether they exist."""
    wanted: set[str] = set()
    # Backwards: a condition names earlier parameters.
    for name, parameter in reversed(list(parameters.items())):
        # An infinite axis is a range of one dropout for all layers: it shapes nothing.
        if name in wanted or (name in SHAPE_FIELDS and parameter.n_values is not None):
            wanted |= {name, *parameter.when}
    return {name: parameter for name, parameter in parameters.items() if name in wanted}


def _n_entries(fixed: Mapping[str, Any], axes: Mapping[str, Parameter]) -> int:
    """The most values, array entries counted singly, that the shape of one network of the space is written with."""
    defaults = Configuration.from_values(fixed).values()
    return sum(
        max(len(value) if isinstance(value, tuple) else 1 for value in _possible(name, defaults, axes))
        for name in SHAPE_FIELDS
        if name in defaults
    )


def _possible(name: str, defaults: Mapping[str, Any], axes: Mapping[str, Parameter]) -> tuple[Any, ...]:
    return (axes[name].choices if name in axes else ()) or (defaults[name],)
