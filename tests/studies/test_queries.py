import pytest

from sweeper.errors import SweeperError
from sweeper.runs.stop import StopRequest
from sweeper.studies import lifecycle, queries
from sweeper.studies.attributes import CURRENT_SCHEMA, SCHEMA, SPEC
from sweeper.studies.storage import open_storage
from sweeper.tracking.outbox import Outbox
from tests.sweep.test_coordinator import Sweep


@pytest.fixture
def sweep(tmp_path):
    """A study in the store's own database, on which nobody works."""
    sweep = Sweep(tmp_path, space_name="example")
    sweep.storage = open_storage(sweep.store)
    sweep.run(trials=2)
    lifecycle.mark_running(sweep.study, 2, "sweeper search tiny --storage postgresql://me:secret@host/db")
    return sweep


def status(sweep):
    return queries.status_of(sweep.store, queries.find_study(sweep.store, None))


@pytest.mark.parametrize(
    ("ended", "state"),
    [
        (None, "dead"),
        ("", "finished"),
        ("target", "finished"),
        ("SIGTERM", "stopped"),
        ("timeout", "stopped"),
        ("sweeper stop", "stopped"),
        ("error: no space left", "stopped"),
        (lifecycle.DELETING, "deleting"),
    ],
)
def test_state_is_how_the_last_process_left_the_study(sweep, ended, state):
    if ended is not None:
        lifecycle.mark_ended(sweep.study, ended)
    found = status(sweep)
    assert (found["state"], found["ended"], found["owner"]) == (state, ended, None)


def test_study_that_is_held_is_running_whatever_was_said_before(sweep):
    lifecycle.mark_ended(sweep.study, "SIGTERM")
    with sweep.store.owning("study"):
        found = status(sweep)
    assert found["state"] == "running"
    assert found["owner"].startswith("process ")


def test_writes_that_wait_for_mlflow_are_counted(sweep):
    assert status(sweep)["undelivered"] == 0
    outbox = Outbox(sweep.store.outbox("study", sweep.study.user_attrs["study_id"], "study"))
    outbox.put(0, "start", {})
    outbox.put(0, "finish", {})
    outbox.close()
    Outbox(sweep.store.outbox("study", "0" * 32, "study")).put(0, "start", {})  # another study's of that name
    assert status(sweep)["undelivered"] == 2


def test_running_trial_has_the_epochs_of_its_variant(tmp_path):
    sweep = Sweep(tmp_path, space_name="example", variants_only=True, variant_epochs={"4.0": 5})
    sweep.storage = open_storage(sweep.store)
    stop = StopRequest()

    def stop_after_one(job, epoch):
        stop.reason = "SIGTERM" if job.number == 1 else ""
        return 0.5

    sweep.run(stop_after_one, trials=3, stop=stop)
    [running] = status(sweep)["running_trials"]
    assert (running["variant"], running["epochs"], running["of_epochs"]) == ("4.0", 1, 5)


def test_running_trial_has_its_place_while_a_process_runs_the_study(tmp_path):
    sweep, stop = Sweep(tmp_path, space_name="example"), StopRequest()
    sweep.storage = open_storage(sweep.store)

    def stop_after_one(job, epoch):
        stop.reason = "SIGTERM"
        return 0.5

    sweep.run(stop_after_one, stop=stop, prepare=lambda pool: pool.places.update({0: "node-7"}))
    assert status(sweep)["running_trials"][0]["place"] == ""
    with sweep.store.owning("study"):
        assert status(sweep)["running_trials"][0]["place"] == "node-7"


def test_command_is_kept_without_its_password(sweep):
    assert status(sweep)["command"] == "sweeper search tiny --storage 'postgresql://me:***@host/db'"


def test_study_that_no_search_can_resume_has_no_command(sweep):
    spec = sweep.study.user_attrs[SPEC]
    sweep.study.set_user_attr(SPEC, spec | {"space": {"fixed": {"softmax_output": True}}})
    assert status(sweep)["command"] is None
    sweep.study.set_user_attr(SPEC, spec)
    assert status(sweep)["command"] is not None
    sweep.study.set_user_attr(SCHEMA, 1)
    assert status(sweep)["command"] is None


def test_study_of_a_newer_sweeper_is_refused_and_not_changed(sweep):
    sweep.study.set_user_attr("schema", CURRENT_SCHEMA + 1)
    refusal = r"study study was written by a newer sweeper \(its schema is 4, this one knows 3\): upgrade sweeper"
    with pytest.raises(SweeperError, match=refusal):
        queries.find_study(sweep.store, "study")
    with pytest.raises(SweeperError, match=refusal):
        sweep.run(trials=3)
    assert sweep.study.user_attrs["schema"] == CURRENT_SCHEMA + 1


def test_study_of_an_older_sweeper_can_be_looked_at_but_not_gone_on_with(sweep):
    sweep.study.set_user_attr("schema", 1)
    assert status(sweep)["study_name"] == "study"
    with pytest.raises(SweeperError, match=r"study study was written by an older sweeper \(its schema is 1"):
        sweep.run(trials=3)
    assert sweep.study.user_attrs["schema"] == 1


def test_study_that_is_half_deleted_is_not_gone_on_with(sweep):
    lifecycle.mark_ended(sweep.study, lifecycle.DELETING)
    with pytest.raises(SweeperError, match="study study is half deleted: `sweeper delete study` deletes the rest"):
        sweep.run(trials=3)


def test_trial_of_an_unknown_state_is_named(sweep):
    trial = sweep.study.trials[0]
    sweep.storage.set_trial_user_attr(sweep.study.ask()._trial_id, "result", {"state": "exploded"})
    assert trial.number == 0
    with pytest.raises(
        SweeperError, match=r"^trial \d+ of study study cannot be read: result.state .*, got 'exploded'; sweeper has"
    ):
        status(sweep)
