"""Writes a configuration as a space file, which can be read, searched and trained like any other."""

import json
from dataclasses import asdict, fields
from typing import Any

from sweeper.config import Configuration, Protocol


def fixed_space(configuration: Configuration, protocol: Protocol, title: str, comment: str = "") -> str:
    """The text of a space file whose only point, and whose baseline, is this configuration.

    It holds every field, so that another version's defaults do not change it. `comment`, of any lines, comes first.
    """
    parts = ["\n".join(f"# {line}" for line in comment.splitlines())] * bool(comment)
    parts.append(_table("space", {"title": title}))
    parts.append(_table("protocol", asdict(protocol)))
    for table, config in (("model", configuration.model), ("train", configuration.train)):
        parts.append(_table(table, {field.name: getattr(config, field.name) for field in fields(config)}))
    parts.append("[variants.baseline]")
    return "\n\n".join(parts) + "\n"


def _table(name: str, values: dict[str, Any]) -> str:
    # JSON's strings, numbers, booleans and arrays are TOML's, too.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *lines])
