"""Delivering later, against a real MLflow store in SQLite."""

import json
import shutil
from uuid import uuid4

import mlflow
import pytest
from click.testing import CliRunner
from mlflow.exceptions import MlflowException

from sweeper.cli import main
from sweeper.store.options import StoreOptions
from sweeper.tracking import outbox_worker
from sweeper.tracking.tracker import Tracker
from tests.tracking.conftest import DATA


def away(*arguments, **options):
    raise MlflowException("server away")


@pytest.fixture
def left(store, monkeypatch):
    """Leaves a study behind of which MLflow has the first epoch and not the second; gives its child's run."""
    monkeypatch.setattr(outbox_worker, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(outbox_worker, "CLOSING_SECONDS", 0.05)

    def leave(study, kind="study", key=0):
        tracker = Tracker(store, DATA, print, kind=kind)
        tracker.open(study, uuid4().hex, {}, {})
        tracker.start_child(key, "trial 0", {}, {})
        tracker.log_epoch(key, 1, {"train_loss": 1.0})
        assert tracker.flush() == []
        tracker._client.log_batch = away
        tracker.log_epoch(key, 2, {"train_loss": 0.5})
        tracker.finish(key, "complete")
        assert len(tracker.close()) == 2
        return tracker.child_run_id(key)

    return leave


def sync(store, *arguments, code=0):
    result = CliRunner().invoke(main, ["sync", *arguments, "--store", str(store.root)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def steps(store, run_id):
    client = mlflow.MlflowClient(tracking_uri=store.tracking_uri)
    return [metric.step for metric in client.get_metric_history(run_id, "train_loss")]


def test_sync_delivers_what_waits_once(store, left):
    run_id = left("one")
    assert steps(store, run_id) == [1]
    assert sync(store).stdout == "one: 2 writes delivered\n"
    assert steps(store, run_id) == [1, 2]
    assert mlflow.MlflowClient(tracking_uri=store.tracking_uri).get_run(run_id).info.status == "FINISHED"
    assert sync(store).stdout == "Nothing waits for MLflow.\n"


@pytest.mark.parametrize("kind", ["promotion", "ablation"])
def test_sync_delivers_what_waits_of_a_promotion_and_of_an_ablation(store, left, kind):
    run_id = left("below", kind, "trial-1-seed-1-abc")
    assert sync(store).stdout == f"below ({kind}): 2 writes delivered\n"
    assert steps(store, run_id) == [1, 2]


def test_sync_of_one_study_leaves_the_others(store, left):
    ours, other = left("a-study"), left("other")
    found = json.loads(sync(store, "a-study", "--json").stdout)
    assert found == {
        "schema_version": 1,
        "spools": [{"study": "a-study", "kind": "study", "delivered": 2, "undelivered": [], "error": "", "dropped": 0}],
    }
    assert steps(store, ours) == [1, 2]
    assert steps(store, other) == [1]
    assert "other: 2" in sync(store).stdout


def test_spool_that_cannot_be_read_is_told_of_and_does_not_hold_up_the_others(store, left):
    run_id = left("zzz")
    bad = store.outbox("aaa", "0" * 8, "study")
    bad.write_bytes(b"something else" * 100)
    assert "Error: aaa: the outbox of writes for MLflow cannot be used" in sync(store, code=1).stderr
    assert steps(store, run_id) == [1, 2]
    bad.unlink()


def test_unknown_study_is_refused(store, left):
    assert "no studies in" in sync(store, "nosuch", code=1).stderr


def test_copied_store_writes_nothing_to_the_first_ones_place(store, left, tmp_path):
    run_id = left("copied")
    shutil.copytree(store.root, tmp_path / "copy")
    copy = StoreOptions(tmp_path / "copy").resolve({})
    assert "was moved or copied" in sync(copy, code=1).stderr
    sync(store)
    assert steps(store, run_id) == [1, 2]


def test_sync_leaves_a_study_that_is_being_run_to_its_process(store, left):
    run_id = left("busy")
    with store.owning("busy"):
        assert "its own process" in sync(store).stderr
    assert steps(store, run_id) == [1]
    sync(store)


def test_sync_where_mlflow_is_still_away_is_one_line_and_loses_nothing(store, left, monkeypatch):
    run_id = left("still-away")
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "get_experiment", away)
        assert sync(store, code=1).stderr.endswith("cannot be used: server away\n")
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_batch", away)
        assert "2 writes wait for MLflow, the first because: server away" in sync(store, code=1).stderr
    sync(store)
    assert steps(store, run_id) == [1, 2]
