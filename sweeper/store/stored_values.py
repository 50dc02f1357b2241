"""Checks values that were read from a store: it may be damaged, or made by somebody else."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sweeper.errors import shortened


def checked(kind: Any, value: Any, name: str) -> Any:
    """The JSON value as a `kind`: any type, also a dataclass, whose fields may hold dataclasses.

    Nothing is converted but arrays to tuples and objects to dataclasses. Raises ValueError with the value's name, the
    rule and the value, and RecursionError for one that is nested too deeply.
    """
    return from_text(kind, json.dumps(value), name)


def from_text(kind: Any, text: str | bytes, name: str) -> Any:
    """The JSON text as a `kind`, as in `checked`. Raises ValueError with the value's name, the rule and the value."""
    try:
        return _adapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise ValueError(shortened(broken_rule(error, name))) from error


def check_printable(value: Any) -> None:
    """Raises ValueError for a text that a terminal would obey: whoever can write to MLflow could have put it there."""
    if isinstance(value, str) and not value.replace("\n", "").isprintable():
        raise ValueError(f"texts must be printable, got {value!r}")
    if isinstance(value, Mapping):
        for one in (*value.keys(), *value.values()):
            check_printable(one)
    elif isinstance(value, list):
        for one in value:
            check_printable(one)


def broken_rule(error: ValidationError, name: str) -> str:
    """The first rule that a value breaks: the dotted name of its field, the rule, and the value."""
    first = error.errors(include_url=False)[0]
    where = ".".join([name, *(str(key) for key in first["loc"])])
    if first["type"] == "missing":
        return f"{where} is missing"
    rule = first["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("Value ")
    return f"{where} {rule}, got {shortened(repr(first['input']))}"


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
