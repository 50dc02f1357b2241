"""Writes a configuration as a space file, which can be read, searched and trained like any other."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sweeper.config import Configuration, Protocol


def fixed_space(configuration: Configuration, protocol: Protocol, title: str, comment: str = "") -> str:
    """The text of a space file whose only point, and whose baseline, is this configuration.

    It holds every field, so that another version's defaults do not change it. `comment`, of any lines, comes first.
    """
    parts = ["\n".join(f"# {line}" for line in comment.splitlines())] * bool(comment)
    parts.append(table("space", {"title": title}))
    parts.append(table("protocol", asdict(protocol)))
    parts.append(table("model", configuration.model.values()))
    parts.append(table("train", asdict(configuration.train)))
    parts.append("[variants.baseline]")
    return "\n\n".join(parts) + "\n"


def table(name: str, values: Mapping[str, Any]) -> str:
    """A table of a space file with these values, of which mappings become inline tables."""
    # None, for which TOML has no word, is the default of a user's network's argument.
    known = {key: value for key, value in values.items() if value is not None}
    return "\n".join([f"[{name}]", *(f"{key} = {_value(value)}" for key, value in known.items())])


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_value(item)}' for key, item in value.items())} }}"
    # JSON's strings, numbers, booleans and arrays are TOML's, too.
    return json.dumps(value, ensure_ascii=False)
