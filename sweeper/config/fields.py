"""Frozen dataclasses that check their own fields by a rule for each."""

from dataclasses import field, fields
from typing import Any

from sweeper.validators import Rule


def ruled(default: Any, rule: Rule) -> Any:
    """A dataclass field with this default, whose values `rule` checks and normalises."""
    return field(default=default, metadata={"rule": rule})


def check_value(kind: type, name: str, value: Any) -> Any:
    """The normalised form of `value` for the field `name` of the dataclass `kind` (arrays become tuples).

    Raises ValueError, giving the rule and the value, when the value is not allowed.
    """
    rule: Rule = next(f.metadata["rule"] for f in fields(kind) if f.name == name)
    return rule(value)


class Checked:
    """Checks every field of a dataclass on construction."""

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]
            try:
                value = f.metadata["rule"](getattr(self, f.name))
            except ValueError as error:
                raise ValueError(f"{f.name} {error}") from None
            object.__setattr__(self, f.name, value)
