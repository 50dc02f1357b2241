"""Which fields of a configuration have a meaning beside the values of the others."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from sweeper.config import TrainConfig

Values = Mapping[str, Any]


def _one_of(name: str, *wanted: str) -> Callable[[Values], bool]:
    return lambda values: values[name] in wanted


def _cycles_momentum(values: Values) -> bool:
    return bool(values["cycle_momentum"]) and values["schedule"] in ("cyclic", "one_cycle")


# When a field changes anything, from the values of all fields of its configuration; the other fields always do.
EFFECTIVE: Mapping[str, Callable[[Values], bool]] = {
    "leaky_relu_slope": _one_of("activation", "leaky_relu"),
    "pooling": lambda values: bool(values["pool_after"]),
    "downsampling": lambda values: bool(values["downsample_at"]),
    "aux_weight": lambda values: bool(values.get("aux_heads")),
    "momentum": lambda values: values["optimizer"] in ("sgd", "rmsprop") and not _cycles_momentum(values),
    "nesterov": _one_of("optimizer", "sgd"),
    "weight_decay_layers": lambda values: values["weight_decay"] > 0,
    "decoupled_weight_decay": lambda values: values["weight_decay"] > 0 and values["optimizer"] != "adamw",
    "step_size": _one_of("schedule", "step"),
    "step_gamma": _one_of("schedule", "step"),
    "exponential_gamma": _one_of("schedule", "exponential"),
    "warmup_epochs": _one_of("schedule", "cosine"),
    "cycle_start": _one_of("schedule", "cyclic", "one_cycle"),
    "cycle_end": _one_of("schedule", "one_cycle"),
    "cycle_rise": _one_of("schedule", "one_cycle"),
    "cycle_epochs": _one_of("schedule", "cyclic"),
    "cycle_momentum": _one_of("schedule", "cyclic", "one_cycle"),
    "momentum_low": _cycles_momentum,
    "momentum_high": _cycles_momentum,
    "rotation_p": lambda values: values["rotation"] > 0,
    "jitter_p": lambda values: any(values[name] > 0 for name in ("brightness", "contrast", "saturation")),
    "sharpness": lambda values: values["sharpness_p"] > 0,
    "erasing_area": lambda values: values["erasing_p"] > 0,
    "mix_p": lambda values: values["mixup_alpha"] > 0 or values["cutmix_alpha"] > 0,
}
# The other rules are of sweeper's own networks: a user's network may mean anything by its argument of such a name.
_OF_TRAINING = frozenset(field.name for field in fields(TrainConfig))


def is_effective(name: str, values: Values) -> bool:
    """Whether the field changes anything in a configuration with these values."""
    if "network" in values and name not in _OF_TRAINING:
        return True
    rule = EFFECTIVE.get(name)
    return rule is None or rule(values)


def is_drawn(name: str, values: Values, parameters: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a trial with these values draws the parameter; `parameters` are those of Space.describe.

    A parameter with a condition (`when`) is drawn only where it holds. A field that is not searched is never drawn.
    """
    if name not in parameters:
        return False
    when = parameters[name].get("when", {})
    return all(
        _same(values.get(other), wanted) and (other not in parameters or is_drawn(other, values, parameters))
        for other, wanted in when.items()
    )


def _same(value: Any, wanted: Any) -> bool:
    """Equality of a field's value and one that was stored as JSON, which has no tuples."""
    return bool(json.dumps(value) == json.dumps(wanted))
