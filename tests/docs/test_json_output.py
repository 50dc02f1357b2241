import copy
import json
from dataclasses import fields

import click
import pytest
from jsonschema import Draft202012Validator

from sweeper.cli import main
from sweeper.engine.execution import Execution
from tests.cli.test_help import commands
from tests.docs.schemas import FOLDER, SHAPES, SHARED, mistakes
from tests.docs.study import COMMANDS

# Files that are no command's output: what others share, and artifacts.
OTHERS = {SHARED, "config.json", "environment.json", "estimate.json", "test-result.json"}
FRONTIER = {
    "schema_version": 1, "study_name": "a", "metric": "loss", "cost": "parameters", "n_images": 5, "noise": 0.1,
    "points": [{"trial": 0, "name": "0", "value": 0.5, "n_parameters": 9, "n_multiply_adds": 9, "milliseconds": None,
                "may_win": True, "on_front": True}],
}  # fmt: skip


def with_json(name: str, command: click.Command) -> bool:
    return any("--json" in option.opts for option in command.params)


def test_every_command_with_json_has_a_schema_and_a_place_in_the_study():
    named = {" ".join(path) for path, command in commands(main) if with_json(" ".join(path), command)}
    shapes = {shape for by_key in SHAPES.values() for shape in by_key.values()}
    files = {path.name for path in FOLDER.glob("*.json")}
    assert files == {f"{name.replace(' ', '-')}.json" for name in named | shapes} | OTHERS
    assert named == {words for words, _ in COMMANDS}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_every_schema_is_a_schema_that_allows_no_other_keys(path):
    schema = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    open_objects = []

    def look(part):
        if isinstance(part, dict):
            if part.get("type") == "object" and "additionalProperties" not in part:
                open_objects.append(part)
            for inner in part.values():
                look(inner)
        elif isinstance(part, list):
            for inner in part:
                look(inner)

    look(schema)
    assert not open_objects


def test_the_schema_of_an_environment_has_the_fields_of_how_trainings_run():
    schema = json.loads((FOLDER / "environment.json").read_text(encoding="utf-8"))["properties"]["execution"]
    assert [*schema["properties"]] == schema["required"] == [field.name for field in fields(Execution)]


def test_a_good_output_has_no_mistakes():
    assert not mistakes("frontier", FRONTIER)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found.update(new=1), "'new' was unexpected"),
        (lambda found: found["points"][0].update(new=1), "'new' was unexpected"),
        (lambda found: found["points"][0].pop("name"), "'name' is a required property"),
        (lambda found: found["points"][0].update(value="high"), "'high' is not of type 'number'"),
        (lambda found: found.update(schema_version=2), "2 is not one of [1]"),
    ],
)
def test_a_changed_output_is_found(change, said):
    changed = copy.deepcopy(FRONTIER)
    change(changed)
    assert [mistake for mistake in mistakes("frontier", changed) if said in mistake]
