"""A search space: its parameters and conditions, its named variants, and the configuration of a trial."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any
from typing import Protocol as TypingProtocol

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweeper.config import Configuration, Protocol, TimmConfig
from sweeper.errors import UsageError, nearest, plain, shortened


class Suggester(TypingProtocol):
    """The part of an Optuna trial that a space needs."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float: ...
    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int: ...
    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True)
class Parameter:
    """One searched field. `when` names the choices of other parameters under which it exists."""

    name: str
    table: str
    distribution: BaseDistribution
    # What each choice stands for: Optuna stores arrays as their canonical JSON text.
    choices: tuple[Any, ...] = ()
    when: Mapping[str, Any] = field(default_factory=dict)

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether the parameter exists beside these values (those of inactive parameters are missing)."""
        return all(name in values and values[name] == wanted for name, wanted in self.when.items())

    def decode(self, stored: Any) -> Any:
        """The field's value for a value as Optuna stores it."""
        if isinstance(self.distribution, CategoricalDistribution):
            return self.choices[self.distribution.choices.index(stored)]
        return stored

    def contains(self, value: Any) -> bool:
        """Whether the field's value is one that a trial could be given."""
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
        """How many values there are; None if infinitely many."""
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
        """All values of a finite parameter as Optuna stores them, one by one: there may be billions."""
        n_values = self.n_values
        assert n_values is not None, self.name
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                yield from choices
            case IntDistribution(low=low, step=step):
                yield from (low + i * step for i in range(n_values))
            case FloatDistribution(low=low, step=step):
                # In decimals, as Optuna counts: 0.1 + 2 * 0.1 is 0.3, and nothing lies above `high`.
                first, apart = Decimal(str(low)), Decimal(str(step or 0))
                yield from (float(first + i * apart) for i in range(n_values))

    def suggest(self, trial: Suggester) -> Any:
        """Draws the parameter in `trial`; gives the field's value."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return self.decode(trial.suggest_categorical(self.name, choices))
            case IntDistribution(low=low, high=high, step=step, log=log):
                return trial.suggest_int(self.name, low, high, step=step, log=log)
            case FloatDistribution(low=low, high=high, step=step, log=log):
                return trial.suggest_float(self.name, low, high, step=step, log=log)
        raise AssertionError(self.distribution)


@dataclass(frozen=True)
class Variant:
    """A named, whole configuration, with the figures somebody reported for it.

    `epochs` are its own, for where it is compared and nothing is searched; None are the protocol's.
    """

    name: str
    configuration: Configuration
    reported: tuple[Mapping[str, Any], ...] = ()
    epochs: int | None = None


@dataclass(frozen=True)
class Space:
    """A checked search space. `parameters` are in an order in which conditions refer to earlier ones."""

    name: str
    title: str
    datasets: tuple[str, ...]
    protocol: Protocol
    fixed: Mapping[str, Any]
    parameters: Mapping[str, Parameter]
    variants: Mapping[str, Variant]
    text: str  # the file as written, for the record

    @cached_property
    def _unsearched(self) -> dict[str, Any]:
        """Every field that no parameter decides, with its fixed or default value."""
        values = Configuration.from_values(self.fixed).values()
        return {name: value for name, value in values.items() if name not in self.parameters}

    @property
    def has_conditions(self) -> bool:
        return any(parameter.when for parameter in self.parameters.values())

    @property
    def model_names(self) -> list[str]:
        """The networks of timm that the variants and choices name."""
        models = [variant.configuration.model for variant in self.variants.values()]
        named = [model.model_name for model in models if isinstance(model, TimmConfig)]
        searched = self.parameters["model_name"].choices if "model_name" in self.parameters else ()
        return list(dict.fromkeys([*named, *searched]))

    def variant(self, name: str) -> Variant:
        """The variant of this name; UsageError with the names that there are (and a close match) if there is none."""
        if name not in self.variants:
            known = ", ".join(map(plain, self.variants))
            raise UsageError(
                f"no variant {shortened(repr(name))} in {plain(self.name)}, which has {shortened(known)}"
                f"{nearest(name, self.variants)}"
            )
        return self.variants[name]

    def suggest(self, trial: Suggester) -> Configuration:
        """Draws a configuration, parameter by parameter."""
        values: dict[str, Any] = {}
        for parameter in self.parameters.values():
            if parameter.is_active(self._unsearched | values):
                values[parameter.name] = parameter.suggest(trial)
        return Configuration.from_values({**self.fixed, **values})

    def decode(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Field values for parameters as Optuna stores them."""
        return {name: self.parameters[name].decode(stored) for name, stored in params.items()}

    def point(self, configuration: Configuration) -> dict[str, Any] | None:
        """The parameters, as Optuna stores them, that give this configuration; None where none do."""
        wanted = configuration.values()
        values: dict[str, Any] = {}
        for parameter in self.parameters.values():
            if parameter.is_active(self._unsearched | values):
                if parameter.name not in wanted or not parameter.contains(wanted[parameter.name]):
                    return None
                values[parameter.name] = wanted[parameter.name]
        if Configuration.from_values({**self.fixed, **values}) != configuration:
            return None
        return {name: encode(value) for name, value in values.items()}

    def grid(self) -> Iterator[dict[str, Any]]:
        """Every point of a finite space, lazily, as Optuna stores it; ValueError, naming the parameter, if infinite."""
        for parameter in self.parameters.values():
            if parameter.n_values is None:
                raise ValueError(f"{parameter.name} has infinitely many values; give it a step or choices")
        return self._grid_below(list(self.parameters.values()), {})

    def _grid_below(self, parameters: list[Parameter], params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if not parameters:
            yield params
            return
        parameter, *rest = parameters
        if not parameter.is_active(self._unsearched | self.decode(params)):
            yield from self._grid_below(rest, params)
            return
        for stored in parameter.grid():
            yield from self._grid_below(rest, {**params, parameter.name: stored})

    def describe(self) -> dict[str, Any]:
        """Plain data that tells two spaces apart: what is searched, what is fixed, and the variants."""
        return {
            "parameters": {name: describe_parameter(p) for name, p in self.parameters.items()},
            "fixed": dict(self.fixed),
            "variants": {name: v.configuration.values() for name, v in self.variants.items()},
        }


def encode(value: Any) -> Any:
    """A field's value as Optuna can store it: an array as its canonical JSON text."""
    return json.dumps(value, separators=(",", ":")) if isinstance(value, list | tuple) else value


def same(a: Any, b: Any) -> bool:
    """Equality in which true is not 1 and 3 is not 3.0, as for choices in a file."""
    return type(a) is type(b) and bool(a == b)


def describe_parameter(parameter: Parameter) -> dict[str, Any]:
    """A parameter in the words of a space file."""
    match parameter.distribution:
        case CategoricalDistribution():
            words: dict[str, Any] = {"type": "categorical", "choices": list(parameter.choices)}
        case IntDistribution(low=low, high=high, step=step, log=log):
            words = {"type": "int", "low": low, "high": high, "step": step, "log": log}
        case FloatDistribution(low=low, high=high, step=step, log=log):
            words = {"type": "float", "low": low, "high": high, "step": step, "log": log}
    return words | ({"when": dict(parameter.when)} if parameter.when else {})
