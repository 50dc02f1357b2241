"""Frozen dataclasses that check their own fields by a rule for each."""

from collections.abc import Callable
from dataclasses import field, fields
from functools import cache
from typing import Any, TypeVar

from sweeper.errors import UsageError
from sweeper.validators import Rule

Options = TypeVar("Options")


def ruled(default: Any, rule: Rule, meaning: str = "", unit: str = "") -> Any:
    """A dataclass field with this default, whose values `rule` checks and normalises.

    Its meaning, in one line, and its unit are for the reference. Options have neither: their command's help says both.
    """
    return field(default=default, metadata={"rule": rule, "meaning": meaning, "unit": unit})


def check_value(kind: type, name: str, value: Any) -> Any:
    """The normalised form of `value` for the field `name` of the dataclass `kind` (arrays become tuples).

    Raises ValueError, giving the rule and the value, when the value is not allowed.
    """
    rule: Rule = next(f.metadata["rule"] for f in fields(kind) if f.name == name)
    return rule(value)


def checked(kind: Callable[..., Options], *values: Any, **named: Any) -> Options:
    """The options that a person gave, as an object of `kind`. Raises UsageError with name, rule and value."""
    try:
        return kind(*values, **named)
    except ValueError as error:
        raise UsageError(str(error)) from error


class Checked:
    """Checks every field of a dataclass on construction."""

    def __post_init__(self) -> None:
        for name, rule in _rules(type(self)):  # type: ignore[arg-type]
            given = getattr(self, name)
            try:
                value = rule(given)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
            if value is not given:
                object.__setattr__(self, name, value)


@cache  # a list of trials makes thousands of objects
def _rules(kind: type) -> list[tuple[str, Rule]]:
    """The rule of each field."""
    return [(f.name, f.metadata["rule"]) for f in fields(kind)]
