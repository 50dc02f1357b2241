"""Checks, by arithmetic alone, whether the networks of a space can take its images."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from sweeper.config import Configuration, CustomConfig, ModelConfig, TimmConfig
from sweeper.config.models import MOST_BLOCKS
from sweeper.data.known.catalog import INPUT_SHAPES
from sweeper.errors import nearest
from sweeper.models import families
from sweeper.models.layers import Layer
from sweeper.spaces.parameter import Parameter

# The fields that decide whether a network can take an image.
SHAPE_FIELDS = (
    "filters", "kernel_size", "padding", "input_padding", "pool_after", "hidden",
    "dropout", "dropout_conv", "dropout_pool", "aux_heads", "blocks", "downsample_at", "downsampling",
)  # fmt: skip
# Limit on the array entries of all networks together. It allows 20,000 networks of LeNet-5's depth, which take 3 s of
# arithmetic and are enough for any space written by hand. Above it, loading checks only the variants' shapes.
MOST_ENTRIES = 400_000


def check_network(config: ModelConfig, dataset: str) -> list[Layer]:
    """The network's layers for images of the data set; empty for timm, whose import takes long.

    Raises ValueError, naming layer, sizes and data set, when the network cannot take the images.
    """
    if isinstance(config, TimmConfig):
        return []
    try:
        return families.trace(config, *INPUT_SHAPES[dataset])
    except ValueError as error:
        raise ValueError(f"{error}, with images of {dataset}") from None


def check_decayed_layers(configuration: Configuration, network: Sequence[Layer]) -> None:
    """Raises ValueError, naming the layer, when `weight_decay_layers` names a layer that the network lacks."""
    if configuration.train.weight_decay_layers and isinstance(configuration.model, TimmConfig | CustomConfig):
        # Layer names are nested there, and several layers may share the last part of their name.
        whose = "timm" if isinstance(configuration.model, TimmConfig) else "your own"
        raise ValueError(f"weight_decay_layers must be empty for networks of {whose}, in which every parameter decays")
    known = [layer.name for layer in network if layer.n_parameters and layer.kind != "batch_norm"]
    for name in configuration.train.weight_decay_layers:
        if name not in known:
            there = ", ".join(known)
            raise ValueError(f"weight_decay_layers must be among {there} here, got {name!r}{nearest(name, known)}")


def trace(configuration: Configuration, input_shape: tuple[int, int, int], n_classes: int) -> list[Layer]:
    """The network's layers for images of `input_shape` (channels, height, width).

    Raises ValueError when the network cannot take such images, `weight_decay_layers` names a layer that it lacks, or it
    does not tell the classifier that `freeze_epochs` trains first.
    """
    network = families.trace(configuration.model, input_shape, n_classes)
    check_decayed_layers(configuration, network)
    if configuration.train.freeze_epochs:
        families.classifier(configuration.model, input_shape, n_classes)
    return network


def unusable(fixed: Mapping[str, Any], parameters: Mapping[str, Parameter], dataset: str) -> tuple[str, str] | None:
    """The first parameter with a value that fits no network of the space, and the reason; None if every value fits one.

    `parameters` must be ordered so that conditions refer to earlier ones. The name is empty when the fixed values
    do not fit and no parameter shapes the network.
    """
    defaults = Configuration.from_values(fixed)
    if isinstance(defaults.model, CustomConfig):
        return None  # only building a network tells
    axes = _axes(parameters)
    # Count the networks before listing any: an axis may have billions of values.
    n_networks = math.prod(p.n_values or 1 for p in axes.values())
    if n_networks * _n_entries(fixed, axes) > MOST_ENTRIES:
        return None
    unsearched = {name: value for name, value in defaults.values().items() if name not in parameters}
    values = {name: list(p.choices or p.grid()) for name, p in axes.items()}
    # Keyed by the parameter's name and the value's index on its axis.
    works: set[tuple[str, int]] = set()
    reason: dict[tuple[str, int], str] = {}
    for indices in product(*(range(len(axis)) for axis in values.values())):
        point: dict[str, Any] = {}
        for (name, parameter), index in zip(axes.items(), indices, strict=True):
            if parameter.is_active(unsearched | point):
                point[name] = values[name][index]
        keys = [
            (name, index) for name, index in zip(axes, indices, strict=True) if name in point and name in SHAPE_FIELDS
        ] or [("", 0)]
        try:
            check_network(Configuration.from_values({**fixed, **point}).model, dataset)
            works.update(keys)
        except ValueError as error:
            reason.update(dict.fromkeys(keys, str(error)))
    # A value whose condition never holds is neither in `works` nor in `reason`.
    unfit = [key for key in reason if key not in works]
    if not unfit:
        return None
    name, index = min(unfit, key=lambda key: (["", *axes].index(key[0]), key[1]))
    if not name:
        return "", f"the fixed values give no valid network: {reason[name, index]}"
    return name, f"{name} {values[name][index]!r} fits no network of this space: {reason[name, index]}"


def _axes(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The finite parameters among SHAPE_FIELDS, and the parameters that their conditions refer to."""
    wanted: set[str] = set()
    # In reverse order, because conditions refer to earlier parameters.
    for name, parameter in reversed(list(parameters.items())):
        # An infinite axis is a range of one dropout for all layers, which shapes nothing.
        if name in wanted or (name in SHAPE_FIELDS and parameter.n_values is not None):
            wanted |= {name, *parameter.when}
    return {name: parameter for name, parameter in parameters.items() if name in wanted}


def _n_entries(fixed: Mapping[str, Any], axes: Mapping[str, Parameter]) -> int:
    """The largest number of values, each array entry counted, that describe the shape of one network of the space."""
    defaults = Configuration.from_values(fixed).values()
    entries = {
        name: max(len(value) if isinstance(value, tuple) else 1 for value in _possible(name, defaults, axes))
        for name in SHAPE_FIELDS
        if name in defaults
    }
    if "blocks" in defaults:
        entries["blocks"] = MOST_BLOCKS  # each block has layers of its own
    return sum(entries.values())


def _possible(name: str, defaults: Mapping[str, Any], axes: Mapping[str, Parameter]) -> tuple[Any, ...]:
    return (axes[name].choices if name in axes else ()) or (defaults[name],)
