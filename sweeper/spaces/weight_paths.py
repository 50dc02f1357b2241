"""Paths of pretrained weights in a space: absolute from the start, so that they mean the same file in every command."""

import os
from pathlib import Path
from typing import Any

from sweeper.config import MODEL_FAMILIES, ModelConfig

KEY = "pretrained_file"


def absolute(value: Any, folder: Path) -> Any:
    """A path, or a parameter with paths to choose from, as seen from `folder`. Another value is left to be refused."""
    if isinstance(value, str) and value:
        return os.path.abspath(folder / value)
    if isinstance(value, dict) and isinstance(value.get("choices"), list):
        return {**value, "choices": [absolute(choice, folder) for choice in value["choices"]]}
    return value


def make_absolute(document: dict[str, Any], folder: Path) -> None:
    """Makes the paths in a space's tables absolute, in variants and in conditions, too."""
    train = document.get("train", {})
    for table in [*_networks(document), *([train] if are_meant(document, train) else [])]:
        if KEY in table:
            table[KEY] = absolute(table[KEY], folder)
        for definition in table.values():
            when = definition.get("when") if isinstance(definition, dict) else None
            if isinstance(when, dict) and KEY in when:
                when[KEY] = absolute(when[KEY], folder)


def imply_pretrained(document: dict[str, Any]) -> None:
    """Makes a table with a path mean pretrained networks, unless it says otherwise itself."""
    for table in _networks(document):
        if table.get(KEY, "") != "":
            table.setdefault("pretrained", True)


def are_meant(document: dict[str, Any], table: dict[str, Any]) -> bool:
    """Whether a table of the document means weights: a network of the user's may have an argument of this name."""
    family = document.get("model", {}).get("family", ModelConfig.family)
    return table.get("family", family) in tuple(MODEL_FAMILIES)


def _networks(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The tables that describe networks of sweeper's own families."""
    tables = [document.get("model", {}), *document.get("variants", {}).values()]
    return [table for table in tables if isinstance(table, dict) and are_meant(document, table)]
