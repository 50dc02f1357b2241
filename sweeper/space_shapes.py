"""Whether the networks of a space can take its images, by arithmetic alone."""

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

from sweeper.config import Configuration, ModelConfig
from sweeper.data.catalog import INPUT_SHAPES
from sweeper.layers import trace
from sweeper.space import Parameter

# The fields that decide whether a network can take an image.
SHAPE_FIELDS = (
    "filters", "kernel_size", "padding", "input_padding", "pool_after", "hidden",
    "dropout", "dropout_conv", "dropout_pool", "aux_heads",
)  # fmt: skip
# Array entries of all networks together: 20,000 networks of LeNet-5's depth, 3 s of arithmetic, and enough for any
# space written by hand. Above it only the variants' shapes are checked on loading.
MOST_ENTRIES = 400_000


def check_network(config: ModelConfig, dataset: str) -> None:
    """Raises ValueError, naming layer, sizes and data set, when the network cannot take the images."""
    try:
        trace(config, *INPUT_SHAPES[dataset])
    except ValueError as error:
        raise ValueError(f"{error}, with images of {dataset}") from None


def unusable(fixed: Mapping[str, Any], parameters: Mapping[str, Parameter], dataset: str) -> tuple[str, str] | None:
    """The first parameter with a value that fits no network of the space, and why; None where all do.

    The name is empty when nothing that shapes the network is searched, and the fixed values do not fit.
    """
    # An infinite axis is a range of one dropout for all layers: it shapes nothing.
    axes = {name: p for name, p in parameters.items() if name in SHAPE_FIELDS and p.n_values is not None}
    # Counted before anything is listed: an axis may have billions of values.
    n_networks = math.prod(p.n_values or 1 for p in axes.values())
    if n_networks * _n_entries(fixed, axes) > MOST_ENTRIES:
        return None
    values = [[(name, value) for value in p.choices or p.grid()] for name, p in axes.items()]
    # By the value's place on its axis.
    works: set[tuple[str, int]] = set()
    reason: dict[tuple[str, int], str] = {}
    for places in product(*(range(len(axis)) for axis in values)):
        point = dict(axis[place] for axis, place in zip(values, places, strict=True))
        marks = list(zip(axes, places, strict=True))
        try:
            check_network(Configuration.from_values({**fixed, **point}).model, dataset)
            works.update(marks)
        except ValueError as error:
            if not point:
                return "", f"the fixed values make no network: {error}"
            reason.update(dict.fromkeys(marks, str(error)))
    for axis in values:
        for place, (name, value) in enumerate(axis):
            if (name, place) not in works:
                return name, f"{name} {value!r} fits no network of this space: {reason[name, place]}"
    return None


def _n_entries(fixed: Mapping[str, Any], axes: Mapping[str, Parameter]) -> int:
    """The most values, array entries counted singly, that the shape of one network of the space is written with."""
    defaults = Configuration.from_values(fixed).values()
    return sum(
        max(len(value) if isinstance(value, tuple) else 1 for value in _possible(name, defaults, axes))
        for name in SHAPE_FIELDS
    )


def _possible(name: str, defaults: Mapping[str, Any], axes: Mapping[str, Parameter]) -> tuple[Any, ...]:
    return (axes[name].choices if name in axes else ()) or (defaults[name],)
