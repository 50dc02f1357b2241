import copy
import json
import re
from dataclasses import fields
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator

from sweeper.analysis.explanation import ANALYSES
from sweeper.cli import main
from sweeper.config import Protocol
from sweeper.engine.execution import Execution
from sweeper.images.options import DataOptions
from sweeper.studies.pruners import PRUNERS
from sweeper.studies.samplers import SAMPLERS
from sweeper.studies.spec import StudySpec
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
# The analyses that have a look for each of two networks.
OF_EACH = ("mistakes", "probabilities")
LOOK = {
    "name": "confusions", "title": "a", "how_to_read": "b", "images_used": "c", "sentences": [], "table": None,
    "data": {"classes": ["d", "e"], "networks": [{"name": "f", "matrix": [[1, 0], [0, 1]]}]},
}  # fmt: skip
EXPLAINED = {"schema_version": 1, "model": "a", "run_id": None, "images": "b", "files": []}


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


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
    schema = read(path.name)
    Draft202012Validator.check_schema(schema)
    open_objects = []

    def look(part):
        if isinstance(part, dict):
            # An empty schema allows everything, as none does.
            unsaid = {} if part.get("type") == "object" else None
            if {} in (part.get("items"), part.get("additionalProperties", unsaid)):
                open_objects.append(part)
            for inner in part.values():
                look(inner)
        elif isinstance(part, list):
            for inner in part:
                look(inner)

    look(schema)
    assert not open_objects


def test_the_schema_of_an_environment_has_the_fields_of_how_trainings_run():
    schema = read("environment.json")["properties"]["execution"]
    assert [*schema["properties"]] == schema["required"] == [field.name for field in fields(Execution)]


def test_the_schema_of_a_report_has_the_keys_of_a_stored_spec_and_of_an_environment():
    provenance = read("report.json")["properties"]["provenance"]["properties"]
    spec, environment = provenance["spec"], provenance["environment"]
    stored = {field.name for kind in (StudySpec, DataOptions, Protocol) for field in fields(kind)} | {"mean", "std"}
    assert spec["properties"].keys() == stored - {"data_options", "protocol", "init_sha256", "freeze"}
    always = {"folds", "repeats", "mean", "std", "fold_scalings"}
    assert set(spec["required"]) == {*StudySpec._required(), *always}
    assert spec["properties"]["sampler"]["enum"] == list(SAMPLERS)
    assert spec["properties"]["pruner"]["enum"] == list(PRUNERS)
    of_machine = read("environment.json")["properties"]
    assert environment["properties"].keys() == of_machine.keys()
    assert environment["properties"]["execution"]["properties"].keys() == of_machine["execution"]["properties"].keys()


def test_every_look_has_a_shape_of_its_own():
    look = read(SHARED)["$defs"]["look"]
    names = [f"{name}{end}" for name in ANALYSES for end in ("", "_against") if not end or name in OF_EACH]
    for name in [*names, "test_confusions", "mistakes_1", "mistakes_2"]:
        assert re.search(look["properties"]["name"]["pattern"], name)
        assert len([one for one in look["allOf"] if re.search(one["if"]["properties"]["name"]["pattern"], name)]) == 1
        printed = LOOK | {"name": name, "data": {"new": 1}}
        assert [mistake for mistake in mistakes("explain", EXPLAINED | {"looks": [printed]}) if "unexpected" in mistake]
    assert not mistakes("explain", EXPLAINED | {"looks": [LOOK]})


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
