"""Keyword arguments as the options of the command line: the same dataclasses, defaults and rules."""

import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import Field, fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from sweeper import quantities
from sweeper.config.fields import checked
from sweeper.data.own.label_table import path_of_table
from sweeper.data.source import DataAccess, DataSource
from sweeper.engine.options import DeviceOptions
from sweeper.errors import UsageError, nearest
from sweeper.images import class_names
from sweeper.images.class_map import class_map, read_map
from sweeper.images.options import DataOptions
from sweeper.images.value_range import ValueRange
from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions
from sweeper.validators import boolean, count, optional

Kind = TypeVar("Kind")
Function = TypeVar("Function", bound=Callable[..., Any])
# The fields of DataSource that are no arguments of their own.
NOT_ASKED = ("dataset", "options")


def options_of(kind: type[Kind], given: Mapping[str, Any]) -> Kind:
    """The dataclass of options with the given values of its fields; raises UsageError with name, rule and value."""
    values = {field.name: _converted(field.name, given[field.name]) for field in _asked(kind) if field.name in given}
    return checked(kind, **values)


def source_of(dataset: str | os.PathLike[str], given: Mapping[str, Any]) -> DataSource:
    """The data set and how it is read. Raises UsageError."""
    name, options = os.path.expanduser(os.fspath(dataset)), dict(given)
    if (labels := options.get("labels")) is not None:
        options["labels"] = path_of_table(name, Path(labels).expanduser())
    if isinstance(classes := options.get("map"), Mapping):
        table = {new: list(olds) if isinstance(olds, tuple) else olds for new, olds in classes.items()}
        options["map"] = class_map(table, "map")
    elif classes is not None:
        options["map"] = read_map(Path(classes).expanduser())
    else:
        options.pop("map", None)
    if options.get("fit") is None:
        options.pop("fit", None)
    elif not options.get("resize"):
        raise UsageError("fit needs resize")
    access = data_access_of(given)
    return DataSource(name, options_of(DataOptions, options), access.data_dir, access.offline, access.max_bytes)


def data_access_of(given: Mapping[str, Any]) -> DataAccess:
    """How to get the files of data. Raises UsageError.

    The folder defaults to that of the environment, as for a command.
    """
    folder = given.get("data_dir") or os.environ.get("SWEEPER_DATA_DIR")
    rules = {"offline": boolean, "max_bytes": optional(count(1))}
    found = {"offline": given.get("offline", False), "max_bytes": _converted("max_bytes", given.get("max_bytes"))}
    for name, rule in rules.items():
        try:
            rule(found[name])
        except ValueError as error:
            raise UsageError(f"{name} {error}") from error
    return DataAccess(Path(folder).expanduser() if folder else None, **found)


def device_of(given: Mapping[str, Any]) -> DeviceOptions:
    """Where trainings run; engine and cluster are by default those of the environment, as for a command.

    Raises UsageError.
    """
    engine, address = os.environ.get("SWEEPER_ENGINE") or DeviceOptions.engine, os.environ.get("RAY_ADDRESS") or None
    return options_of(DeviceOptions, {"engine": engine, "ray_address": address, **given})


def most_pixels(given: int | str | None) -> int | None:
    """The most pixels of an image, from a number or a text such as "108M". Raises UsageError."""
    return options_of(DataOptions, {"max_pixels": given}).max_pixels


def store_of(given: Mapping[str, Any]) -> Store:
    """The store; by default that of the environment, as for a command. Raises UsageError."""
    options = {name: given.get(name) for name in ("store", "storage", "tracking_uri")}
    root = options.pop("store") or os.environ.get("SWEEPER_STORE")
    return StoreOptions(Path(root).expanduser() if root else None, **options).resolve(os.environ)


def takes(*kinds: type) -> Callable[[Function], Function]:
    """Decorates a function whose `**options` are the fields of these dataclasses, as `help` and editors then show.

    A call with another name raises TypeError, as Python does, and names the nearest.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        names = [each.name for each in own]
        more = [
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
            for kind in kinds
            for field in _asked(kind)
        ]

        @wraps(function)
        def checked(*arguments: Any, **options: Any) -> Any:
            check_names(function.__name__, options, [*names, *(each.name for each in more)])
            return function(*arguments, **options)

        checked.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return decorate


def check_names(function: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raises TypeError for a keyword argument that the function does not take."""
    for name in given:
        if name not in known:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{nearest(name, known)}")


def _asked(kind: type) -> list[Field[Any]]:
    return [field for field in fields(kind) if kind is not DataSource or field.name not in NOT_ASKED]


def _converted(name: str, value: Any) -> Any:
    """The value in the form of the field; texts are read as on the command line."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        value = value.item()
    try:
        return _CONVERSIONS[name](value) if name in _CONVERSIONS else value
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name} {error}") from error


def _seconds(value: Any) -> Any:
    return quantities.seconds(value) if isinstance(value, str) else value


def _size(value: Any) -> Any:
    if value is None or value == "auto":
        return None
    return quantities.size(value) if isinstance(value, str) else value


def _pixels(value: Any) -> Any:
    return quantities.pixels(value) if isinstance(value, str) else value


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return class_names.parsed(value)
    return value if value is None else tuple(map(class_names.composed, value))


def _range(value: Any) -> Any:
    if value is None or isinstance(value, ValueRange):
        return value
    try:
        low, high = map(float, value)
    except (TypeError, ValueError):
        raise ValueError(f"must be two numbers, the lower first, got {value!r}") from None
    return ValueRange(low, high)


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "classes": lambda value: () if value is None else _names(value),
    "value_range": _range,
    "max_pixels": _pixels,
    "timeout": _seconds,
    "trial_timeout": _seconds,
    "worker_memory": _size,
    "max_bytes": _size,
    "jobs": lambda value: None if value == "auto" else value,
    "jobs_per_gpu": lambda value: 0 if value == "auto" else value,
}
