"""Whether the networks of a space can take its images, by arithmetic alone."""

import json
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
# Enough for any space written by hand; above it only the variants' shapes are checked on loading.
MOST_SHAPES = 20_000


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
    if math.prod(p.n_values or 1 for p in axes.values()) > MOST_SHAPES:
        return None
    values = [[(name, p.decode(stored)) for stored in p.grid()] for name, p in axes.items()]
    works: set[str] = set()
    reason: dict[str, str] = {}
    for point in product(*values):
        marks = [json.dumps(entry) for entry in point]
        try:
            check_network(Configuration.from_values({**fixed, **dict(point)}).model, dataset)
            works.update(marks)
        except ValueError as error:
            if not point:
                return "", f"the fixed values make no network: {error}"
            reason.update(dict.fromkeys(marks, str(error)))
    for name, value in (entry for axis in values for entry in axis):
        mark = json.dumps((name, value))
        if mark not in works:
            return name, f"{name} {value!r} fits no network of this space: {reason[mark]}"
    return None
