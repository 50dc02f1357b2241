"""A store whose MLflow database was lost, as the commands meet it."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import mlflow
import pytest
from mlflow.store.model_registry import sqlalchemy_store as model_registry
from mlflow.store.tracking import sqlalchemy_store as tracking
from mlflow.tracking._model_registry.registry import ModelRegistryStoreRegistry
from mlflow.tracking._tracking_service.registry import TrackingStoreRegistry

from sweeper.store import databases
from sweeper.store.options import StoreOptions
from sweeper.studies import lost_runs
from sweeper.studies.ownership import claimed
from sweeper.studies.queries import find_study
from sweeper.tracking.outbox import SCHEMA, Outbox, dropped_in
from tests.promotion.conftest import workplace  # noqa: F401


def open_anew():
    """Makes MLflow open its databases anew, as another process would: it keeps them open for the process's life."""
    for store in (tracking.SqlAlchemyStore, model_registry.SqlAlchemyStore):
        for engine in store._engine_map.values():
            engine.dispose()
        store._engine_map.clear()
    for registry in (TrackingStoreRegistry, ModelRegistryStoreRegistry):
        registry._get_store_with_resolved_uri.cache_clear()


@pytest.fixture(scope="module")
def searched(workplace, tmp_path_factory):  # noqa: F811
    """A store with a study of three trials, and a copy of its files."""
    workplace.search("kept", "--keep", 1)
    kept = tmp_path_factory.mktemp("kept") / "store"
    shutil.copytree(workplace.store, kept)
    return workplace, kept


@pytest.fixture
def place(searched):
    """The workplace, with the store as the search has left it."""
    workplace, kept = searched  # noqa: F811
    shutil.rmtree(workplace.store)
    shutil.copytree(kept, workplace.store)
    open_anew()
    return workplace


def lose_database(place):
    (place.store / "mlflow.db").unlink()
    open_anew()


def client_of(place):
    uri = f"sqlite:///{place.store}/mlflow.db"
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def runs_of(place):
    """The runs of the data set's experiment, by name."""
    client = client_of(place)
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: run for run in runs}


def no_file(path):
    path.unlink()


def no_bytes(path):
    path.write_bytes(b"")


def no_tables(path):
    path.unlink()
    sqlite3.connect(path).close()


def no_runs(path):
    with sqlite3.connect(path) as database:
        for table in ("runs", "metrics", "latest_metrics", "params", "tags"):
            database.execute(f"DELETE FROM {table}")
    database.close()


@pytest.mark.parametrize("lose", [no_file, no_bytes, no_tables, no_runs])
def test_lost_database_is_told_of_by_every_command_and_none_makes_a_new_one(place, lose):
    path = place.store / "mlflow.db"
    lose(path)
    before = path.read_bytes() if path.exists() else None
    told = f"{path} does not have the runs of 3 trials of study kept: put the file back from a backup, or `sweeper sync"
    search = ["search", "tiny", "--space", place.space, "--trials", 3, "--jobs", 1, *place.places]
    for line in (
        [*search, "--study", "kept"],
        [*search, "--study", "other"],
        ["promote", "kept", *place.places],
        ["train", "tiny", "--space", place.space, "--variant", "baseline", *place.places],
        ["sync", "--store", place.store],
    ):
        assert told in place.run(*line, code=1).stderr.splitlines()[-1], line
    assert told in place.run("status", "kept", "--store", place.store).stdout
    [check] = [
        check
        for check in json.loads(place.run("doctor", "--store", place.store, "--json", code=1).stdout)["checks"]
        if check["name"] == "mlflow"
    ]
    assert check["status"] == "error"
    assert told in check["found"]
    assert (path.read_bytes() if path.exists() else None) == before


def test_whole_database_is_not_taken_for_a_lost_one(place):
    assert lost_runs.lost_runs(StoreOptions(place.store).resolve({})) == {}
    assert place.run("sync", "kept", "--rebuild", "--store", place.store).stdout == (
        "kept: MLflow lacks none of its runs.\n"
    )


def test_run_in_mlflows_trash_is_not_lost(place):
    client = client_of(place)
    for run in runs_of(place).values():
        client.delete_run(run.info.run_id)
    assert lost_runs.lost_runs(StoreOptions(place.store).resolve({})) == {}


def test_runs_on_a_server_are_not_missed_in_the_store(place):
    store = StoreOptions(place.store).resolve({})
    find_study(store, "kept").set_user_attr(lost_runs.TRACKING, "http://127.0.0.1:1")
    (place.store / "mlflow.db").unlink()
    assert lost_runs.lost_runs(store) == {}


@pytest.mark.parametrize(("artifacts", "n"), [(True, 3), (False, None)])
def test_older_study_had_its_runs_in_the_store_if_their_folders_are_there(place, artifacts, n):
    store = StoreOptions(place.store).resolve({})
    study = find_study(store, "kept")
    study._storage.set_study_user_attr(study._study_id, lost_runs.TRACKING, None)
    (place.store / "mlflow.db").unlink()
    if not artifacts:
        shutil.rmtree(store.artifacts)
    assert lost_runs.lost_runs(store).get("kept") == n


def test_runs_are_made_again_from_the_studys_records_with_their_old_artifacts(place):
    before = runs_of(place)
    old_client = client_of(place)
    artifacts = {name: {f.path for f in old_client.list_artifacts(run.info.run_id)} for name, run in before.items()}
    scores = {
        name: old_client.get_metric_history(run.info.run_id, "validation_accuracy") for name, run in before.items()
    }
    lose_database(place)
    shown = place.run("sync", "kept", "--rebuild", "--store", place.store).stdout
    assert shown.startswith("kept: 3 runs made again, 3 with the old artifacts\nLost are the times, ")

    after, client = runs_of(place), client_of(place)
    assert set(after) == set(before)
    for name, run in after.items():
        old = before[name]
        assert run.info.status == old.info.status
        assert run.data.tags["sweeper.state"] == old.data.tags["sweeper.state"]
        if name == "kept":
            assert run.data.metrics == pytest.approx(old.data.metrics)
            continue
        assert run.data.params == old.data.params
        assert {f.path for f in client.list_artifacts(run.info.run_id)} == artifacts[name]
        history = client.get_metric_history(run.info.run_id, "validation_accuracy")
        assert [metric.step for metric in history] == [1, 2]
        assert [m.value for m in history] == pytest.approx([m.value for m in scores[name]], abs=1e-4)
        assert set(run.data.metrics) <= set(old.data.metrics)
        assert "n_parameters" in run.data.metrics
        assert {"sweeper.best_validation_accuracy", "sweeper.seconds"} <= set(run.data.tags)

    shown = json.loads(place.run("trials", "kept", "--store", place.store, "--json").stdout)["trials"]
    assert {trial["run_id"] for trial in shown} == {run.info.run_id for name, run in after.items() if name != "kept"}


def test_study_whose_runs_were_deleted_for_good_goes_on_without_them_if_told_to(place):
    old = runs_of(place)
    backend = tracking.SqlAlchemyStore(f"sqlite:///{place.store}/mlflow.db", str(place.store / "artifacts"))
    for run in old.values():  # what `mlflow gc` does
        backend.delete_run(run.info.run_id)
        backend._hard_delete_run(run.info.run_id)
    advised = f"`sweeper sync kept --drop-deleted --store {place.store}` goes on without them"
    assert advised in place.run("promote", "kept", *place.places, code=1).stderr
    said = place.run("sync", "kept", "--drop-deleted", "--store", place.store).stderr
    assert "3 trials of kept have lost their runs, which were deleted in MLflow for good; " in said
    assert place.run("sync", "--store", place.store).stdout == "Nothing waits for MLflow.\n"
    place.search("kept", "--trials", 4, "--keep", 1)
    names = set(runs_of(place))
    assert len(names) == 2
    assert not names & (set(old) - {"kept"})


@pytest.mark.parametrize("lose", [no_file, no_bytes, no_tables])
def test_runs_of_a_database_that_is_gone_cannot_be_given_up(place, lose):
    lose(place.store / "mlflow.db")
    refused = place.run("sync", "kept", "--drop-deleted", "--store", place.store, code=1).stderr
    assert "--rebuild" in refused
    assert "--drop-deleted" not in refused
    assert os.listdir(StoreOptions(place.store).resolve({}).outboxes) == []


def test_search_goes_on_after_the_rebuild_without_second_runs(place):
    lose_database(place)
    place.run("sync", "kept", "--rebuild", "--store", place.store)
    place.search("kept", "--trials", 4, "--keep", 1)
    assert len(runs_of(place)) == 5
    assert all(run.info.status == "FINISHED" for run in runs_of(place).values())


def assert_late_text_follows_a_rebuild(place):
    lose_database(place)
    place.run("sync", "kept", "--rebuild", "--store", place.store)
    run = next(run for name, run in runs_of(place).items() if name.startswith("trial 1"))
    assert "late.txt" in {file.path for file in client_of(place).list_artifacts(run.info.run_id)}
    assert os.listdir(StoreOptions(place.store).resolve({}).outboxes) == []


def test_writes_that_waited_for_the_lost_runs_follow_the_rebuild(place):
    store = StoreOptions(place.store).resolve({})
    study = find_study(store, "kept")
    outbox = Outbox(store.outbox("kept", study.user_attrs["study_id"], "study"))
    outbox.put(1, "texts", {"texts": {"late.txt": "late"}})
    outbox.close()
    assert_late_text_follows_a_rebuild(place)


def test_writes_of_a_killed_search_follow_the_rebuild(place):
    store = StoreOptions(place.store).resolve({})
    path = store.outbox("kept", find_study(store, "kept").user_attrs["study_id"], "study")
    killed = (
        "import os, sys; from pathlib import Path; from sweeper.tracking.outbox import Outbox\n"
        "Outbox(Path(sys.argv[1])).put(1, 'texts', {'texts': {'late.txt': 'late'}})\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", killed, path], check=True)
    assert path.with_name(f"{path.name}-wal").stat().st_size
    assert_late_text_follows_a_rebuild(place)


def test_rebuild_that_finds_an_empty_outbox_makes_the_runs(place):
    store = StoreOptions(place.store).resolve({})
    path = store.outbox("kept", find_study(store, "kept").user_attrs["study_id"], "study")
    with closing(sqlite3.connect(path)) as database:
        database.executescript(SCHEMA)
    lose_database(place)
    place.run("sync", "kept", "--rebuild", "--store", place.store)
    assert len(runs_of(place)) == 4
    assert os.listdir(store.outboxes) == []


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
def test_run_that_the_study_has_given_up_is_not_made_again(place, killed):
    store = StoreOptions(place.store).resolve({})
    path = store.outbox("kept", find_study(store, "kept").user_attrs["study_id"], "study")
    [given_up] = [run.info.run_id for name, run in runs_of(place).items() if name.startswith("trial 1")]
    outbox = Outbox(path)
    outbox.put(1, "texts", {"texts": {"late.txt": "late"}})
    outbox.drop(1, [given_up])
    outbox.close()
    lose_database(place)
    assert lost_runs.lost_runs(store) == {"kept": 2}
    if killed:  # an earlier rebuild, once it had set the outbox aside
        path.rename(path.with_name(f"{path.name}.before"))
    place.run("sync", "kept", "--rebuild", "--store", place.store)
    place.search("kept", "--trials", 4, "--keep", 1)
    assert sorted(name.split(" (")[0] for name in runs_of(place)) == ["kept", "trial 0", "trial 2", "trial 3"]
    assert dropped_in(path) == {given_up}


def test_study_that_has_given_up_all_its_runs_has_lost_none(place):
    store = StoreOptions(place.store).resolve({})
    outbox = Outbox(store.outbox("kept", find_study(store, "kept").user_attrs["study_id"], "study"))
    outbox.give_up(run.info.run_id for run in runs_of(place).values())
    outbox.close()
    lose_database(place)
    assert lost_runs.lost_runs(store) == {}


@pytest.mark.parametrize("exists", [True, False])
def test_rebuild_refuses_an_mlflow_that_is_not_the_stores_own(place, tmp_path, exists):
    uri = f"sqlite:///{tmp_path}/other.db"
    if not exists:
        (place.store / "mlflow.db").unlink()
    refused = place.run("sync", "kept", "--rebuild", "--store", place.store, "--tracking-uri", uri, code=2)
    own = place.store / "mlflow.db"
    assert f"--rebuild is for runs in {own}, not for those in MLflow at {uri}" in refused.stderr
    assert os.listdir(tmp_path) == []


def test_rebuild_refuses_a_database_that_cannot_be_read(place, monkeypatch):
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0.1)
    before = runs_of(place)
    with closing(sqlite3.connect(place.store / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        refused = place.run("sync", "kept", "--rebuild", "--store", place.store, code=1)
    assert f"{place.store / 'mlflow.db'} cannot be read" in refused.stderr
    assert {name: run.to_dictionary() for name, run in runs_of(place).items()} == {
        name: run.to_dictionary() for name, run in before.items()
    }


def test_rebuild_refuses_a_study_that_a_process_with_another_store_runs(place, tmp_path):
    lose_database(place)
    study = find_study(StoreOptions(place.store).resolve({}), "kept")
    other = StoreOptions(tmp_path, f"sqlite:///{place.store}/optuna.db").resolve({})
    with claimed(other, study):
        refused = place.run("sync", "kept", "--rebuild", "--store", place.store, code=1)
    assert f"kept is being run by process {os.getpid()}" in refused.stderr
    assert not (place.store / "mlflow.db").exists()


def test_rebuild_and_drop_deleted_exclude_each_other(place):
    refused = place.run("sync", "kept", "--rebuild", "--drop-deleted", "--store", place.store, code=2)
    assert "--rebuild makes lost runs again, and --drop-deleted gives them up" in refused.stderr


def test_damaged_studies_are_not_taken_for_lost_runs(place):
    with sqlite3.connect(place.store / "optuna.db") as database:
        database.execute("UPDATE study_user_attributes SET value_json = '{' WHERE key LIKE 'run_id:%'")
    database.close()
    lose_database(place)
    assert lost_runs.lost_runs(StoreOptions(place.store).resolve({})) == {}


def test_rebuild_needs_a_study(place):
    assert "--rebuild needs the name of a study" in place.run("sync", "--rebuild", code=2).stderr


def test_look_at_the_test_set_is_not_hidden_by_the_loss_of_mlflows_database(place):
    place.promote("kept", "--top", 1, "--seeds", 2, "--test")
    lose_database(place)
    place.run("sync", "kept", "--rebuild", "--store", place.store)
    refused = place.promote("kept", "--top", 1, "--seeds", 2, "--test", code=2)
    assert "study kept was tested on these test data already" in refused.stderr
    shown = place.run("ledger", "--store", place.store)
    assert "complete, not in MLflow" in shown.stdout
    assert "has no run of 1 test evaluation in" in shown.stderr
