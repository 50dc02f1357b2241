"""Runs, experiments and the like that somebody deletes in MLflow, against a real MLflow store in SQLite."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from mlflow.entities import ViewType
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from sweeper.cli import main
from sweeper.errors import SweeperError
from sweeper.quantities import counted
from sweeper.store.options import StoreOptions
from sweeper.tracking import deletions, outbox_worker
from sweeper.tracking.deletions import Deletion
from sweeper.tracking.outbox import shortfall, waiting
from sweeper.tracking.tracker import Tracker
from tests.tracking.conftest import DATA


@pytest.fixture
def store(tmp_path):
    """A store of its own for each test, because an experiment is deleted for all studies."""
    store = StoreOptions(tmp_path / "store").resolve({})
    store.prepare()
    return store


@pytest.fixture
def client(store):
    return mlflow.MlflowClient(tracking_uri=store.tracking_uri)


def opened(store, notes=None, recorded=None, **how):
    tracker = Tracker(store, DATA, (notes if notes is not None else []).append)
    tracker.open("s", "0a1b2c3d", {}, {"epochs": 2}, recorded=recorded, **how)
    return tracker


def train(tracker, trial, *, epochs=(1, 2)):
    tracker.start_child(trial, f"trial {trial}", {"lr": 0.1}, {})
    for epoch in epochs:
        tracker.log_epoch(trial, epoch, {"train_loss": 1 / epoch})
    tracker.finish(trial, "complete")


def searched(store, n_trials=2):
    """The tracker of a study of which MLflow has all."""
    tracker = opened(store)
    for trial in range(n_trials):
        train(tracker, trial)
    tracker.finish(None, "interrupted")
    assert tracker.close() == []
    return tracker


def recorded(tracker):
    return {trial: tracker.child_run_id(trial) for trial in (0, 1)}


def runs(client, view=ViewType.ALL):
    found = []
    for experiment in client.search_experiments(view_type=ViewType.ALL):
        found += client.search_runs([experiment.experiment_id], run_view_type=view)
    return {run.info.run_id: run for run in found}


def delete(client, tracker, what):
    if what == "experiment":
        client.delete_experiment(tracker.experiment_id)
    else:
        client.delete_run(tracker.run_id if what == "study" else tracker.child_run_id(what))


def delete_for_good(store, client, tracker, what):
    """What `mlflow gc` does."""
    delete(client, tracker, what)
    backend = SqlAlchemyStore(store.tracking_uri, store.artifacts.as_uri())
    if what == "experiment":
        for run_id in runs(client):
            backend._hard_delete_run(run_id)
        backend._hard_delete_experiment(tracker.experiment_id)
    else:
        backend._hard_delete_run(tracker.run_id if what == "study" else tracker.child_run_id(what))


def sync(store, *arguments, code=0):
    result = CliRunner().invoke(main, ["sync", *arguments, "--store", str(store.root)])
    assert result.exit_code == code, result.output
    return result


def restore(message):
    """Runs the command that the message prints, in a shell."""
    command = message.split("`")[1]
    folder = Path(sys.executable).parent
    subprocess.run(["bash", "-c", command], check=True, env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})


@pytest.mark.parametrize("what", ["study", 0, "experiment"])
@pytest.mark.parametrize("when", ["before the resume", "while it runs"])
def test_search_goes_on_with_what_was_deleted_and_restoring_it_makes_all_whole(store, client, what, when):
    first = searched(store)
    notes = []
    if when == "before the resume":
        delete(client, first, what)
    again = opened(store, notes, recorded(first))
    assert again.is_ended(0)  # nothing is trained or recorded a second time
    assert again.is_ended(1)
    if when == "while it runs":
        delete(client, first, what)
    train(again, 2)
    again.start_child(0, "trial 0", {}, {})
    again.log_epoch(0, 3, {"train_loss": 0.1})
    again.finish(0, "complete")
    again.finish(None, "complete")
    message = shortfall(again.close())
    named = {"study": "the run of study s", 0: "the run of trial 0", "experiment": f"the experiment {DATA.name}"}[what]
    assert f"{named} was deleted in MLflow: `MLFLOW_TRACKING_URI=" in message
    assert f"`sweeper sync s --drop-deleted --store {store.root}` goes on without its past" in message
    assert any(f"{named} was deleted" in note for note in notes)
    n_waiting = waiting(store.outbox("s", "0a1b2c3d", "study"))
    wait = counted(n_waiting, "write waits", "writes wait")
    assert message.startswith(wait)
    assert wait in sync(store, code=1).stderr

    if what == "experiment":
        client.restore_experiment(first.experiment_id)
    else:
        client.restore_run(first.run_id if what == "study" else first.child_run_id(what))
    sync(store)
    found = runs(client, ViewType.ACTIVE_ONLY)
    assert sorted(run.info.run_name for run in found.values()) == ["s", "trial 0", "trial 1", "trial 2"]
    assert found[first.run_id].info.status == "FINISHED"
    steps = [metric.step for metric in client.get_metric_history(first.child_run_id(0), "train_loss")]
    assert steps == [1, 2, 3]


@pytest.mark.parametrize("what", ["study", 0, "experiment"])
def test_restoring_is_one_command_that_can_be_typed(store, client, what):
    first = searched(store)
    delete(client, first, what)
    notes = []
    again = opened(store, notes, recorded(first))
    again.log_epoch(0, 3, {"train_loss": 0.1})
    again.finish(None, "complete")
    command = shlex.split(shortfall(again.close()).split("`")[1])
    kind = "experiments" if what == "experiment" else "runs"
    assert command[1:4] == ["mlflow", kind, "restore"]
    name, _, address = command[0].partition("=")
    assert (name, address) == ("MLFLOW_TRACKING_URI", store.tracking_uri)
    wanted = {"study": first.run_id, 0: first.child_run_id(0), "experiment": first.experiment_id}[what]
    assert command[4:] == [f"--{kind[:-1]}-id", wanted]


@pytest.mark.slow
def test_several_runs_are_restored_by_the_command_that_is_printed(store, client):
    first = searched(store)
    for trial in (0, 1):
        delete(client, first, trial)
    again = opened(store)
    for trial in (0, 1):
        again.log_epoch(trial, 3, {"train_loss": 0.1})
    message = shortfall(again.close())
    assert "the runs of trial 0 and trial 1 were deleted" in message
    restore(message)
    sync(store)
    assert set(runs(client, ViewType.ACTIVE_ONLY)) == set(runs(client))


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("what", ["study", 0, "experiment"])
def test_after_the_drop_the_study_goes_on_and_no_trial_has_two_runs(store, client, what, for_good):
    first = searched(store)
    again = opened(store, recorded=recorded(first))
    if for_good:
        delete_for_good(store, client, first, what)
    else:
        delete(client, first, what)
    again.log_epoch(0, 3, {"train_loss": 0.1})
    again.finish(None, "interrupted")
    message = shortfall(again.close())
    if for_good:
        assert "deleted for good: MLflow at" in message
        assert "restore" not in message
    assert "of deleted runs dropped" in sync(store, "s", "--drop-deleted").stdout
    assert not waiting(store.outbox("s", "0a1b2c3d", "study"))

    later = opened(store, recorded=recorded(first))
    assert later.is_ended(0)
    assert later.is_ended(1)
    later.drop_weights(0)  # as for a trial that is no longer among the best
    train(later, 2)
    later.finish(None, "complete")
    assert later.close() == []
    active = runs(client, ViewType.ACTIVE_ONLY)
    names = sorted(run.info.run_name for run in active.values())
    kept = {"study": ["trial 0", "trial 1"], 0: ["trial 1"], "experiment": []}[what]
    assert names == sorted(["s", "trial 2", *kept])
    parents = {run.data.tags.get("mlflow.parentRunId") for run in active.values() if run.info.run_name != "s"}
    assert parents == {later.run_id}
    assert sync(store).stdout == "Nothing waits for MLflow.\n"


def test_unfinished_trial_whose_run_was_dropped_gets_a_run_of_its_own_again(store, client):
    first = opened(store)
    first.start_child(0, "trial 0", {}, {})
    first.log_epoch(0, 1, {"train_loss": 1.0})
    assert first.flush() == []
    delete(client, first, 0)
    first.finish(0, "interrupted")
    assert len(first.close()) == 1
    sync(store, "s", "--drop-deleted")
    again = opened(store)
    assert (again.is_ended(0), again.last_epoch(0)) == (False, 0)
    train(again, 0)
    assert again.close() == []
    steps = [metric.step for metric in client.get_metric_history(again.child_run_id(0), "train_loss")]
    assert steps == [1, 2]


def test_drop_deletes_the_local_files_of_the_dropped_runs_and_no_others(store, client):
    tracker = searched(store)
    again = opened(store)
    delete(client, tracker, 0)
    folders = [store.trial_folder("s", "0a1b2c3d", trial) for trial in (0, 1)]
    for trial, folder in enumerate(folders):
        folder.mkdir(parents=True)
        again.log_epoch(trial, 3, {"train_loss": 0.1})
    again.forget(0, folders[0])
    assert len(again.close()) == 1
    assert folders[0].exists()
    sync(store, "s", "--drop-deleted")
    assert [folder.exists() for folder in folders] == [False, True]


def test_plain_sync_drops_nothing(store, client):
    first = searched(store)
    again = opened(store)
    delete(client, first, 0)
    again.log_epoch(0, 3, {"train_loss": 0.1})
    assert len(again.close()) == 1
    for _ in range(2):
        assert "1 write waits for MLflow" in sync(store, code=1).stderr


def test_drop_refuses_another_mlflow_than_the_one_the_writes_wait_for(store, client, tmp_path, monkeypatch):
    first = searched(store)
    again = opened(store)
    delete(client, first, 0)
    again.log_epoch(0, 3, {"train_loss": 0.1})
    again.close()
    other = f"sqlite:///{tmp_path}/other.db"
    mlflow.MlflowClient(other).search_experiments()
    refused = sync(store, "s", "--drop-deleted", "--tracking-uri", other, code=1)
    assert "nothing was dropped" in refused.stderr
    client.restore_run(first.child_run_id(0))
    assert sync(store).stdout == "s: 1 write delivered\n"


def test_runs_of_a_deleted_trial_are_held_back_with_its_reason(store, client):
    """The run of a fold cannot be made below a run that was never made."""
    tracker = opened(store)
    client.delete_experiment(tracker.experiment_id)
    tracker.start_child(0, "trial 0", {}, {})
    tracker.start_child("0-fold-1", "trial 0, fold 1", {}, {}, under=0)
    tracker.log_epoch("0-fold-1", 1, {"train_loss": 1.0})
    assert {("the experiment" in reason) for reason in tracker.close()} == {True}


def test_new_study_is_refused_in_a_deleted_experiment_and_with_new_goes_elsewhere(store, client):
    first = searched(store)
    delete(client, first, "experiment")
    other = Tracker(store, DATA, print)
    with pytest.raises(SweeperError, match=r"was deleted; restore it \(`MLFLOW_TRACKING_URI=.* --experiment-id"):
        other.open("t", "4e5f6a7b", {}, {})
    notes = []
    new = Tracker(store, DATA, notes.append)
    new.open("t", "4e5f6a7b", {}, {}, elsewhere=True)
    train(new, 0)
    assert new.close() == []
    assert f"runs go to {DATA.name}-" in notes[0]
    again = Tracker(store, DATA, print)
    again.open("t", "4e5f6a7b", {}, {})
    assert again.run_id == new.run_id
    again.close()


def test_renamed_experiment_keeps_its_study(store, client):
    first = searched(store)
    client.rename_experiment(first.experiment_id, "another name")
    again = opened(store, recorded=recorded(first))
    assert again.run_id == first.run_id
    assert again.child_run_id(0) == first.child_run_id(0)
    again.close()


def test_study_that_another_mlflow_has_is_said_to_be_unknown_here(store, client):
    first = searched(store)
    known = recorded(first)
    delete_for_good(store, client, first, "experiment")
    notes = []
    again = opened(store, notes, known)
    assert "has no run of study s" in notes[0]
    assert not again.is_ended(0)  # it is recorded anew
    again.close()


def test_what_was_deleted_is_listed_once_and_an_experiment_stands_for_its_runs():
    gone = [Deletion("run", "a", "trial 0", for_good=True), Deletion("run", "b", "trial 1", for_good=True)]
    assert deletions.told(
        [*gone, gone[0]], StoreOptions(tracking_uri="http://me:secret@host").resolve({}), "s"
    ).startswith("the runs of trial 0 and trial 1 were deleted for good: MLflow at http://me:***@host no longer has")
    experiment = Deletion("experiment", "5", "the experiment tiny", for_good=False)
    told = deletions.told([*gone, experiment], StoreOptions(tracking_uri="sqlite:///x y.db").resolve({}), "s")
    assert told.startswith("the experiment tiny was deleted in MLflow: `MLFLOW_TRACKING_URI='sqlite:///x y.db' mlflow")
    assert "trial" not in told


def test_server_that_goes_away_while_it_is_asked_what_was_deleted_is_waited_for(store, client, monkeypatch):
    monkeypatch.setattr(outbox_worker, "RETRY_SECONDS", 0.01)
    first = searched(store)
    again = opened(store)
    delete(client, first, 0)
    real, failures = again._client.get_experiment, iter([True, True])

    def flaky(experiment_id):
        if next(failures, False):
            raise mlflow.exceptions.MlflowException("server away")
        return real(experiment_id)

    monkeypatch.setattr(again._client, "get_experiment", flaky)
    again.log_epoch(0, 3, {"train_loss": 0.1})
    assert "the run of trial 0 was deleted" in again.close()[0]
