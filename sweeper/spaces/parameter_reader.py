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

from sweeper.config import ModelConfig, TrainConfig, check_value
from sweeper.errors import nearest, plain
from sweeper.spaces.parameter import Parameter, encode

# More steps than anybody searches: such a step is a slip of the pen.
MOST_STEPS = 10**6


def read_parameter(kind: type, table: str, key: str, words: Mapping[str, Any]) -> Parameter:
    """The field `key` of `kind` as a parameter, from the words that define it; its condition is not checked yet.

    Raises ValueError with key, rule and value.
    """
    words = dict(words)
    when = words.pop("when", {})
    if not isinstance(when, dict):
        raise ValueError(f'{key}.when must be a table such as {{ optimizer = "sgd" }}, got {when!r}')
    if "choices" not in words:
        return Parameter(key, table, _range(kind, key, words), when=when)
    _only(key, words, ("type", "choices"))
    if words.get("type", "categorical") != "categorical":
        raise ValueError(f'{key}.type must be "categorical" beside choices, got {words["type"]!r}')
    choices = _choices(kind, key, words["choices"])
    distribution = CategoricalDistribution(tuple(encode(choice) for choice in choices))
    return Parameter(key, table, distribution, choices, when)


def read_value(kind: type, key: str, raw: Any) -> Any:
    """The checked value of the field `key` of `kind`; ValueError with key, rule and value."""
    try:
        return check_value(kind, key, raw)
    except ValueError as error:
        raise ValueError(f"{key} {error}") from None


def with_checked_condition(
    parameter: Parameter,
    parameters: Mapping[str, Parameter],
    model: type[ModelConfig],
    overridden: Container[str],
) -> Parameter:
    """The parameter with its condition's values checked as those of the fields that they name.

    These are the training's or those of `model`, the family's. A condition on one of the `overridden` may name a value
    that is not among its choices: the parameter then never exists. Raises ValueError with key, rule and value.
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


def _choices(kind: type, key: str, raw: Any) -> tuple[Any, ...]:
    if not isinstance(raw, list) or not raw:
        raise ValueError(f"{key}.choices must be a non-empty array, got {raw!r}")
    choices = tuple(read_value(kind, key, choice) for choice in raw)
    seen: set[tuple[type, Any]] = set()  # by type too: true is not 1
    for i, choice in enumerate(choices):
        if (type(choice), choice) in seen:
            raise ValueError(f"{key}.choices must differ, got {raw[i]!r} twice")
        seen.add((type(choice), choice))
    return choices


def _range(kind: type, key: str, words: Mapping[str, Any]) -> BaseDistribution:
    _only(key, words, ("type", "low", "high", "log", "step"))
    for end in ("low", "high"):
        if end not in words:
            raise ValueError(f"{key} must have choices, or low and high; got {words!r}")
        if not isinstance(words[end], int | float) or isinstance(words[end], bool):
            raise ValueError(f"{key}.{end} must be a number, got {words[end]!r}")
    low, high = (read_value(kind, key, words[end]) for end in ("low", "high"))
    natural = "int" if isinstance(low, int) and isinstance(high, int) else "float"
    scale, log, step = words.get("type", natural), words.get("log", False), words.get("step")
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
        # In decimals, as Optuna counts, which would lower `high` to the last step with a mere warning.
        if (high - low) / step > MOST_STEPS:
            raise ValueError(f"{key}.step must make at most {MOST_STEPS:,} steps, got {step!r} for {low!r} to {high!r}")
        if (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)):
            raise ValueError(f"{key}.step must divide high - low, got {step!r} for {low!r} to {high!r}")
    if scale == "int":
        return IntDistribution(int(low), int(high), log=log, step=step or 1)
    return FloatDistribution(float(low), float(high), log=log, step=step)


def _only(key: str, words: Mapping[str, Any], allowed: Sequence[str]) -> None:
    for word in words:
        if word not in allowed:
            raise ValueError(f"unknown word {key}.{plain(word)}{nearest(word, allowed)}")
