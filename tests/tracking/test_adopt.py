"""A store that was moved or copied, and is made a store of its own."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking._tracking_service import utils
from mlflow.utils.file_utils import local_file_uri_to_path

from sweeper.store.locks import locked
from sweeper.store.options import StoreOptions
from sweeper.tracking import adopt as adoption
from tests.promotion.conftest import workplace  # noqa: F401

PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def addresses(root):
    """The addresses of all files that MLflow's database in this store names, but for its own empty experiment."""
    with closing(sqlite3.connect(root / "mlflow.db")) as connection:
        found = [row[0] for table, column in PLACES for row in connection.execute(f"SELECT {column} FROM {table}")]
    return [address for address in found if "artifacts" in address]


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks"}


@pytest.fixture(scope="module")
def original(workplace):  # noqa: F811
    """A store with a study that was promoted and tested."""
    workplace.search("kept", "--trials", 2, "--epochs", 1)
    workplace.promoted("kept", "--top", 1, "--seeds", 1)
    return workplace


@pytest.fixture
def copy(original, tmp_path):
    # Signs that addresses and SQL treat in their own ways.
    return Path(shutil.copytree(original.store, tmp_path / "a copy_of 'it'"))


def run(original, copy, *words, code=0):
    return original.run(*words, "--store", copy, code=code)


def test_copy_becomes_a_store_of_its_own_and_its_original_stays_as_it_is(original, copy):
    before = content(original.store)
    for line in (["status"], ["trials"], ["studies"], ["ledger"]):
        assert "kept" in run(original, copy, *line).stdout or line == ["ledger"]
    for line in (["delete", "kept", "--yes"], ["ui"], ["promote", "kept", "--data-dir", original.folder / "data"]):
        refused = run(original, copy, *line, code=1).stderr.splitlines()[-1]
        assert f"was moved or copied: the artifacts of its runs belong to {original.store}" in refused
        assert "sweeper store adopt --store" in refused
    adopted = run(original, copy, "store", "adopt").stdout
    assert str(original.store) in adopted
    assert str(copy) in adopted
    assert addresses(copy)
    for address in addresses(copy):
        assert Path(local_file_uri_to_path(address)).is_relative_to(copy / "artifacts")
    utils._artifact_repos_cache.clear()  # kept by run, for one process: in no other would a run move
    searched = (
        f"search tiny --space {original.space} --study kept --trials 3 --epochs 1 --pruner none --keep 0 --jobs 1"
    )
    run(original, copy, *searched.split(), "--seed", 2, "--data-dir", original.folder / "data", "-q")
    run(original, copy, "delete", "kept", "--yes")
    assert content(original.store) == before
    assert "Nothing to adopt" in run(original, copy, "store", "adopt").stdout
    assert "Nothing to adopt" in run(original, original.store, "store", "adopt").stdout


def test_champion_of_a_copy_is_its_own(original, copy):
    run(original, copy, "store", "adopt")
    store = StoreOptions(copy).resolve({})
    client = mlflow.MlflowClient(store.tracking_uri, store.tracking_uri)
    [model] = client.search_registered_models()
    place = client.get_model_version_download_uri(model.name, "1")
    assert Path(local_file_uri_to_path(place)).is_relative_to(copy)
    assert (Path(local_file_uri_to_path(place)) / "MLmodel").exists()


def test_interrupted_adoption_changes_nothing_and_is_repeated(original, copy, monkeypatch):
    before = addresses(copy)

    class Killed(BaseException):
        pass

    def kill(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(adoption, "_check", kill)
        with pytest.raises(Killed):
            adoption.adopt(StoreOptions(copy).resolve({}))
    assert addresses(copy) == before
    assert json.loads(run(original, copy, "store", "adopt", "--json").stdout)["n_changed"] == len(before)


def test_store_is_not_adopted_while_a_study_runs_in_it(original, copy):
    before = addresses(copy)
    with locked(copy / "locks" / "kept.lock", wait=False):
        assert "kept is being run by process" in run(original, copy, "store", "adopt", code=1).stderr
    assert addresses(copy) == before


def test_run_that_lies_in_neither_place_is_not_adopted(original, copy, tmp_path):
    with closing(sqlite3.connect(copy / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE runs SET artifact_uri=? WHERE rowid=1", [tmp_path.as_uri()])
    before = addresses(copy)
    assert "which is not in the store's earlier place" in run(original, copy, "store", "adopt", code=1).stderr
    assert addresses(copy) == before


def test_runs_of_other_programs_stay_where_they_are(original, copy):
    store = StoreOptions(copy).resolve({})
    client = mlflow.MlflowClient(store.tracking_uri, store.tracking_uri)
    theirs = client.create_experiment("theirs", artifact_location="file:///srv/artifacts/theirs")
    client.create_run(theirs)
    run(original, copy, "store", "adopt")
    assert client.get_experiment(theirs).artifact_location == "file:///srv/artifacts/theirs"


def test_store_without_databases_of_its_own_needs_no_adoption(original, tmp_path):
    elsewhere = ["--tracking-uri", "http://127.0.0.1:9", "--storage", "postgresql://127.0.0.1:9/x"]
    refused = original.run("store", "adopt", *elsewhere, "--store", tmp_path, code=2)
    assert "neither studies nor runs are in the store" in refused.stderr
