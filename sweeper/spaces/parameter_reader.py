"""Reads a parameter of a space file: its choices or range, and its condition."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweeper.config import TrainConfig, check_value
from sweeper.config.training import AUTO
from sweeper.errors import nearest, plain
from sweeper.spaces.parameter import Parameter, encode

# Nobody searches more steps than this: so small a step is a typo.
MOST_STEPS = 10**6
# The keys of a parameter's table, with their meanings, and those of each form.
KEYS = {
    "choices": "the values to choose from, each allowed for the field; an array among them is one choice",
    "low": "the lowest value of a range, and allowed for the field",
    "high": "the highest value of a range, which a trial may have too, and allowed for the field",
    "log": "true draws from a range on a logarithmic scale; low must be above 0, and there is no step",
    "step": "the distance between two values of a range, which must divide high - low",
    "type": '"categorical" with choices, "int" for a range of two integers, "float" for another; it may be left out',
    "when": "a table of fields and values: unless all have these values, the parameter's own field has its default",
}
OF_CHOICES, OF_RANGES = ("type", "choices"), ("type", "low", "high", "log", "step")


def read_parameter(kind: type, table: str, key: str, definition: Mapping[str, Any]) -> Parameter:
    """Reads the parameter for the field `key` of `kind` from its definition; does not check its condition yet.

    Raises ValueError with key, rule and value.
    """
    definition = dict(definition)
    when = definition.pop("when", {})
    if not isinstance(when, dict):
        raise ValueError(f'{key}.when must be a table such as {{ optimizer = "sgd" }}, got {when!r}')
    if "choices" not in definition:
        return Parameter(key, table, _range(kind, key, definition), when=when)
    _refuse_unknown(key, definition, OF_CHOICES)
    if definition.get("type", "categorical") != "categorical":
        raise ValueError(f'{key}.type must be "categorical" with choices, got {definition["type"]!r}')
    choices = _choices(kind, key, definition["choices"])
    distribution = CategoricalDistribution(tuple(encode(choice) for choice in choices))
    return Parameter(key, table, distribution, choices, when)


def read_value(kind: type, key: str, raw: Any) -> Any:
    """The checked value of the field `key` of `kind`; raises ValueError with key, rule and value."""
    try:
        return check_value(kind, key, raw)
    except ValueError as error:
        raise ValueError(f"{key} {error}") from None


def with_checked_condition(
    parameter: Parameter,
    parameters: Mapping[str, Parameter],
    model: type,
    overridden: Container[str],
) -> Parameter:
    """The parameter with each value of its condition checked by the rule of the field that the condition names.

    The fields are those of the training and of `model`, the family's dataclass. A condition on an `overridden` field
    may name a value that is not among the field's choices: the parameter then never exists. Raises ValueError with
    key, rule and value.
    """
    when = {}
    kinds = {f.name: kind for kind in (model, TrainConfig) for f in fields(kind)}
    for name, raw in parameter.when.items():
        if name not in kinds:
            raise ValueError(f"{parameter.name}.when names unknown key {plain(name)}{nearest(name, kinds)}")
        try:
            value = check_value(kinds[name], name, raw)
        except ValueError as error:
            raise ValueError(f"{parameter.name}.when.{name} {error}") from None
        other = parameters.get(name)
        if other and not isinstance(other.distribution, CategoricalDistribution):
            raise ValueError(f"{parameter.name}.when may name only parameters with choices, got {name}")
        if other and name not in overridden and not other.contains(value):
            raise ValueError(f"{parameter.name}.when.{name} must be one of its choices, got {raw!r}")
        when[name] = value
    return Parameter(parameter.name, parameter.table, parameter.distribution, parameter.choices, when)


def check_conditions_on_precision(fixed: Mapping[str, Any], parameters: Mapping[str, Parameter]) -> None:
    """Raises ValueError for a condition on a precision that is left open: it would never hold."""
    for parameter in parameters.values():
        if "precision" in parameter.when and AUTO in (fixed.get("precision"), parameter.when["precision"]):
            raise ValueError(f'{parameter.name}.when must not name precision where precision is "{AUTO}"')


def _choices(kind: type, key: str, raw: Any) -> tuple[Any, ...]:
    if not isinstance(raw, list) or not raw:
        raise ValueError(f"{key}.choices must be a non-empty array, got {raw!r}")
    choices = tuple(read_value(kind, key, choice) for choice in raw)
    if key == "precision" and AUTO in choices:
        raise ValueError(f'precision.choices must name precisions, got "{AUTO}", which stands for one of the others')
    seen: set[tuple[type, Any]] = set()  # by type too: true is not 1
    for i, choice in enumerate(choices):
        if (type(choice), choice) in seen:
            raise ValueError(f"{key}.choices must differ, got {raw[i]!r} twice")
        seen.add((type(choice), choice))
    return choices


def _range(kind: type, key: str, definition: Mapping[str, Any]) -> BaseDistribution:
    _refuse_unknown(key, definition, OF_RANGES)
    for end in ("low", "high"):
        if end not in definition:
            raise ValueError(f"{key} must have choices, or low and high; got {definition!r}")
        if not isinstance(definition[end], int | float) or isinstance(definition[end], bool):
            raise ValueError(f"{key}.{end} must be a number, got {definition[end]!r}")
    low, high = (read_value(kind, key, definition[end]) for end in ("low", "high"))
    natural = "int" if isinstance(low, int) and isinstance(high, int) else "float"
    scale, log, step = definition.get("type", natural), definition.get("log", False), definition.get("step")
    if scale != natural:
        raise ValueError(f"{key}.type must be {natural!r}, got {scale!r}")
    if not low <= high:
        raise ValueError(f"{key}.low must be at most high, got {low!r} and {high!r}")
    if not isinstance(log, bool):
        raise ValueError(f"{key}.log must be true or false, got {log!r}")
    if log and (low <= 0 or step is not None):
        raise ValueError(f"{key}.log needs low above 0 and no step, got low {low!r}, step {step!r}")
    if step is not None and (
        isinstance(step, bool)
        or not isinstance(step, int if scale == "int" else int | float)
        or not 0 < step < math.inf
    ):
        raise ValueError(f"{key}.step must be a positive {scale}, got {step!r}")
    if step is not None:
        # In decimal arithmetic, as in Optuna. Optuna itself would only warn, and lower `high` to the last step.
        if (high - low) / step > MOST_STEPS:
            raise ValueError(f"{key}.step must make at most {MOST_STEPS:,} steps, got {step!r} for {low!r} to {high!r}")
        if (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)):
            raise ValueError(f"{key}.step must divide high - low, got {step!r} for {low!r} to {high!r}")
    if scale == "int":
        return IntDistribution(int(low), int(high), log=log, step=step or 1)
    return FloatDistribution(float(low), float(high), log=log, step=step)


def _refuse_unknown(key: str, definition: Mapping[str, Any], allowed: Sequence[str]) -> None:
    for word in definition:
        if word not in allowed:
            raise ValueError(f"unknown key {key}.{plain(word)}{nearest(word, allowed)}")
