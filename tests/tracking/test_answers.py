"""Something else than MLflow answers at a server's address, or answers late: a real server behind a front."""

import socket
import time
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from click.testing import CliRunner
from mlflow.exceptions import MlflowException
from urllib3.exceptions import MaxRetryError, ReadTimeoutError

from sweeper.cli import main
from sweeper.doctor import examination
from sweeper.doctor.check import safely
from sweeper.errors import SweeperError
from sweeper.images.preprocessing import Preprocessing
from sweeper.store.names import folder_name
from sweeper.tracking import answers, client, outbox_worker
from sweeper.tracking.outbox import waiting
from sweeper.tracking.registry import Registry
from sweeper.tracking.tracker import Tracker
from tests.tracking import front, stand_ins
from tests.tracking.conftest import DATA

WEIGHTS = b"w" * 4321


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with front.running(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def store(server, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(outbox_worker, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(outbox_worker, "CLOSING_SECONDS", 0.2)
    return server.store(tmp_path / "store")


def started(store, study):
    """A study with one epoch of one trial in MLflow, and the trial's weights, which are still to be logged."""
    tracker, study_id = Tracker(store, DATA, print), uuid4().hex
    tracker.open(study, study_id, {}, {})
    tracker.start_child(0, "trial 0", {"lr": 0.1}, {})
    tracker.log_epoch(0, 1, {"train_loss": 1.0})
    assert tracker.flush() == []
    weights = store.root / "checkpoints" / folder_name(study, study_id) / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(WEIGHTS)
    return tracker, weights


def go_on(tracker, weights):
    """Ends the trial and begins another: the reasons of what was not delivered."""
    tracker.log_epoch(0, 2, {"train_loss": 0.5, "lr": float("nan")})
    tracker.log_text(0, {"config.json": "ä", "report/why.txt": "text"})
    tracker.log_weights(0, weights)
    tracker.finish(0, "complete", metrics={"seconds": 1.0})
    tracker.forget(0, weights)
    tracker.start_child(1, "trial 1", {"lr": 0.2}, {})
    tracker.finish(1, "complete")
    return tracker.close()


def assert_delivered(store, run_id):
    connected = client.connect(store)
    run = connected.get_run(run_id)
    assert [metric.step for metric in connected.get_metric_history(run_id, "train_loss")] == [1, 2]
    assert (run.info.status, run.data.tags["sweeper.state"]) == ("FINISHED", "complete")
    assert run.data.metrics["seconds"] == 1.0
    assert {(file.path, file.file_size) for file in connected.list_artifacts(run_id, "weights")} == {
        ("weights/model.safetensors", len(WEIGHTS))
    }
    assert {file.path for file in connected.list_artifacts(run_id)} == {"config.json", "report", "weights"}


CASES = {
    **{name: (name, lambda environ: True) for name in front.OTHERS},
    "uploads that are not kept": ("empty objects", front.is_upload),
    "writes that are not kept": ("empty objects", lambda environ: "log-batch" in environ["PATH_INFO"]),
    "ends that are not kept": ("empty objects", lambda environ: "runs/update" in environ["PATH_INFO"]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_something_else_took_in_mlflows_place_waits_and_sync_delivers_it(server, store, case, tmp_path):
    study = case.replace(" ", "-")
    tracker, weights = started(store, study)
    with server.answering(*CASES[case]):
        undelivered = go_on(tracker, weights)
    assert all("the answer is not MLflow's" in reason for reason in undelivered)
    assert undelivered
    [outbox] = store.outboxes.glob("*.db")
    assert waiting(outbox) == len(undelivered)
    assert weights.read_bytes() == WEIGHTS
    assert list((tmp_path / "elsewhere").iterdir()) == []

    result = CliRunner().invoke(main, ["sync", "--store", str(store.root), "--tracking-uri", server.uri])
    assert (result.exit_code, result.stdout) == (0, f"{study}: {len(undelivered)} writes delivered\n")
    assert not weights.exists()
    assert_delivered(store, tracker.child_run_id(0))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_everything_that_mlflow_takes_is_delivered_at_once(server, store):
    tracker, weights = started(store, "undisturbed")
    assert go_on(tracker, weights) == []
    assert not weights.exists()
    assert_delivered(store, tracker.child_run_id(0))


@pytest.mark.parametrize("case", front.OTHERS)
def test_address_of_something_else_is_recognised_at_the_start_and_by_doctor(server, store, case):
    with server.answering(case):
        with pytest.raises(SweeperError, match=f"^MLflow at {server.uri} cannot be used: the answer is not MLflow's"):
            client.check_tracking(store, "tiny")
        with pytest.raises(SweeperError, match="the answer is not MLflow's"):
            client.connect(store)
        found = safely("mlflow", partial(examination._mlflow, store))
        result = CliRunner().invoke(main, ["sync", "--store", str(store.root), "--tracking-uri", server.uri])
    assert (found.status, "the answer is not MLflow's" in found.found) == ("error", True)
    assert "\n" not in found.found
    assert result.exit_code == 0  # nothing waits
    client.check_tracking(store, "tiny")


@pytest.mark.parametrize("case", ["empty objects", "login page"])
def test_answers_are_checked_also_for_a_server_below_a_path(server, tmp_path, case):
    store = front.store_at(tmp_path / "store", server.uri + front.BELOW)
    connected = client.connect(store)
    with server.answering(case), pytest.raises(MlflowException, match="the answer is not MLflow's"):
        connected.create_run("0")
    assert connected.get_run(connected.create_run("0").info.run_id).info.status == "RUNNING"


def test_network_whose_files_are_not_kept_is_not_registered(server, store, monkeypatch):
    stand_ins.use(monkeypatch)
    tracker, weights = started(store, "registry")
    registry, run_id = Registry(store), tracker.child_run_id(0)
    arguments = (
        "tiny-model",
        DATA.sha256,
        run_id,
        "identity",
        None,
        None,
        {"model.safetensors": weights},
        {},
        "",
        (),
        Preprocessing(),
    )
    for part in ("/weights/", "/models/"):  # the run's own files are lost, and then only the model's
        lost = partial(lambda part, environ: front.is_upload(environ) and part in environ["PATH_INFO"], part)
        with server.answering("empty objects", lost), pytest.raises(SweeperError, match="but does not have it"):
            registry.register(*arguments)
        assert registry.find_version("tiny-model", "identity") is None
    assert registry.register(*arguments) == "1"
    tracker.close()


def test_slow_server_is_given_up_after_the_time_for_one_request(server, store, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    started = time.monotonic()
    with server.answering(front.dripping), pytest.raises(SweeperError, match=r"has not answered within 1 s$"):
        client.check_server(store)
    assert time.monotonic() - started < 60  # the answer itself would take hours


def test_server_that_never_answers_is_given_up_and_named(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr(answers, "ANNOUNCED_SECONDS", 0.05)
    monkeypatch.setattr(answers, "_said", -100.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        silent_store = front.store_at(tmp_path / "silent", f"http://user:s3cr3t@{address}")
        with pytest.raises(SweeperError, match=r"http://user:\*\*\*@.* cannot be used: the server has not answered"):
            client.check_server(silent_store)
    assert capsys.readouterr().err == f"Waiting for MLflow at http://user:***@{address}, 1 s at most ...\n"


@pytest.mark.parametrize(("timeout", "said"), [((3.05, 0.05), "600 s"), (None, "600 s"), (2, "2 s")])
def test_time_that_a_library_gives_in_another_form_or_not_at_all_can_be_told(monkeypatch, timeout, said):
    def late(*arguments):
        raise answers.requests.exceptions.ReadTimeout

    monkeypatch.setattr(answers.BoundedAdapter.__base__, "send", late)
    request = answers.requests.Request("GET", "http://host/file").prepare()
    with pytest.raises(TimeoutError, match=f"has not answered within {said}$"):
        answers.BoundedAdapter().send(request, timeout=timeout)


def test_silent_socket_is_told_alike_if_it_is_the_reason_of_the_last_retry(monkeypatch):
    def late(*arguments):
        reason = MaxRetryError(None, "/", ReadTimeoutError(None, "/", "Read timed out."))
        raise answers.requests.exceptions.ConnectionError(reason)

    monkeypatch.setattr(answers.BoundedAdapter.__base__, "send", late)
    request = answers.requests.Request("GET", "http://host/api").prepare()
    with pytest.raises(TimeoutError, match=r"has not answered within 2 s$"):
        answers.BoundedAdapter().send(request, timeout=2)


def test_large_upload_has_more_time(server):
    request = answers.requests.Request("PUT", server.uri, data=b"x" * 500_000).prepare()
    assert answers._limit(request, 30, stream=False) == 40


def test_download_is_whole_also_if_it_is_kept_on_disk_meanwhile(server, store, tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "IN_MEMORY", 100)
    tracker, weights = started(store, "download")
    assert go_on(tracker, weights) == []
    found = client.connect(store).download_artifacts(
        tracker.child_run_id(0), "weights/model.safetensors", str(tmp_path)
    )
    assert Path(found).read_bytes() == WEIGHTS


def test_redirect_to_another_address_of_the_same_interface_is_followed_for_questions(server, store):
    def moved(environ, start):
        start("308 Permanent Redirect", [("Location", f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}&moved=1")])
        return [b""]

    with server.answering(moved, lambda environ: "moved=1" not in environ["QUERY_STRING"]):
        client.check_server(store)


def test_name_that_mlflow_does_not_answer_to_is_told_with_the_option_that_allows_it():
    answer = requests.Response()
    answer.status_code, answer.reason, answer.url = (
        403,
        "Forbidden",
        "http://mlflow.example:5000/api/2.0/mlflow/runs/get",
    )
    answer._content = b"Invalid Host header - possible DNS rebinding attack detected"
    with pytest.raises(answers.NotMlflow, match=r"start `mlflow server` with --allowed-hosts mlflow\.example:5000$"):
        answers.check(answer, "GET", "/runs/get", stream=False)
