"""What kills have left in a store is deleted, and nothing else."""

import fcntl
import os
from contextlib import suppress

import pytest
from mlflow.entities import LoggedModelStatus

from sweeper.doctor import examination
from sweeper.store.options import StoreOptions
from sweeper.tracking import client, leftovers


@pytest.fixture
def store(tmp_path):
    store = StoreOptions(tmp_path / "store").resolve({})
    store.prepare()
    return store


@pytest.fixture
def models(store):
    """Models with files in every state: those that a kill has left, and those that are needed."""
    connected = client.connect(store)
    experiment = client.experiment_id(connected, "tiny", store)
    made = {}
    for name, tags in (
        ("killed", {leftovers.IDENTITY: "1"}), ("forgotten", {leftovers.IDENTITY: "2"}),
        ("ready", {leftovers.IDENTITY: "3"}),
        ("registered", {leftovers.IDENTITY: "4"}), ("another program's", {}),
    ):  # fmt: skip
        model = connected.create_logged_model(experiment, "model", tags=tags)
        folder = store.artifacts / "tiny" / "models" / model.model_id
        (folder / "artifacts").mkdir(parents=True)
        (folder / "artifacts" / "MLmodel").write_text(name)
        made[name] = (model, folder)
    connected.delete_logged_model(made["forgotten"][0].model_id)  # as a repeated registration does
    connected.finalize_logged_model(made["ready"][0].model_id, LoggedModelStatus.READY)
    connected.create_registered_model("tiny")
    connected.create_model_version("tiny", made["registered"][0].artifact_location)
    unknown = store.artifacts / "tiny" / "models" / f"m-{'0' * 32}"
    unknown.mkdir()
    return {name: folder for name, (_, folder) in made.items()} | {"of a lost database": unknown}


def uploading(store, name, seconds):
    path = store.artifacts / "tiny" / "run" / "artifacts" / f".artifact.uploading.{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    os.utime(path, (path.stat().st_mtime - seconds,) * 2)
    return path


def test_what_killed_commands_left_is_deleted_and_nothing_else(store, models):
    old, new = uploading(store, "old", 3600), uploading(store, "new", 1)
    export = store.root / ".export-abc" / "model"
    export.mkdir(parents=True)
    beside = store.artifacts / "tiny" / "run" / "artifacts" / "weights.safetensors"
    beside.write_bytes(b"whole")
    left = [export.parent, models["killed"], models["forgotten"], old]
    assert leftovers.find(store) == sorted(left)
    leftovers.sweep(store)
    assert not any(path.exists() for path in left)
    kept = [models[name] for name in models if name not in ("killed", "forgotten")]
    assert all(path.exists() for path in [*kept, new, beside])
    assert leftovers.find(store) == []


def test_nothing_is_deleted_while_another_command_works_in_the_store(store, models):
    with store.owning("another"):
        leftovers.sweep(store)
        assert models["killed"].exists()
    leftovers.sweep(store)
    assert not models["killed"].exists()


def test_other_commands_can_begin_while_leftovers_are_looked_for(store, monkeypatch):
    with store.unowned():
        [lock] = (path for path in store.root.rglob(".*.lock"))
    free = []

    def find(searched):
        with open(lock) as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free.append(searched)
        return []

    monkeypatch.setattr(leftovers, "find", find)
    leftovers.sweep(store)
    assert free == [store]


def test_nothing_outside_the_store_is_deleted(store, models, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (store.root / ".export-x").symlink_to(outside)
    (store.artifacts / "tiny").rename(outside / "tiny")
    (store.artifacts / "tiny").symlink_to(outside / "tiny")
    leftovers.sweep(store)
    assert (outside / "file").exists()
    assert models["killed"].exists()


def test_doctor_names_what_is_left(store, models):
    found = examination._store(store)
    assert found.status == "warning"
    assert any(str(models[name]) in found.found for name in ("killed", "forgotten"))  # the first by name
    assert "2 " in found.found
    leftovers.sweep(store)
    assert examination._store(store).status == "ok"


def test_store_without_databases_has_no_leftovers(store):
    assert leftovers.find(store) == []
    leftovers.sweep(store)
    assert not (store.root / "mlflow.db").exists()
