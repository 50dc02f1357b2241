"""The search space of a call: a name, a file, a parsed one, or the content of a file as plain data."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from sweeper.data.source import DataSource
from sweeper.errors import UsageError

if TYPE_CHECKING:
    from sweeper.spaces.space import Space

SpaceLike: TypeAlias = Union[str, os.PathLike[str], "Space", Mapping[str, Any]]
Overrides = Mapping[str, Any] | Sequence[str]
# The name of a space that has no file.
UNNAMED = "custom"


def space_of(
    space: SpaceLike | None, source: DataSource, overrides: Sequence[str], notify: Callable[[str], None]
) -> "Space":
    """The space with the overrides; without one, the default for the images. Raises UsageError."""
    from sweeper.spaces import choice, reader
    from sweeper.spaces.space import Space

    match space:
        case Space():
            return reader.parse(space.text, name=space.name, file=space.name, overrides=overrides)
        case Mapping():
            try:
                text = _toml(space)
            except ValueError as error:
                raise UsageError(f"{error} (space)") from error
            return reader.parse(text, name=UNNAMED, file="space", overrides=overrides)
    return choice.load(source, path_or_name(space), overrides, notify=notify)


def path_or_name(space: str | os.PathLike[str] | None) -> str | None:
    """The space as a command line names it; a path that begins with ~ is in the home."""
    return None if space is None else os.path.expanduser(os.fspath(space))


def override_words(overrides: Overrides) -> list[str]:
    """The overrides as KEY=VALUE; a text is taken as if it was typed on the command line. Raises UsageError."""
    if isinstance(overrides, str) or not isinstance(overrides, Mapping | Sequence):
        raise UsageError(f"set must be a dictionary, or a list of KEY=VALUE, got {overrides!r}")
    if not isinstance(overrides, Mapping):
        return list(overrides)
    try:
        return [f"{name}={value if isinstance(value, str) else _value(value)}" for name, value in overrides.items()]
    except ValueError as error:
        raise UsageError(f"{error} (set)") from error


def _toml(tables: Mapping[str, Any]) -> str:
    """The tables as TOML: [variants] holds tables itself, in all others tables are values."""
    parts = []
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise ValueError(f"{name} must be a dictionary, got {table!r}")
        inner = {f"{name}.{_key(key)}": each for key, each in table.items()} if name == "variants" else {name: table}
        for place, values in inner.items():
            if not isinstance(values, Mapping):
                raise ValueError(f"{place} must be a dictionary, got {values!r}")
            parts.append("\n".join([f"[{place}]", *(f"{_key(key)} = {_value(each)}" for key, each in values.items())]))
    return "\n\n".join(parts) + "\n"


def _value(value: Any) -> str:
    if type(value).__module__ == "numpy":
        value = value.tolist()
    match value:
        case Mapping():
            return "{" + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case str() | bool() | int() | float():
            # JSON's texts, numbers and booleans are TOML's, too, but for those that are not finite.
            return json.dumps(value, ensure_ascii=False, allow_nan=False)
    raise ValueError(f"a value must be a number, text, boolean, list or dictionary, got {value!r}")


def _key(name: Any) -> str:
    return json.dumps(str(name), ensure_ascii=False)
