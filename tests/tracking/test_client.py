import shutil
import sqlite3

import pytest
from mlflow.entities import Experiment

from sweeper.errors import SweeperError
from sweeper.store.options import StoreOptions
from sweeper.tracking import client, places


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with an experiment and a run; not to be changed."""
    store = StoreOptions(tmp_path_factory.mktemp("made") / "store").resolve({})
    store.prepare()
    connected = client.connect(store)
    connected.create_run(client.experiment_id(connected, "tiny", store))
    (store.artifacts / "tiny").mkdir(parents=True)
    return store


def at(root):
    return StoreOptions(root).resolve({})


def test_store_in_its_place_is_used(made):
    client.check_tracking(made, "tiny")
    assert client.experiment_id(client.connect(made), "tiny", made)


def test_moved_store_is_refused_naming_both_places_and_the_old_one_is_not_made_anew(made, tmp_path):
    old = at(tmp_path / "old")
    old.prepare()
    client.experiment_id(client.connect(old), "tiny", old)
    new = at(tmp_path / "new")
    old.root.rename(new.root)
    refusal = rf"the store {new.root} was moved or copied: the artifacts of its runs belong to {old.root};"
    with pytest.raises(SweeperError, match=refusal):
        client.check_tracking(new, "tiny")
    with pytest.raises(SweeperError, match=refusal):
        client.experiment_id(client.connect(new), "tiny", new)
    assert not old.root.exists()
    client.check_tracking(new, "another")
    old.root.symlink_to(new.root)
    client.check_tracking(new, "tiny")


def test_store_reached_by_another_path_is_used(made, tmp_path):
    (tmp_path / "link").symlink_to(made.root)
    client.check_tracking(at(tmp_path / "link"), "tiny")


def test_store_that_was_copied_is_refused(made, tmp_path):
    shutil.copytree(made.root, tmp_path / "copy")
    with pytest.raises(SweeperError, match="was moved or copied"):
        client.check_tracking(at(tmp_path / "copy"), "tiny")


def experiment_at(location):
    return Experiment("1", "tiny", location, "active")


def far_server(root):
    return StoreOptions(root, None, "http://me:secret@far:5000").resolve({})


def test_place_of_a_servers_artifacts_is_its_own_matter(tmp_path):
    server = StoreOptions(tmp_path, None, "http://127.0.0.1:1").resolve({})
    for location in ("mlflow-artifacts:/1", "file:///elsewhere/artifacts/tiny"):
        places.check_experiment(experiment_at(location), server)
    for location in ("mlflow-artifacts:/1", "s3://bucket/1", f"{tmp_path}/1"):
        places.check_experiment(experiment_at(location), far_server(tmp_path))


@pytest.mark.parametrize("location", ["/none/mlruns/1", "file:///none/artifacts/tiny"])
def test_files_in_a_folder_of_the_servers_own_machine_are_not_put_into_one_of_that_name_here(tmp_path, location):
    told = r"^MLflow at http://me:\*\*\*@far:5000 keeps the files of experiment tiny in /none/.*--artifacts-destination"
    with pytest.raises(SweeperError, match=told):
        places.check_experiment(experiment_at(location), far_server(tmp_path))


@pytest.mark.parametrize(
    "location", ["s3://theirs/tiny", "/etc", "file:///etc", "{root}/artifacts/../../x", "{root}", ""]
)
def test_experiment_of_a_store_has_its_files_in_the_store(made, location):
    with pytest.raises(SweeperError, match="the files of experiment tiny must lie in the store"):
        places.check_experiment(experiment_at(location.format(root=made.root)), made)


def test_older_database_is_refused_and_not_changed_behind_the_users_back(made, tmp_path):
    copy = at(tmp_path)
    shutil.copyfile(made.root / "mlflow.db", tmp_path / "mlflow.db")
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '97727af70f4d'")
        connection.execute("DROP TABLE trace_info")  # as if that had come later
    connection.close()
    before = (tmp_path / "mlflow.db").read_bytes()
    with pytest.raises(
        SweeperError, match=rf"older schema \(97727af70f4d\).*`mlflow db upgrade sqlite:///{tmp_path}/mlflow.db`"
    ):
        client.connect(copy)
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_newer_database_is_refused(made, tmp_path):
    shutil.copyfile(made.root / "mlflow.db", tmp_path / "mlflow.db")
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    connection.close()
    with pytest.raises(SweeperError, match=r"has a schema \(ffffffffffff\) that MLflow .* does not know"):
        client.connect(at(tmp_path))


@pytest.mark.parametrize("absolute", [True, False])
def test_artifacts_of_a_sqlite_file_of_the_users_own_lie_beside_it(tmp_path, monkeypatch, absolute):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    uri = f"sqlite:///{tmp_path}/data/own.db" if absolute else "sqlite:///../data/own.db"
    store = StoreOptions(tmp_path / "store", None, uri).resolve({})
    store.prepare()
    connected = client.connect(store)
    made = connected.get_experiment(client.experiment_id(connected, "tiny", store))
    assert made.artifact_location == (tmp_path / "data" / "artifacts" / "tiny").as_uri()
