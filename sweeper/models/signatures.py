"""The arguments of a user's network as fields of a space: named, checked and converted as its signature says."""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, make_dataclass
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from sweeper.config import RESERVED, CustomConfig, plain_value
from sweeper.config.fields import ruled
from sweeper.errors import UsageError, shortened
from sweeper.models.own_networks import OwnNetwork
from sweeper.validators import Rule, is_number

# What sweeper gives to each network: (channels, height, width), and the number of classes.
GIVEN = ("input_shape", "n_classes")
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Argument:
    """An own argument of a network; `shown` is its annotation as written, empty without one."""

    name: str
    default: Any  # MISSING if it has none
    annotation: Any
    shown: str

    def checked(self, raw: Any) -> Any:
        """The value of a space file, in the type that the annotation says. Raises ValueError with rule and value."""
        value = plain_value(raw)
        if self.default is not MISSING and not _is_plain(self.default):
            raise ValueError(f"must be left at its default, because a space file cannot hold such a value, got {raw!r}")
        # Without an annotation, the default says that numbers are floats: 0 and 1 may be the ends of a range.
        like = self.default if not self.shown and is_number(value) else self.converted(value)
        return _plain_like(value, like)

    def converted(self, value: Any) -> Any:
        """The value as the network takes it: an array as a list, say, where the annotation says list."""
        if not self.shown or (value is None and self.default is None):
            return value
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(self.annotation)
        except (PydanticUserError, TypeError, NameError) as error:
            raise ValueError(f"is annotated {self.shown}, which no space file can give, got {_shown(value)}") from error
        try:
            return adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            rule = error.errors(include_url=False)[0]["msg"].removeprefix("Input ").removeprefix("Value error, ")
            raise ValueError(f"must be {self.shown}, as annotated ({rule}), got {_shown(value)}") from error


def own_arguments(network: OwnNetwork) -> dict[str, Argument]:
    """The network's arguments besides those that sweeper gives, by name. Raises UsageError for a bad signature."""
    try:
        parameters = inspect.signature(network.call).parameters
    except (TypeError, ValueError) as error:
        raise UsageError(f"{network.name} has no signature that Python knows: {error}") from error
    known = {name: parameter for name, parameter in parameters.items() if parameter.kind in _BY_NAME}
    for name in GIVEN:
        if name not in known:
            raise UsageError(
                f"{network.name} must take the arguments input_shape (channels, height, width) and n_classes by name, "
                f"got {shortened(_written(parameters))}"
            )
    own = {name: parameter for name, parameter in known.items() if name not in GIVEN}
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and parameter.default is inspect.Parameter.empty:
            raise UsageError(f"{network.name} must take all arguments by name, got the positional-only {name}")
    for name in own:
        if name in RESERVED:
            raise UsageError(
                f"{network.name} takes an argument {name}, but a space file means another thing by {name}: rename it"
            )
    return {name: _argument(network, parameter) for name, parameter in own.items()}


def kind_of(network: OwnNetwork) -> type:
    """A dataclass with the fields that a space file may set for this network, each with its rule."""
    rules = {f.name: f.metadata["rule"] for f in fields(CustomConfig) if f.name != "arguments"}
    rules |= {
        argument.name: Rule(argument.shown or "a plain value", argument.checked)
        for argument in own_arguments(network).values()
    }
    return make_dataclass("OwnFields", [(name, Any, ruled(None, rule)) for name, rule in rules.items()], frozen=True)


def defaults(network: OwnNetwork) -> dict[str, Any]:
    """The default values that a space file could give as well; the network itself fills in the others.

    Raises UsageError for a default that the argument's own annotation forbids.
    """
    found = {}
    for name, argument in own_arguments(network).items():
        if _is_plain(argument.default):
            try:
                found[name] = argument.checked(argument.default)
            except ValueError as error:
                raise UsageError(f"the default of {network.name}'s argument {name} {error}") from error
    return found


def required(network: OwnNetwork) -> list[str]:
    """The names of the arguments without a default."""
    return [name for name, argument in own_arguments(network).items() if argument.default is MISSING]


def keywords(network: OwnNetwork, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call, converted as the signature says. Raises ValueError for a value that it does not take."""
    known = own_arguments(network)
    found = {}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{network.name} takes no argument {name}")
        try:
            found[name] = known[name].converted(value)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
    return found


def _argument(network: OwnNetwork, parameter: inspect.Parameter) -> Argument:
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        annotation, shown = Any, ""
    elif isinstance(annotation, str):  # from __future__ import annotations
        shown, annotation = annotation, _evaluated(parameter.name, annotation, network.call)
    else:
        shown = inspect.formatannotation(annotation)
    default = MISSING if parameter.default is inspect.Parameter.empty else parameter.default
    return Argument(parameter.name, default, annotation, shown)


def _evaluated(name: str, annotation: str, call: Callable[..., Any]) -> Any:
    function = inspect.unwrap(call.__init__ if inspect.isclass(call) else call)
    try:
        known = getattr(function, "__globals__", {})
        return get_type_hints(SimpleNamespace(__annotations__={name: annotation}), known, include_extras=True)[name]
    except Exception:  # a name that only type checkers import
        return _Unknown


class _Unknown:
    """Stands for an annotation that cannot be evaluated, and which no value satisfies."""


def _is_plain(default: Any) -> bool:
    try:
        plain_value(default)
    except ValueError:
        return False
    return True


def _plain_like(value: Any, converted: Any) -> Any:
    """The value, its whole numbers as floats where the converted value has floats: 1 and 1.0 are one value."""
    if isinstance(converted, float):
        return float(value)
    if isinstance(value, tuple) and isinstance(converted, list | tuple) and len(converted) == len(value):
        return tuple(_plain_like(one, other) for one, other in zip(value, converted, strict=True))
    return value


def _shown(value: Any) -> str:
    """The value with arrays as a space file writes them."""
    return shortened(repr(json.loads(json.dumps(value))))


def _written(parameters: Mapping[str, inspect.Parameter]) -> str:
    return f"({', '.join(map(str, parameters.values()))})"
