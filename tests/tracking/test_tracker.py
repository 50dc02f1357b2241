"""Against a real MLflow store in SQLite."""

import json
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from sweeper.errors import SweeperError
from sweeper.plots import Plot
from sweeper.store.options import StoreOptions
from sweeper.tracking import outbox_worker, run_writer
from sweeper.tracking.outbox import Outbox, Target
from sweeper.tracking.tracker import Tracker
from sweeper.tracking.user import user_tag
from tests.commands.processes import DEADLINE, wait_for
from tests.tracking.conftest import DATA


@pytest.fixture
def client(store):
    return mlflow.MlflowClient(tracking_uri=store.tracking_uri)


def opened(store, study, notes=None, kind="study"):
    tracker = Tracker(store, DATA, (notes if notes is not None else []).append, kind)
    tracker.open(study, f"id-{study}", {"sweeper.command": "sweeper search tiny"}, {"epochs": 2})
    return tracker


def folder_of(store, study):
    """A folder of the study in the store: files elsewhere are neither sent nor deleted."""
    folder = store.trial_folder(study, f"id-{study}", 0)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def artifacts(client, run_id, path=""):
    found = []
    for entry in client.list_artifacts(run_id, path):
        found += artifacts(client, run_id, entry.path) if entry.is_dir else [entry.path]
    return found


def test_study_and_trials_become_parent_and_children(store, client):
    folder = folder_of(store, "whole")
    tracker = opened(store, "whole")
    tracker.start_child(
        0, "trial 0 (baseline)", {"filters": (6, 16), "batch_norm": True, "lr": 0.1}, {"sweeper.variant": "baseline"}
    )
    for epoch in (1, 2):
        tracker.log_epoch(0, epoch, {"validation_accuracy": 0.5 + epoch / 10, "train_loss": 1 / epoch})
    tracker.log_text(0, {"config.json": "{}"})
    tracker.log_plots(0, {"importance.png": Plot("parameter_importance", {"importances": {"lr": 1.0}, "basis": "x"})})
    (folder / "model.safetensors").write_bytes(b"w")
    tracker.log_weights(0, folder / "model.safetensors")
    tracker.finish(0, "complete", metrics={"n_parameters": 61706})
    tracker.start_child(1, "trial 1", {}, {})
    tracker.finish(1, "pruned", reason="pruner")
    tracker.log_text(None, {"ranking.csv": "rank\n"})
    tracker.finish(None, "complete", metrics={"best_value": 0.7})
    tracker.close()

    parent = client.get_run(tracker.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {"epochs": "2"}
    assert parent.data.tags["sweeper.command"] == "sweeper search tiny"
    assert artifacts(client, tracker.run_id) == ["ranking.csv"]
    child = client.get_run(tracker.child_run_id(0))
    assert child.info.status == "FINISHED"
    assert child.data.tags["mlflow.parentRunId"] == tracker.run_id
    assert [run.data.tags["mlflow.user"] for run in (parent, child)] == list(user_tag().values()) * 2
    assert child.data.params == {"filters": "[6, 16]", "batch_norm": "true", "lr": "0.1"}
    history = client.get_metric_history(child.info.run_id, "validation_accuracy")
    assert [(m.step, m.value) for m in history] == [(1, 0.6), (2, 0.7)]
    assert sorted(artifacts(client, child.info.run_id)) == [
        "config.json",
        "importance.png",
        "weights/model.safetensors",
    ]
    dataset = child.inputs.dataset_inputs[0].dataset
    assert json.loads(dataset.source)["sha256"] == DATA.sha256
    pruned = client.get_run(tracker.child_run_id(1))
    assert (pruned.info.status, pruned.data.tags["sweeper.state"]) == ("KILLED", "pruned")


def test_training_by_itself_is_all_on_its_own_run_which_stays_as_it_is_once_complete(store, client):
    first = opened(store, "alone", kind="training")
    assert (first.state(None), first.last_epoch(None)) == ("running", 0)
    first.log_epoch(None, 1, {"train_loss": 0.5})
    first.finish(None, "interrupted", reason="SIGINT")
    first.close()
    again = opened(store, "alone", kind="training")
    assert again.run_id == first.run_id
    assert (again.state(None), again.last_epoch(None)) == ("running", 1)
    assert client.get_run(first.run_id).info.status == "RUNNING"
    again.log_epoch(None, 2, {"train_loss": 0.4})
    again.finish(None, "complete")
    again.close()

    ended = client.get_run(first.run_id)
    assert ended.data.tags["sweeper.training_id"] == "id-alone"
    assert not {"sweeper.study", "sweeper.study_id"} & set(ended.data.tags)
    assert opened(store, "alone", kind="training").state(None) == "complete"
    assert client.get_run(first.run_id).info == ended.info


def test_artifacts_are_in_the_store_wherever_the_command_is_started(store, client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracker = opened(store, "elsewhere")
    tracker.log_text(None, {"a.txt": "x"})
    tracker.close()
    assert client.get_run(tracker.run_id).info.artifact_uri.startswith(store.artifacts.as_uri())
    assert not list(tmp_path.iterdir())


def test_resumed_study_has_the_same_parent_and_the_same_children(store, client):
    first = opened(store, "resumed")
    first.start_child(0, "trial 0", {"lr": 0.1}, {})
    first.log_epoch(0, 1, {"train_loss": 1.0})
    first.finish(0, "interrupted", reason="SIGINT")
    first.finish(None, "interrupted", reason="SIGINT")
    first.close()
    assert client.get_run(first.run_id).info.status == "KILLED"

    again = opened(store, "resumed")
    assert again.run_id == first.run_id
    assert again.child_run_id(0) == first.child_run_id(0)
    again.start_child(0, "trial 0", {"lr": 0.1}, {})
    again.log_epoch(0, 2, {"train_loss": 0.5})
    again.finish(0, "complete")
    again.close()
    child = client.get_run(first.child_run_id(0))
    assert (child.info.status, child.data.tags["sweeper.state"]) == ("FINISHED", "complete")
    assert [m.step for m in client.get_metric_history(child.info.run_id, "train_loss")] == [1, 2]
    assert client.get_run(first.run_id).info.status == "RUNNING"


def test_dropped_weights_are_gone_and_other_artifacts_stay(store, client):
    folder = folder_of(store, "dropped")
    tracker = opened(store, "dropped")
    tracker.start_child(0, "trial 0", {}, {})
    tracker.log_text(0, {"config.json": "{}"})
    (folder / "model.safetensors").write_bytes(b"w")
    tracker.log_weights(0, folder / "model.safetensors")
    tracker.drop_weights(0)
    tracker.close()
    assert artifacts(client, tracker.child_run_id(0)) == ["config.json"]


def test_callers_do_not_wait_for_mlflow(store, monkeypatch):
    tracker = opened(store, "slow")
    gate = threading.Event()
    monkeypatch.setattr(tracker._client, "log_batch", lambda *a, **k: gate.wait(DEADLINE))
    tracker.start_child(0, "trial 0", {}, {})
    for epoch in range(50):
        tracker.log_epoch(0, epoch, {"train_loss": 1.0})
    assert not gate.is_set()  # all calls have returned while the first write still hangs
    gate.set()
    tracker.close()


def test_write_that_fails_is_tried_again_until_it_is_delivered_once(store, client, monkeypatch):
    monkeypatch.setattr(outbox_worker, "RETRY_SECONDS", 0.01)
    notes = []
    tracker = opened(store, "retried", notes)
    tracker.start_child(0, "trial 0", {}, {})
    real, refusals = tracker._client.log_batch, iter([True, True])

    def flaky(*arguments, **options):
        if "metrics" in options and next(refusals, False):
            raise MlflowException("server away at http://me:secret@host")
        return real(*arguments, **options)

    monkeypatch.setattr(tracker._client, "log_batch", flaky)
    tracker.log_epoch(0, 1, {"train_loss": 1.0})
    tracker.close()
    assert [m.step for m in client.get_metric_history(tracker.child_run_id(0), "train_loss")] == [1]
    assert len(notes) == 2
    assert "secret" not in "".join(notes)


def away(*arguments, **options):
    raise MlflowException("server away")


def test_what_was_not_delivered_is_told_and_delivered_by_the_next_process_with_its_time(store, client, monkeypatch):
    monkeypatch.setattr(outbox_worker, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(outbox_worker, "CLOSING_SECONDS", 0.05)
    tracker = opened(store, "left-behind")
    with monkeypatch.context() as patch:
        patch.setattr(tracker._client, "create_run", away)
        before = time.time()
        tracker.start_child(0, "trial 0", {}, {})
        for epoch in (1, 2):
            tracker.log_epoch(0, epoch, {"train_loss": 1 / epoch})
        tracker.finish(0, "complete")
        after = time.time()
        assert tracker.close() == ["server away"] * 4

    again = Tracker(store, DATA, print)
    time.sleep(0.1)
    again.open("left-behind", "id-left-behind", {}, {})
    # It knows at once what MLflow will know.
    assert again.is_ended(0)
    assert again.last_epoch(0) == 2
    assert again.close() == []
    history = client.get_metric_history(again.child_run_id(0), "train_loss")
    assert [m.step for m in history] == [1, 2]
    assert all(1000 * before - 1 <= m.timestamp <= 1000 * after + 1 for m in history)
    assert client.get_run(again.child_run_id(0)).info.status == "FINISHED"
    assert not store.outbox("left-behind", "id-left-behind", "study").exists()


def test_writes_that_were_delivered_but_not_yet_forgotten_change_nothing_when_they_come_again(
    store, client, monkeypatch
):
    folder = folder_of(store, "twice")
    (folder / "model.safetensors").write_bytes(b"w")
    tracker = opened(store, "twice")
    with monkeypatch.context() as patch:
        patch.setattr(tracker._outbox_worker._outbox, "remove", lambda *numbers: None)
        tracker.start_child(0, "trial 0", {"lr": 0.1}, {})
        tracker.log_epoch(0, 1, {"train_loss": 1.0, "gradient_norm": math.inf})
        tracker.log_text(0, {"a.txt": "a"})
        tracker.log_weights(0, folder / "model.safetensors")
        tracker.finish(0, "complete", metrics={"seconds": 2.5})
        tracker.close()
    first = client.get_run(tracker.child_run_id(0))
    assert first.info.status == "FINISHED"

    again = opened(store, "twice")
    assert again.close() == []
    assert client.get_run(again.child_run_id(0)).to_dictionary() == first.to_dictionary()
    for metric in ("train_loss", "seconds", "gradient_norm"):
        assert len(client.get_metric_history(first.info.run_id, metric)) == 1
    assert sorted(artifacts(client, first.info.run_id)) == ["a.txt", "weights/model.safetensors"]


def test_run_that_was_made_though_the_answer_was_lost_is_not_made_twice(store, client, monkeypatch):
    monkeypatch.setattr(outbox_worker, "RETRY_SECONDS", 0.01)
    tracker = opened(store, "lost-answer")
    real, losses = tracker._client.create_run, iter([True, True])

    def lossy(*arguments, **options):
        run = real(*arguments, **options)
        if next(losses, False):
            raise MlflowException("connection reset")
        return run

    monkeypatch.setattr(tracker._client, "create_run", lossy)
    tracker.start_child(0, "trial 0", {}, {})
    assert tracker.close() == []
    query = f"tags.`mlflow.parentRunId` = '{tracker.run_id}'"
    assert len(client.search_runs([tracker.experiment_id], query)) == 1
    assert next(losses) is True  # the second try found it


def test_child_whose_start_was_refused_is_held_back_whole_and_delivered_in_order_later(store, client, monkeypatch):
    notes = []
    tracker = opened(store, "held-back", notes)
    with monkeypatch.context() as patch:

        def refuse(*arguments, **options):
            raise MlflowException("no such thing here", INVALID_PARAMETER_VALUE)

        patch.setattr(tracker._client, "log_inputs", refuse)
        tracker.start_child(0, "trial 0", {}, {})
        tracker.log_epoch(0, 1, {"train_loss": 1.0})
        tracker.finish(0, "complete")
        tracker.finish(None, "complete")
        assert tracker.close() == ["no such thing here"] * 3
    assert len(notes) == 1
    assert client.get_run(tracker.run_id).info.status == "FINISHED"
    assert client.get_metric_history(tracker.child_run_id(0), "train_loss") == []

    again = opened(store, "held-back")
    assert again.is_ended(0)
    assert again.close() == []
    assert client.get_run(again.child_run_id(0)).info.status == "FINISHED"
    assert len(client.get_metric_history(again.child_run_id(0), "train_loss")) == 1


def test_files_in_the_store_are_kept_by_their_place_in_it(store):
    """A copied store must not touch the files of the first."""
    tracker = opened(store, "relative")
    tracker._outbox_worker.close()
    tracker._outbox_worker._outbox = outbox = Outbox(store.outbox("relative", "id-relative", "study"))
    tracker.log_weights(0, store.root / "checkpoints" / "0" / "model.safetensors")
    assert [write.arguments for write in outbox.writes()] == [{"path": "checkpoints/0/model.safetensors"}]


def test_what_was_refused_is_tried_again_by_the_next_process(store, client):
    tracker = started(opened(store, "restored"), 0)
    client.delete_run(tracker.child_run_id(0))
    tracker.log_epoch(0, 1, {"train_loss": 1.0})
    assert len(tracker.close()) == 1
    client.restore_run(tracker.child_run_id(0))
    again = opened(store, "restored")
    assert again.close() == []
    assert len(client.get_metric_history(tracker.child_run_id(0), "train_loss")) == 1


def test_caller_is_told_when_the_spool_cannot_be_written(store):
    tracker = opened(store, "full")
    database = tracker._outbox_worker._outbox._database
    [(pages,)] = database.execute("PRAGMA page_count")
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SweeperError, match=r"full .*full-id-full-study\.db"):
        tracker.log_text(None, {"a.txt": "x" * 100_000})
    tracker.close()


def test_writes_that_are_never_taken_are_an_error_and_not_silence(store, monkeypatch):
    monkeypatch.setattr(outbox_worker, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(outbox_worker, "CLOSING_SECONDS", 0.05)
    tracker = opened(store, "gone")

    def refuse(*arguments, **options):
        raise MlflowException("gone for good")

    monkeypatch.setattr(tracker._client, "set_terminated", refuse)
    tracker.finish(None, "complete")
    assert tracker.close() == ["gone for good"]


def test_write_that_mlflow_refuses_for_good_does_not_hold_up_the_next(store, client):
    notes = []
    tracker = opened(store, "refused", notes)
    tracker.start_child(0, "trial 0", {}, {})
    tracker.start_child(1, "trial 1", {}, {})
    wait_for("the run of trial 1", lambda: tracker.child_run_id(1))
    client.delete_run(tracker.child_run_id(0))
    tracker.log_epoch(0, 1, {"train_loss": 1.0})
    tracker.log_epoch(1, 1, {"train_loss": 0.5})
    kept, forgotten = (folder_of(store, "refused") / name for name in "01")
    for number, folder in enumerate((kept, forgotten)):
        folder.mkdir()
        tracker.forget(number, folder)
    undelivered = tracker.close()
    assert len(undelivered) == len(notes) == 1
    assert [m.value for m in client.get_metric_history(tracker.child_run_id(1), "train_loss")] == [0.5]
    assert kept.exists()  # what MLflow does not have is the only copy
    assert not forgotten.exists()


def started(tracker, key):
    """The tracker, after MLflow has made the child's run."""
    tracker.start_child(key, f"training {key}", {}, {})
    assert tracker.flush() == []
    return tracker


@pytest.mark.parametrize("kind", ["promotion", "ablation"])
def test_promotion_is_a_child_of_the_studys_run_and_its_trainings_are_children_of_its_own(store, client, kind):
    study = opened(store, f"promoted-{kind}")
    study.start_child(0, "trial 0", {}, {})
    study.close()
    promotion = opened(store, f"promoted-{kind}", kind=kind)
    tags = {"sweeper.part": "train", "sweeper.trial": "0"}
    promotion.start_child("trial-0-seed-1-abc", "trial 0, seed 1", {"lr": 0.1}, tags)
    promotion.log_epoch("trial-0-seed-1-abc", 1, {"train_loss": 0.5})
    promotion.finish("trial-0-seed-1-abc", "complete")
    promotion.log_text(None, {"promotion.json": "{}"})
    promotion.close()

    parent = client.get_run(promotion.run_id)
    assert promotion.run_id != study.run_id
    assert parent.info.run_name == f"promoted-{kind} {kind}"
    assert parent.data.tags["mlflow.parentRunId"] == study.run_id
    assert parent.data.tags["sweeper.kind"] == kind
    assert artifacts(client, promotion.run_id) == ["promotion.json"]
    child = client.get_run(promotion.child_run_id("trial-0-seed-1-abc"))
    assert (child.info.run_name, child.info.status) == ("trial 0, seed 1", "FINISHED")
    assert child.data.tags["mlflow.parentRunId"] == promotion.run_id
    assert child.data.tags["sweeper.training"] == "trial-0-seed-1-abc"
    assert tags.items() <= child.data.tags.items()
    assert child.data.params == {"lr": "0.1"}


def test_promotion_without_a_study_in_this_mlflow_stands_alone(store, client):
    promotion = opened(store, "searched-elsewhere", kind="promotion")
    promotion.close()
    assert "mlflow.parentRunId" not in client.get_run(promotion.run_id).data.tags


def test_study_and_promotion_opened_again_find_each_its_own_run_and_children(store):
    first = {}
    for kind, key in (("study", 0), ("promotion", "refit"), ("ablation", "refit")):
        first[kind] = started(opened(store, "both", kind=kind), key)
        first[kind].close()
    for kind, key, foreign in (("study", 0, "refit"), ("promotion", "refit", 0), ("ablation", "refit", 0)):
        again = opened(store, "both", kind=kind)
        again.close()
        assert again.run_id == first[kind].run_id
        assert again.child_run_id(key) == first[kind].child_run_id(key)
        assert again.child_run_id(foreign) is None


@pytest.mark.parametrize(
    ("state", "is_ended"),
    [("complete", True), ("pruned", True), ("failed", True), ("interrupted", False), (None, False)],
)
def test_reopened_promotion_knows_which_trainings_have_ended_and_how_far_each_came(store, state, is_ended):
    study = f"learned-{state}"
    first = started(opened(store, study, kind="promotion"), "refit")
    for epoch in (1, 2):
        first.log_epoch("refit", epoch, {"train_loss": 1 / epoch})
    if state:
        first.finish("refit", state)
    first.close()

    again = opened(store, study, kind="promotion")
    again.close()
    assert again.child_run_id("refit") == first.child_run_id("refit")
    assert again.is_ended("refit") == is_ended
    # Of those that have ended too: one that failed, or whose weights are lost, is trained once more.
    assert again.last_epoch("refit") == 2


def test_unknown_training_has_not_ended_and_has_no_epochs(store):
    tracker = opened(store, "unknown", kind="promotion")
    tracker.close()
    assert tracker.child_run_id("refit") is None
    assert not tracker.is_ended("refit")
    assert tracker.last_epoch("refit") == 0


def test_training_begun_since_the_promotion_was_opened_has_not_ended(store):
    tracker = started(opened(store, "begun", kind="promotion"), "refit")
    assert not tracker.is_ended("refit")
    tracker.close()


def test_flush_returns_when_all_is_delivered_and_writing_goes_on(store, client):
    tracker = opened(store, "flushed")
    tracker.start_child(0, "trial 0", {}, {})
    for epoch in range(1, 21):
        tracker.log_epoch(0, epoch, {"train_loss": 1.0})
    assert tracker.flush() == []
    run_id = tracker.child_run_id(0)
    assert len(client.get_metric_history(run_id, "train_loss")) == 20
    assert tracker.flush() == []  # with nothing to wait for
    tracker.log_epoch(0, 21, {"train_loss": 1.0})
    assert tracker.close() == []
    assert len(client.get_metric_history(run_id, "train_loss")) == 21


def test_flush_gives_the_reasons_of_what_mlflow_refused(store, client):
    tracker = started(opened(store, "flushed-in-vain"), 0)
    client.delete_run(tracker.child_run_id(0))
    tracker.log_epoch(0, 1, {"train_loss": 1.0})
    [reason] = tracker.flush()
    assert "the run of trial 0 was deleted in MLflow" in reason
    assert tracker.close() == [reason]


def test_flush_does_not_wait_for_ever_and_what_failed_is_delivered_later(store, client, monkeypatch):
    monkeypatch.setattr(outbox_worker, "RETRY_SECONDS", 0.01)
    tracker = started(opened(store, "bounded"), 0)
    with monkeypatch.context() as patch:
        patch.setattr(outbox_worker, "CLOSING_SECONDS", 0.05)

        def refuse(*arguments, **options):
            raise MlflowException("away")

        patch.setattr(tracker._client, "log_batch", refuse)
        tracker.log_epoch(0, 1, {"train_loss": 1.0})
        tracker.log_text(0, {"a.txt": "a"})
        assert tracker.flush() == ["away", "away"]
    tracker.log_epoch(0, 2, {"train_loss": 0.5})
    assert tracker.close() == []
    assert [m.step for m in client.get_metric_history(tracker.child_run_id(0), "train_loss")] == [1, 2]


def test_forgotten_file_goes_once_all_before_is_delivered_and_its_neighbours_stay(store, monkeypatch):
    folder = folder_of(store, "forgotten")
    checkpoint, weights = folder / "checkpoint.safetensors", folder / "model.safetensors"
    checkpoint.touch()
    weights.touch()
    tracker = started(opened(store, "forgotten", kind="promotion"), "refit")
    real, gate, seen = tracker._client.set_terminated, threading.Event(), []

    def slow(*arguments):
        gate.wait(DEADLINE)
        seen.append(checkpoint.exists())
        real(*arguments)

    monkeypatch.setattr(tracker._client, "set_terminated", slow)
    tracker.finish("refit", "complete")
    tracker.forget("refit", checkpoint)
    gate.set()
    tracker.forget("refit", folder / "never written")
    assert tracker.close() == []
    assert seen == [True]
    assert not checkpoint.exists()
    assert weights.exists()


def test_file_of_a_training_that_mlflow_does_not_have_whole_stays(store, client):
    folder = folder_of(store, "kept")
    tracker = started(opened(store, "kept", kind="promotion"), "refit")
    client.delete_run(tracker.child_run_id("refit"))
    tracker.finish("refit", "complete")
    (folder / "checkpoint.safetensors").touch()
    tracker.forget("refit", folder / "checkpoint.safetensors")
    assert len(tracker.close()) == 1
    assert (folder / "checkpoint.safetensors").exists()


def test_studies_of_one_name_on_one_server_have_runs_of_their_own(store):
    trackers = [Tracker(store, DATA, print) for _ in range(2)]
    for number, tracker in enumerate(trackers):
        tracker.open("same-name", f"id-{number}", {}, {"seed": number})
        tracker.close()
    assert trackers[0].run_id != trackers[1].run_id


def test_new_data_that_several_name_at_the_same_moment_become_an_input_of_each(store, client):
    experiment = client.create_experiment("racing", artifact_location=(store.artifacts / "racing").as_uri())
    for attempt in range(5):
        run_ids = [client.create_run(experiment).info.run_id for _ in range(4)]
        target = Target("study", "racing", "id", experiment, run_ids[0], f"new {attempt}", "ab" * 32, "{}", "{}")
        together = threading.Barrier(len(run_ids))

        def log(run_id, together=together, target=target):
            together.wait()
            run_writer.log_data(mlflow.MlflowClient(store.tracking_uri), run_id, target, "training")

        with ThreadPoolExecutor(len(run_ids)) as threads:
            list(threads.map(log, run_ids))
        named = [[given.dataset.name for given in client.get_run(run_id).inputs.dataset_inputs] for run_id in run_ids]
        assert named == [[target.data_name]] * len(run_ids)


def test_unreachable_server_is_one_line_without_its_password(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = StoreOptions(store.root, None, "http://me:secret@127.0.0.1:9").resolve({})
    with pytest.raises(SweeperError, match=r"MLflow at http://me:.* cannot be used") as refused:
        Tracker(away, DATA, print).open("s", "id", {}, {})
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)
