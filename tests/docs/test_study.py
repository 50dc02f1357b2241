"""The reference against one real small study: its JSON, its runs in MLflow, and the files of its store."""

import json
from collections.abc import Iterator
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from sweeper.config import MODEL_FAMILIES, Protocol, TrainConfig
from sweeper.store.layout import FILES, FOLDERS
from sweeper.tracking.run_writer import STATUS
from tests.docs.reference.mlflow_map import ARTIFACTS, METRICS, MODEL_TAGS, PARAMS, RUNS, TAGS, TESTED
from tests.docs.schemas import mistakes, validator
from tests.docs.study import COMMANDS, STUDY, run_all

pytestmark = pytest.mark.slow

SCHEMAS = {
    "config.json": "config", "environment.json": "environment", "estimate.json": "estimate",
    "ablation.json": "ablate", "promotion.json": "promote",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def printed(folder: Path) -> list[tuple[str, str, Any]]:
    return run_all(folder)


@pytest.fixture(scope="module")
def client(folder: Path, printed: object) -> MlflowClient:
    address = f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}"
    return MlflowClient(address, registry_uri=address)


@pytest.fixture(scope="module")
def runs(client: MlflowClient) -> list[Run]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, run_view_type=ViewType.ALL, max_results=1000))


def artifacts_of(client: MlflowClient, run: Run, path: str | None = None) -> Iterator[str]:
    for found in client.list_artifacts(run.info.run_id, path):
        if found.is_dir:
            yield from artifacts_of(client, run, found.path)
        else:
            yield found.path


def test_every_output_is_valid_by_its_schema(printed):
    assert [line for _, line, _ in printed] == [line for _, line in COMMANDS]
    assert not {line: found for words, line, output in printed if (found := mistakes(words, output))}


def test_every_artifact_with_a_schema_is_valid(folder, printed):
    wrong, seen = {}, set()
    for path in (folder / "mlruns" / "artifacts").rglob("*.json"):
        name = SCHEMAS.get(path.name, "")
        if path.name == "result.json":
            name = "test-result" if "sweeper-ledger" in path.parts else "evaluate"
        if name:
            seen.add(name)
            found = json.loads(path.read_text(encoding="utf-8"))
            if errors := [f"{error.json_path}: {error.message[:200]}" for error in validator(name).iter_errors(found)]:
                wrong[str(path)] = errors
    assert not wrong
    assert seen == {*SCHEMAS.values(), "test-result", "evaluate"}


def test_every_run_is_of_a_listed_kind_and_status(runs):
    assert {run.data.tags["sweeper.kind"] for run in runs} == RUNS.keys()
    assert {run.info.status for run in runs} <= set(STATUS.values())


def test_every_tag_is_listed(runs):
    assert not {tag for run in runs for tag in run.data.tags} - TAGS.keys()


def test_every_parameter_is_listed(runs):
    kinds = (*MODEL_FAMILIES.values(), TrainConfig, Protocol)
    known = {f.name for kind in kinds for f in fields(kind)} | PARAMS.keys()
    found = {name for run in runs if run.data.tags["sweeper.kind"] != "data" for name in run.data.params}
    assert not found - known


def test_every_metric_is_listed(runs):
    patterns = [*METRICS, *TESTED, *(f"{role}_{name}" for role in ("champion", "challenger") for name in TESTED)]
    found = {name for run in runs if run.data.tags["sweeper.kind"] != "data" for name in run.data.metrics}
    assert not {name for name in found if not any(fnmatch(name, pattern) for pattern in patterns)}


def test_every_artifact_is_listed(client, runs):
    found = {name for run in runs for name in artifacts_of(client, run)}
    assert not {name for name in found if not any(fnmatch(name, pattern) for pattern in ARTIFACTS)}


def test_every_tag_of_the_registered_model_is_listed(client):
    model = client.get_registered_model(f"sweeper-{STUDY}")
    assert model.aliases.keys() == {"champion", "challenger"}
    tags = set(model.tags)
    for version in client.search_model_versions(f"name = 'sweeper-{STUDY}'"):
        tags |= version.tags.keys()
    assert tags == MODEL_TAGS.keys()


def test_every_file_of_the_store_is_listed(folder, printed):
    databases = {f"{name}{end}" for name in ("mlflow.db", "optuna.db") for end in ("-wal", "-shm", "-journal")}
    found = {path.name for path in (folder / "mlruns").iterdir()}
    assert not found - FOLDERS.keys() - FILES.keys() - databases
