"""A searched field of a space: its values, its condition, and how a trial draws it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from typing import Protocol as TypingProtocol

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


class Suggester(TypingProtocol):
    """The part of an Optuna trial that a space needs."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float: ...
    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int: ...
    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True)
class Parameter:
    """One searched field. It exists only where other fields have the values that `when` gives for them."""

    name: str
    table: str
    distribution: BaseDistribution
    # The field's value for each of Optuna's choices: Optuna stores an array as its canonical JSON text.
    choices: tuple[Any, ...] = ()
    when: Mapping[str, Any] = field(default_factory=dict)

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether the parameter exists, given the values of other fields (inactive parameters have none)."""
        return all(name in values and values[name] == wanted for name, wanted in self.when.items())

    def decode(self, stored: Any) -> Any:
        """Converts a value as Optuna stores it to the field's value."""
        if isinstance(self.distribution, CategoricalDistribution):
            return self.choices[self.distribution.choices.index(stored)]
        return stored

    def contains(self, value: Any) -> bool:
        """Whether a trial could draw this value of the field."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return any(same(value, choice) for choice in self.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if isinstance(distribution, IntDistribution) and not isinstance(value, int):
            return False
        return bool(distribution._contains(distribution.to_internal_repr(value)))

    @property
    def n_values(self) -> int | None:
        """The number of values; None if there are infinitely many."""
        distribution = self.distribution
        if isinstance(distribution, CategoricalDistribution):
            return len(distribution.choices)
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        if distribution.single():
            return 1
        if isinstance(distribution, IntDistribution):
            return (distribution.high - distribution.low) // distribution.step + 1
        return (
            None if distribution.step is None else round((distribution.high - distribution.low) / distribution.step) + 1
        )

    def grid(self) -> Iterator[Any]:
        """Yields all values of a finite parameter as Optuna stores them, lazily: there may be billions."""
        n_values = self.n_values
        assert n_values is not None, self.name
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                yield from choices
            case IntDistribution(low=low, step=step):
                yield from (low + i * step for i in range(n_values))
            case FloatDistribution(low=low, step=step):
                # In decimal arithmetic, as in Optuna: 0.1 + 2 * 0.1 is then 0.3, and no value exceeds `high`.
                first, apart = Decimal(str(low)), Decimal(str(step or 0))
                yield from (float(first + i * apart) for i in range(n_values))

    def suggest(self, trial: Suggester) -> Any:
        """Draws the parameter in `trial` and returns the field's value."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return self.decode(trial.suggest_categorical(self.name, choices))
            case IntDistribution(low=low, high=high, step=step, log=log):
                return trial.suggest_int(self.name, low, high, step=step, log=log)
            case FloatDistribution(low=low, high=high, step=step, log=log):
                return trial.suggest_float(self.name, low, high, step=step, log=log)
        raise AssertionError(self.distribution)


def encode(value: Any) -> Any:
    """A field's value as Optuna can store it: an array as its canonical JSON text."""
    return json.dumps(value, separators=(",", ":")) if isinstance(value, list | tuple) else value


def same(a: Any, b: Any) -> bool:
    """Equality of type and value, as for choices in a file: true is not 1, and 3 is not 3.0."""
    return type(a) is type(b) and bool(a == b)


def describe_parameter(parameter: Parameter) -> dict[str, Any]:
    """The parameter's definition, with the keys of a space file."""
    match parameter.distribution:
        case CategoricalDistribution():
            definition: dict[str, Any] = {"type": "categorical", "choices": list(parameter.choices)}
        case IntDistribution(low=low, high=high, step=step, log=log):
            definition = {"type": "int", "low": low, "high": high, "step": step, "log": log}
        case FloatDistribution(low=low, high=high, step=step, log=log):
            definition = {"type": "float", "low": low, "high": high, "step": step, "log": log}
    return definition | ({"when": dict(parameter.when)} if parameter.when else {})
