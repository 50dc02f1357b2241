"""A search space: its parameters and conditions, its named variants, and the configuration of a trial."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from sweeper.config import Configuration, CustomConfig, Protocol, TimmConfig, TrainConfig
from sweeper.config.training import AUTO
from sweeper.errors import UsageError, nearest, plain, shortened
from sweeper.models.precision import Resolution
from sweeper.spaces.parameter import Parameter, Suggester, describe_parameter, encode

# The fields that say from which weights a network starts.
_NAMES_OF_WEIGHTS = ("pretrained", "model_name", "pretrained_file")


def precision_follows(fixed: Mapping[str, Any]) -> bool:
    """Whether a space with these fixed values gives each network that it draws the precision of its rule.

    A study may have such a rule without that: for variants that say "auto" themselves.
    """
    return fixed.get("precision") == AUTO


@dataclass(frozen=True)
class Variant:
    """A named, complete configuration, with the metrics that somebody reported for it.

    `epochs` replaces the protocol's epochs when variants are compared without a search; None keeps the protocol's.
    """

    name: str
    configuration: Configuration
    reported: tuple[Mapping[str, Any], ...] = ()
    epochs: int | None = None


@dataclass(frozen=True)
class Space:
    """A checked search space. `parameters` are ordered so that conditions refer to earlier ones.

    `resolution` says what precision "auto" stands for, once that is known (`resolved`).
    """

    name: str
    title: str
    datasets: tuple[str, ...]
    protocol: Protocol
    fixed: Mapping[str, Any]
    parameters: Mapping[str, Parameter]
    variants: Mapping[str, Variant]
    text: str  # the file as written, for the record
    resolution: Resolution | None = None

    @cached_property
    def _unsearched(self) -> dict[str, Any]:
        """The fixed or default values of all fields that are not searched."""
        values = Configuration.from_values(self.fixed).values()
        return {name: value for name, value in values.items() if name not in self.parameters}

    @property
    def leaves_precision_open(self) -> bool:
        """Whether the precision of some configuration is "auto"."""
        configurations = [variant.configuration for variant in self.variants.values()]
        return precision_follows(self.fixed) or any(c.train.precision == AUTO for c in configurations)

    def resolved(self, resolution: Resolution) -> "Space":
        """The space whose variants, and configurations that trials draw, have a precision in the place of "auto"."""
        variants = {
            name: replace(variant, configuration=resolution(variant.configuration))
            for name, variant in self.variants.items()
        }
        return replace(self, variants=variants, resolution=resolution)

    def with_precision(self, fixed: str | None, variants: Mapping[str, str]) -> "Space":
        """The space with this precision in the place of "auto", and in variants with that given for them by name.

        None takes the field out of the fixed values.
        """

        def settled(variant: Variant) -> Variant:
            train = variant.configuration.train
            if train.precision != AUTO:
                return variant
            train = replace(train, precision=variants.get(variant.name, fixed or TrainConfig.precision))
            return replace(variant, configuration=replace(variant.configuration, train=train))

        values = {name: value for name, value in self.fixed.items() if name != "precision"}
        values |= {} if fixed is None else {"precision": fixed}
        return replace(self, fixed=values, variants={name: settled(v) for name, v in self.variants.items()})

    def in_own_precision(self, configuration: Configuration) -> Configuration:
        """The configuration with the precision that trials of the space give its network."""
        if self.resolution is None or not precision_follows(self.fixed):
            return configuration
        return self.resolution(replace(configuration, train=replace(configuration.train, precision=AUTO)))

    def configuration(self, values: Mapping[str, Any]) -> Configuration:
        """The configuration with these searched values, and its precision resolved as far as that is known."""
        found = Configuration.from_values({**self.fixed, **values})
        return found if self.resolution is None else self.resolution(found)

    @property
    def has_conditions(self) -> bool:
        """Whether a parameter is drawn only where others have certain values."""
        return any(parameter.when for parameter in self.parameters.values())

    @property
    def variant_epochs(self) -> dict[str, int]:
        """The epochs of the variants that set their own."""
        return {name: variant.epochs for name, variant in self.variants.items() if variant.epochs}

    def reported_on(self, dataset: str, variant: Variant) -> tuple[Mapping[str, Any], ...]:
        """The variant's reported metrics, which are of the space's data sets: none for another data set."""
        return variant.reported if dataset in self.datasets or not self.datasets else ()

    @property
    def model_names(self) -> list[str]:
        """The names of timm's networks in the variants and the choices."""
        models = [variant.configuration.model for variant in self.variants.values()]
        named = [model.model_name for model in models if isinstance(model, TimmConfig)]
        searched = self.parameters["model_name"].choices if "model_name" in self.parameters else ()
        return list(dict.fromkeys([*named, *searched]))

    @property
    def code_hashes(self) -> set[str]:
        """The SHA-256 of the code of each network of the user's in the space."""
        models = [variant.configuration.model for variant in self.variants.values()]
        return {model.code_sha256 for model in models if isinstance(model, CustomConfig)}

    def pretrained(self, variants: Collection[str], *, searched: bool) -> list[TimmConfig]:
        """The networks that start from pretrained weights: of these variants and, if `searched`, among the choices."""
        models = [self.variant(name).configuration.model for name in variants]
        if searched:
            models += [Configuration.from_values({**self.fixed, **point}).model for point in self._weight_choices()]
        return [model for model in models if isinstance(model, TimmConfig) and model.pretrained]

    def _weight_choices(self) -> Iterator[dict[str, Any]]:
        """The values that name weights, in every combination that a trial may draw."""
        axes = [parameter for name, parameter in self.parameters.items() if name in _NAMES_OF_WEIGHTS]
        for point in product(*([*parameter.choices, None] for parameter in axes)):
            drawn = {p.name: value for p, value in zip(axes, point, strict=True) if value is not None}
            known = self._unsearched | drawn
            # A condition on another searched field may hold, or not.
            if all((p.name in drawn) == p.is_active(known) or any(name not in known for name in p.when) for p in axes):
                yield drawn

    def variant(self, name: str) -> Variant:
        """The variant of this name; raises UsageError with the known names and a close match if there is none."""
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
        return self.configuration(values)

    def decode(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Converts parameters as Optuna stores them to field values."""
        return {name: self.parameters[name].decode(stored) for name, stored in params.items()}

    def point(self, configuration: Configuration) -> dict[str, Any] | None:
        """The parameters of this configuration, as Optuna stores them; None if it is outside the space."""
        wanted = configuration.values()
        values: dict[str, Any] = {}
        for parameter in self.parameters.values():
            if parameter.is_active(self._unsearched | values):
                if parameter.name not in wanted or not parameter.contains(wanted[parameter.name]):
                    return None
                values[parameter.name] = wanted[parameter.name]
        if self.configuration(values) != configuration:
            return None
        return {name: encode(value) for name, value in values.items()}

    def grid(self) -> Iterator[dict[str, Any]]:
        """Iterates lazily over the points of a finite space, as Optuna stores them.

        Raises ValueError, naming the parameter, if a parameter has infinitely many values.
        """
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
        """Plain data that distinguishes two spaces: the parameters, the fixed values and the variants."""
        return {
            "parameters": {name: describe_parameter(p) for name, p in self.parameters.items()},
            "fixed": dict(self.fixed),
            "variants": {name: v.configuration.values() for name, v in self.variants.items()},
        }
