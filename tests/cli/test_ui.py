import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from sweeper.cli import main
from sweeper.store.options import StoreOptions
from sweeper.tracking.tracker import DataRecord, Tracker
from tests.commands.processes import DEADLINE, children, command_line
from tests.hostile import within


@pytest.fixture
def store(tmp_path):
    store = StoreOptions(tmp_path / "store").resolve({})
    store.prepare()
    Tracker(store, DataRecord("tiny", "0" * 64, "/data", (1, 1, 28, 28)), print)
    return store


def run(*arguments):
    return CliRunner().invoke(main, ["ui", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.slow
def test_ui_serves_the_store_and_names_the_plain_command(store):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "sweeper", "ui", "--store", str(store.root), "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"MLFLOW_WORKERS": "1"},  # of MLflow's four, each would import as much
        start_new_session=True,
    )
    try:
        page = "/#/experiments?workflowType=machine_learning"
        assert process.stdout.readline() == f"http://127.0.0.1:{port}{page}\n"
        plain = process.stdout.readline()
        assert f"mlflow ui --backend-store-uri {store.tracking_uri} --host 127.0.0.1 --port {port}" in plain
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                    assert answer.read() == b"OK"
                    break
            except OSError:
                assert time.monotonic() < deadline, f"the UI did not start within {DEADLINE} s"
                assert process.poll() is None
                time.sleep(0.5)
        started = [command_line(child) for child in children(process.pid)]
        assert [line for line in started if "uvicorn" in line]
        assert not [line for line in started if "jobs" in line]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(DEADLINE)


def test_store_without_runs_is_named(tmp_path):
    with within():  # a UI would run for ever
        result = run("--store", tmp_path / "none")
    assert result.exit_code == 1
    assert f"no runs in {tmp_path / 'none'} yet" in result.stderr
    assert not (tmp_path / "none").exists()


def test_other_host_needs_allowed_hosts(store):
    result = run("--store", store.root, "--host", "0.0.0.0")
    assert result.exit_code == 2
    assert "name the hosts that browsers may use (--allowed-hosts)" in result.stderr


def test_sqlite_file_of_the_users_own_is_served(store, tmp_path, monkeypatch):
    (tmp_path / "own.db").write_bytes((store.root / "mlflow.db").read_bytes())
    uri, started = f"sqlite:///{tmp_path}/own.db", []
    monkeypatch.setattr(os, "execve", lambda program, arguments, environment: started.extend(arguments))
    result = run("--store", tmp_path / "none", "--tracking-uri", uri)
    assert result.exit_code == 0
    assert f"mlflow ui --backend-store-uri {uri}" in result.stdout
    assert started[started.index("--backend-store-uri") + 1] == uri


@pytest.mark.parametrize(("own", "passed"), [(None, "false"), ("true", "true")])
def test_jobs_of_mlflow_run_only_if_the_user_says_so(store, monkeypatch, own, passed):
    name, environments = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", []
    monkeypatch.delenv(name, raising=False)
    if own:
        monkeypatch.setenv(name, own)
    monkeypatch.setattr(os, "execve", lambda program, arguments, environment: environments.append(environment))
    assert run("--store", store.root).exit_code == 0
    assert [environment[name] for environment in environments] == [passed]


def test_address_is_that_of_the_latest_study_s_runs(store, monkeypatch):
    client = MlflowClient(store.tracking_uri)
    experiment = client.create_experiment("studied", artifact_location=(store.artifacts / "studied").as_uri())
    client.create_run(experiment, tags={"sweeper.kind": "study"})
    monkeypatch.setattr(os, "execve", lambda *arguments: None)
    page = f"/#/experiments/{experiment}/runs?workflowType=machine_learning"
    for host, shown in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
        result = run("--store", store.root, "--host", host, "--port", 5001)
        assert result.stdout.splitlines()[0] == f"http://{shown}:5001{page}"


def test_missing_sqlite_file_of_the_users_own_is_named(store, tmp_path):
    result = run("--store", store.root, "--tracking-uri", f"sqlite:///{tmp_path}/own.db")
    assert result.exit_code == 1
    assert f"no runs in {tmp_path}/own.db yet" in result.stderr
    assert not (tmp_path / "own.db").exists()


def test_server_of_the_users_own_is_not_served_again_but_named_without_its_password(store):
    result = run("--store", store.root, "--tracking-uri", "http://me:secret@127.0.0.1:1")
    assert result.exit_code == 2
    assert "not in a SQLite file but at http://me:***@127.0.0.1:1" in result.stderr
