"""The JSON Schema files of what commands print with --json."""

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.docs.markdown import ROOT

FOLDER = ROOT / "docs" / "reference" / "schemas"
SHARED = "common.json"
# Outputs of one command that have a shape of their own, each with the key that tells it.
SHAPES = {
    "search": {"dry_run": "search-dry-run"},
    "trials": {"trial": "trials-trial"},
    "sync": {"runs": "sync-rebuild"},
}


@cache
def validator(name: str) -> Draft202012Validator:
    """The validator of a schema file, by its name without the ending."""
    files = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")}
    known: Registry[Any] = Registry().with_resources(
        (file, Resource.from_contents(schema)) for file, schema in files.items()
    )
    return Draft202012Validator(files[f"{name}.json"], registry=known)


def schema_of(command: str, printed: Any) -> str:
    """The name of the schema of what a command, named by its words after "sweeper", has printed."""
    name = command.replace(" ", "-")
    return next((shape for key, shape in SHAPES.get(name, {}).items() if key in printed), name)


def mistakes(command: str, printed: Any) -> list[str]:
    """Where the output differs from its schema."""
    errors = validator(schema_of(command, printed)).iter_errors(printed)
    return [f"{error.json_path}: {error.message[:300]}" for error in errors]
