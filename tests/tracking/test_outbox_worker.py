"""What waits for MLflow and how long a command waits for it, against a real MLflow store in SQLite."""

import threading
import time
from itertools import count
from types import SimpleNamespace

import mlflow
import pytest

from sweeper.errors import SweeperError
from sweeper.tracking import outbox_worker
from sweeper.tracking.outbox import Outbox, waiting
from sweeper.tracking.outbox_worker import NO_TIME
from sweeper.tracking.patience import Patience
from sweeper.tracking.tracker import Tracker
from tests.commands.processes import DEADLINE
from tests.tracking.conftest import DATA

EPOCHS = 60


@pytest.fixture
def client(store):
    return mlflow.MlflowClient(tracking_uri=store.tracking_uri)


def opened(store, study, notes=None):
    tracker = Tracker(store, DATA, (notes if notes is not None else []).append)
    tracker.open(study, f"id-{study}", {}, {})
    return tracker


def held(tracker, monkeypatch):
    """Holds up the tracker's metrics until the event is set; gives the event, and the sizes of the calls so far."""
    gate, sizes, real = threading.Event(), [], tracker._client.log_batch

    def slow(run_id, metrics=(), **options):
        gate.wait(DEADLINE)
        if metrics:
            sizes.append(len(metrics))
        return real(run_id, metrics=metrics, **options)

    monkeypatch.setattr(tracker._client, "log_batch", slow)
    return gate, sizes


def test_epochs_that_wait_are_delivered_in_few_calls_in_order_and_once(store, client, monkeypatch):
    tracker = opened(store, "backlog")
    gate, sizes = held(tracker, monkeypatch)
    for trial in (0, 1):
        tracker.start_child(trial, f"trial {trial}", {}, {})
    for epoch in range(1, EPOCHS + 1):
        for trial in (0, 1):
            tracker.log_epoch(trial, epoch, {"train_loss": 1 / epoch, "lr": 0.1})
    times = [write.arguments["time"] for write in tracker._outbox_worker._outbox.writes() if write.action == "metrics"]
    for trial in (0, 1):
        tracker.finish(trial, "complete", metrics={"seconds": 1.0})
    gate.set()
    assert tracker.close() == []
    assert len(sizes) <= 6
    for trial in (0, 1):
        history = client.get_metric_history(tracker.child_run_id(trial), "train_loss")
        assert [(m.step, m.value, m.timestamp) for m in history] == [
            (epoch, 1 / epoch, moment) for epoch, moment in enumerate(times[trial::2], start=1)
        ]
        assert client.get_run(tracker.child_run_id(trial)).info.status == "FINISHED"


def test_no_call_has_more_metrics_than_mlflow_takes(store, client, monkeypatch):
    tracker = opened(store, "many-metrics")
    gate, sizes = held(tracker, monkeypatch)
    tracker.start_child(0, "trial 0", {}, {})
    for epoch in range(1, 6):
        tracker.log_epoch(0, epoch, {f"metric_{number}": 1.0 for number in range(450)})
    gate.set()
    assert tracker.close() == []
    assert max(sizes) <= 1000
    assert len(client.get_metric_history(tracker.child_run_id(0), "metric_449")) == 5


def test_batch_that_was_delivered_but_not_forgotten_changes_nothing_when_it_comes_again(store, client, monkeypatch):
    tracker = opened(store, "batch-again")
    gate, _ = held(tracker, monkeypatch)
    tracker.start_child(0, "trial 0", {}, {})
    for epoch in range(1, EPOCHS + 1):
        tracker.log_epoch(0, epoch, {"train_loss": 1 / epoch})
    with monkeypatch.context() as patch:
        patch.setattr(tracker._outbox_worker._outbox, "remove", lambda *numbers: None)
        gate.set()
        tracker.close()
    again = opened(store, "batch-again")
    assert again.close() == []
    steps = [m.step for m in client.get_metric_history(again.child_run_id(0), "train_loss")]
    assert steps == list(range(1, EPOCHS + 1))


def test_one_refused_epoch_does_not_keep_its_neighbours_from_mlflow(store, client, monkeypatch):
    tracker = opened(store, "bad-neighbour")
    gate, _ = held(tracker, monkeypatch)
    tracker.start_child(0, "trial 0", {}, {})
    for epoch in range(1, 6):
        tracker.log_epoch(0, epoch, {"train_loss": 1.0} if epoch != 3 else {"no\nname": 1.0})
    gate.set()
    assert len(tracker.close()) == 1
    steps = [m.step for m in client.get_metric_history(tracker.child_run_id(0), "train_loss")]
    assert steps == [1, 2, 4, 5]


@pytest.mark.parametrize(("n", "said"), [(1, "delivering 1 write to MLflow"), (3, "delivering 3 writes to MLflow")])
def test_command_that_waits_for_a_backlog_says_so_once(store, monkeypatch, n, said):
    monkeypatch.setattr(outbox_worker, "ANNOUNCING_SECONDS", 0.0)
    notes = []
    tracker = opened(store, "announced", notes)
    gate, _ = held(tracker, monkeypatch)
    for trial in range(n):
        tracker.start_child(trial, f"trial {trial}", {}, {})
    monkeypatch.setattr(tracker._outbox_worker, "_notify", lambda text: (notes.append(text), gate.set()))
    assert tracker.flush() == []
    assert notes == [said]
    tracker.close()


def test_wait_for_a_slow_server_is_bounded_and_the_rest_waits_on_disk(store, client, monkeypatch):
    tracker = opened(store, "slow")
    tracker.start_child(0, "trial 0", {}, {})
    assert tracker.flush() == []
    real = tracker._client.log_text
    with monkeypatch.context() as patch:
        patch.setattr(tracker._client, "log_text", lambda *call: (time.sleep(0.1), real(*call)))
        for number in range(50):
            tracker.log_text(0, {f"{number}.txt": "x"})
        left = tracker.close(Patience(failing=DEADLINE, total=0.3))
    assert left == [NO_TIME] * len(left)
    assert 0 < len(left) <= 50
    again = opened(store, "slow")
    assert again.close() == []
    assert len(client.list_artifacts(again.child_run_id(0))) == 50


def test_time_for_which_the_machine_was_suspended_is_no_wait_for_mlflow(store, monkeypatch):
    tracker = opened(store, "suspended")
    gate, _ = held(tracker, monkeypatch)
    tracker.start_child(0, "trial 0", {}, {})
    tracker.log_epoch(0, 1, {"train_loss": 1.0})
    looks = count(1)

    def clock():
        """An hour passes before each of the first looks; then MLflow goes on, and the clock stands still."""
        look = min(next(looks), 5)
        if look == 5:
            gate.set()
        return 3600.0 * look

    monkeypatch.setattr(outbox_worker, "time", SimpleNamespace(monotonic=clock))
    assert tracker.close(Patience(failing=60.0, total=60.0)) == []


def test_local_file_that_is_to_be_deleted_is_not_a_write_that_waits(store, client, tmp_path):
    tracker = opened(store, "counted")
    tracker.start_child(0, "trial 0", {}, {})
    assert tracker.flush() == []
    client.delete_run(tracker.child_run_id(0))
    tracker.log_epoch(0, 1, {"train_loss": 1.0})
    tracker.forget(0, tmp_path / "checkpoint")
    assert len(tracker.close()) == waiting(store.outbox("counted", "id-counted", "study")) == 1


def test_after_the_loss_of_a_study_nothing_is_delivered_and_only_what_ended_before_waits(store, client, monkeypatch):
    lost = threading.Event()

    def check_owned():
        if lost.is_set():
            raise SweeperError("another process has it")

    tracker = Tracker(store, DATA, lambda text: None, check_owned=check_owned)
    tracker.open("lost", "id-lost", {}, {})
    gate, _ = held(tracker, monkeypatch)
    for trial in (0, 1):
        tracker.start_child(trial, f"trial {trial}", {}, {})
        tracker.log_epoch(trial, 1, {"train_loss": 0.5})
    tracker.start_child("1, fold 1", "fold 1", {}, {}, under=1)
    for key in (0, "1, fold 1"):
        tracker.finish(key, "complete")
    lost.set()
    gate.set()
    with pytest.raises(SweeperError, match="another process has it"):
        tracker.finish(None, "interrupted")
    with pytest.raises(SweeperError, match="another process has it"):
        tracker.close()
    left = Outbox(store.outbox("lost", "id-lost", "study"))
    assert {write.key for write in left.writes()} <= {0}
    assert left.writes()[-1].action == "finish"
    left.close()
    assert client.get_run(tracker.run_id).info.status == "RUNNING"
