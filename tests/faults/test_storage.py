"""Full disks, locked databases, and two sweeps that open the same store at the same instant."""

import shutil
import sqlite3
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.commands.processes import STUDY
from tests.faults import outcomes
from tests.faults.workplace import EPOCHS, Workplace, assert_same

pytestmark = pytest.mark.fault

# The dense layer makes a checkpoint of several megabytes, more than both databases and the mapped images.
LARGE = ("--set", "hidden=[40000]", "--set", "filters=[2,2,2]", "--epochs", 2, "--trials", 1)


def is_whole(store):
    """Asserts that no file has a temporary name, and that every weights file can be read."""
    assert outcomes.partial_files(store) == []
    for path in store.rglob("*.safetensors"):
        outcomes.load_file(path)
    return True


def only_error(search, *parts):
    """The single error line on stderr, which must contain all `parts`."""
    errors = [line for line in search.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, search.stderr
    assert all(part in errors[0] for part in parts), errors[0]
    return errors[0]


def test_file_that_cannot_grow_stops_the_search_with_one_message_and_leaves_nothing_half(workplace):
    # Under this RLIMIT_FSIZE the databases and images fit, and the checkpoint of the first epoch does not.
    search = workplace.search(*LARGE, largest_file=5_000_000).ended(1)
    only_error(search, "checkpoint", str(workplace.store))
    assert is_whole(workplace.store)
    [trial] = workplace.trials()
    assert trial.state.name in ("RUNNING", "FAIL")
    workplace.search(*LARGE).ended()
    assert workplace.trials()[-1].state.name == "COMPLETE"
    assert sum(t.state.name == "COMPLETE" for t in workplace.trials()) == 1
    assert is_whole(workplace.store)


def test_search_without_room_from_the_start_says_so_and_begins_when_there_is_room(workplace, undisturbed):
    search = workplace.search("--trials", 1, largest_file=50_000).ended(1)
    only_error(search, str(workplace.store))
    assert is_whole(workplace.store)
    workplace.search("--trials", 1).ended()
    assert_same(workplace, undisturbed, 1)


@contextmanager
def small_disk(folder, megabytes):
    """Mounts a file system of this size in the folder; skips the test if this process may not mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk):
    """Fills the disk with one file, and returns it."""
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    return filler


def test_full_disk_stops_the_search_and_it_goes_on_when_there_is_room(
    driver, empty_store, undisturbed, workplace, tmp_path
):
    with small_disk(tmp_path / "disk", 24) as disk:
        place = Workplace(driver, workplace.data, workplace.space, disk / "store")
        shutil.copytree(empty_store, place.store)
        search = place.search("--trials", 2)
        search.says("trial 0 (baseline) epoch 2")
        filler = fill(disk)
        search.ended(1)
        only_error(search, str(place.store))
        assert is_whole(place.store)
        driver.clear()
        filler.unlink()
        again = place.search("--trials", 2).ended()
        assert "trial 0 (baseline) resumes after epoch" in again.stderr
        assert_same(place, undisturbed, 2)
        assert is_whole(place.store)


def test_study_is_deleted_from_a_full_disk_and_makes_room(driver, empty_store, workplace, tmp_path):
    with small_disk(tmp_path / "disk", 24) as disk:
        place = Workplace(driver, workplace.data, workplace.space, disk / "store")
        shutil.copytree(empty_store, place.store)
        place.search("--trials", 2, "--epochs", 1).ended()
        fill(disk)
        assert not shutil.disk_usage(disk).free
        place.run("delete", STUDY, "--yes")
        assert shutil.disk_usage(disk).free
        assert place.run("studies", "--json").json["studies"] == []


def test_databases_that_are_locked_for_long_are_waited_for(
    driver, empty_store, workplace, undisturbed, tmp_path, long_wait
):
    # Two searches run side by side; in each, another one of the databases is locked.
    places = {}
    for name in ("optuna.db", "mlflow.db"):
        places[name] = Workplace(driver, workplace.data, workplace.space, tmp_path / name / "store")
        shutil.copytree(empty_store, places[name].store)
    searches = {name: place.search("--trials", 2) for name, place in places.items()}
    for search in searches.values():
        search.says("trial 0 (baseline) epoch 2")
    connections = []
    for name, place in places.items():
        connection = sqlite3.connect(place.store / name, timeout=60, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        connections.append(connection)
    began = time.monotonic()
    time.sleep(max(0.0, began + long_wait - time.monotonic()))
    assert all(search.exit_code is None for search in searches.values())
    for name, connection in zip(places, connections, strict=True):
        if name == "mlflow.db":
            # A thread of its own writes to MLflow: with MLflow's database locked, training continues.
            searches[name].says("trial 1 epoch 2")
        connection.execute("ROLLBACK")
        connection.close()
    for name, place in places.items():
        searches[name].ended()
        assert_same(place, undisturbed, 2)
        assert place.epochs() == 2 * EPOCHS


def test_searches_started_at_one_instant_on_no_store_share_it_and_a_study_has_one_owner(driver, workplace, undisturbed):
    shutil.rmtree(workplace.store)
    gate = workplace.store.parent / "gate"
    searches = [
        workplace.search("--trials", 1, study=study, gate=gate, templates=False) for study in (STUDY, "another", STUDY)
    ]
    gate.touch()
    for search in searches:
        search.wait()
    same, other = [searches[0], searches[2]], searches[1]
    other.ended()
    assert sorted(search.exit_code for search in same) == [0, 1]
    first, second = sorted(same, key=lambda search: search.exit_code)
    message = only_error(second, f"{STUDY} is being run by process {first.process} on ")
    assert "\n" not in message
    for study in (STUDY, "another"):
        assert_same(workplace, undisturbed, 1, study)
    names = {s["study_name"]: s["state"] for s in workplace.run("studies", "--json").json["studies"]}
    assert names == {STUDY: "finished", "another": "finished"}


def test_study_that_is_being_run_can_be_stopped_and_no_other_command_may_change_it(workplace):
    search = workplace.search("--trials", 1, "--epochs", 100_000)
    search.says("trial 0 (baseline) epoch 1")
    for command in (["retry", STUDY, "--failed"], ["delete", STUDY, "--yes"]):
        refused = workplace.driver.start(*command, "--store", workplace.store).ended(1)
        only_error(refused, f"{STUDY} is being run by process {search.process} on ")
    workplace.run("stop", STUDY)
    search.wait()
    assert "trial 0 (baseline) interrupted" in search.stderr
    assert "resumes from here" in search.stdout
    status = workplace.status()
    assert (status["state"], status["ended"], status["n_trials"]["running"]) == ("stopped", "sweeper stop", 1)
    workplace.run("delete", STUDY, "--yes")
    assert list((workplace.store / "checkpoints").rglob("*.safetensors")) == []
    assert workplace.run("studies", "--json").json["studies"] == []
