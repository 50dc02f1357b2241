"""Damaged files, changed stores, and commands that no longer match their study."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import asdict

import pytest

from tests.commands.processes import STUDY, is_alive, wait_for
from tests.fake_data import write_fake_dataset
from tests.faults.workplace import EPOCHS, assert_same
from tests.read_only import read_only

pytestmark = pytest.mark.fault


def refused(command, *parts, code=1):
    """Asserts that the command ends with a single error line, which contains all `parts`."""
    command.ended(code)
    [line] = [line for line in command.stderr.splitlines() if line.startswith("Error: ")]
    assert all(str(part) in line for part in parts), line
    assert command.stdout == ""


def test_damaged_checkpoints_are_set_aside_and_their_trials_begin_again(workplace, undisturbed):
    def killed_in_its_only_trial():
        # With two trials, one could end before the other has a checkpoint.
        before = workplace.epochs()
        search = workplace.search("--trials", 1)
        wait_for("three epochs", lambda: workplace.epochs() >= before + 3)
        [worker] = search.workers()
        search.kill()
        wait_for("the orphan's end", lambda: not is_alive(worker))
        [checkpoint] = (workplace.store / "checkpoints").glob(f"{STUDY}-*/0/checkpoint.safetensors")
        return search, checkpoint, workplace.epochs()

    first, checkpoint, _ = killed_in_its_only_trial()
    told = f"{checkpoint} is damaged"
    assert told not in first.stderr
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: len(content) // 2])
    second, again, trained = killed_in_its_only_trial()
    assert again == checkpoint
    checkpoint.write_bytes(b"\xff" * 8 + checkpoint.read_bytes()[8:])
    third = workplace.search("--trials", 1).ended()
    assert [search.stderr.count(told) for search in (second, third)] == [1, 1]
    assert_same(workplace, undisturbed, 1)
    assert workplace.epochs() == trained + EPOCHS


@pytest.fixture(scope="module")
def finished(workplace_of_module):
    """A finished study of one epoch; tests only try commands that must be refused."""
    workplace_of_module.search("--trials", 1, "--epochs", 1).ended()
    return workplace_of_module


def content_of(store):
    """The bytes of every file in the store, except locks."""
    return {
        path: path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and path.suffix != ".lock" and not path.name.endswith(("-wal", "-shm", "-journal"))
    }


def changed_data(finished, tmp_path):
    dataset = write_fake_dataset(tmp_path / "changed", training=2490, test=100)
    description = tmp_path / "changed.json"
    description.write_text(json.dumps(asdict(dataset)))
    return ["--data-dir", tmp_path / "changed"], description


@pytest.mark.parametrize(
    ("changed", "values"),
    [
        (["--epochs", 3], ("epochs 1", "3")),
        (["--seed", 5], ("seed 0", "5")),
        (["--subset", 500], ("subset None", "500")),
        (["--set", "dropout=0.4"], ("dropout 0.2", "0.4")),
        (["--set", "activation=relu,gelu"], ("activation", "tanh", "gelu")),
        (["--set", "lr=0.001:0.01", "--sampler", "tpe"], ("lr", "categorical", "float")),
    ],
)
def test_changed_command_is_refused_with_both_values(finished, changed, values):
    before = content_of(finished.store)
    command = finished.search("--trials", 2, "--epochs", 1, *changed)
    refused(command, f"study {STUDY} was started with", "--new", *values, code=2)
    assert content_of(finished.store) == before


def test_changed_space_file_split_and_data_are_refused_with_both_values(finished, tmp_path):
    text = finished.space.read_text()
    arguments = ("--trials", 2, "--epochs", 1, "--sampler", "grid")
    other = tmp_path / finished.space.name
    other.write_text(text.replace("hidden = [8]", "hidden = [9]"))
    refused(finished.search(*arguments, space=other), "hidden", "8", "9", "--new", code=2)
    other.write_text(text.replace("epochs = 8", "epochs = 8\nvalidation = 0.3"))
    refused(finished.search(*arguments, space=other), "validation 0.1", "0.3", "--new", code=2)
    more, description = changed_data(finished, tmp_path)
    command = finished.search(*arguments[:4], *more, dataset=description)
    old, new = (json.loads(p.read_text())["training"] for p in (finished.driver.folder / "dataset.json", description))
    assert old != new
    refused(command, "data_sha256", "--new", code=2)


def test_new_starts_another_study_beside_the_old_one(finished):
    finished.search("--trials", 1, "--epochs", 2, "--new").ended()
    found = {s["study_name"]: s["n_trials"]["complete"] for s in finished.run("studies", "--json").json["studies"]}
    assert found == {STUDY: 1, f"{STUDY}-2": 1}
    assert [len(finished.trials(study)[0].values) for study in found] == [1, 2]


def test_truncated_data_file_is_named_before_anything_is_written(workplace, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(workplace.data, data)
    path = data / "train-images-idx3-ubyte"
    size = path.stat().st_size
    os.truncate(path, size - 1)
    before = content_of(workplace.store)
    refused(workplace.search("--data-dir", data), path, f"truncated to {size - 1:,}", f"{size:,}")
    assert content_of(workplace.store) == before


def set_revision(path, value):
    """Changes the schema version that a database records."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [value])


@pytest.fixture
def restored(finished):
    """The finished study's workplace; its store is restored afterwards."""
    before = content_of(finished.store)
    yield finished
    for path, content in before.items():
        path.write_bytes(content)


# An older revision of each library's migrations.
@pytest.mark.parametrize(("name", "older"), [("optuna.db", "v2.4.0.a"), ("mlflow.db", "451aebb31d03")])
def test_store_with_another_database_is_named_and_left_as_it_is(restored, name, older):
    path = restored.store / name
    content = path.read_bytes()

    def search_is_refused(*parts):
        before = content_of(restored.store)
        refused(restored.search("--trials", 2, "--epochs", 1), path, *parts)
        assert content_of(restored.store) == before

    path.write_bytes(b"no database at all" * 1000)
    search_is_refused("not a SQLite database")
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE mine (number INTEGER)")
    search_is_refused("mine")
    path.write_bytes(content)
    set_revision(path, older)
    search_is_refused("older schema", older)
    set_revision(path, "ffffffffffff")
    search_is_refused("newer", "ffffffffffff")


def test_moved_store_is_refused_and_goes_on_where_it_was(workplace, undisturbed, tmp_path):
    workplace.search("--trials", 1).ended()
    here, there = workplace.store, tmp_path / "elsewhere"
    here.rename(there)
    before = content_of(there)
    workplace.store = there
    refused(workplace.search("--trials", 2), here, there)
    assert content_of(there) == before
    assert not here.exists()
    there.rename(here)
    workplace.store = here
    workplace.search("--trials", 2).ended()
    assert_same(workplace, undisturbed, 2)


def test_read_only_store_is_named_and_can_still_be_looked_at(finished):
    with read_only(finished.store):
        refused(finished.search("--trials", 2, "--epochs", 1), finished.store, "cannot be written to")
        for command in (["status"], ["studies"], ["trials", STUDY]):
            assert STUDY in finished.run(*command).stdout
