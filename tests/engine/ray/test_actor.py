import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.engine.base import Died, Failure
from sweeper.engine.job import InitialWeights, TrialJob, TrialResult
from sweeper.engine.local.worker import Ready, WorkerSetup
from sweeper.engine.ray import actor, node_folders
from sweeper.engine.ray.actor import Worker
from sweeper.engine.ray.weights import Weights
from tests.engine.fakes import metrics

IMAGES = ["images of fold 0", "images of fold 1"]
# An actor's process without Ray, which trains a trial and writes the names of its modules to a file.
TRAINING = """
import sys
from pathlib import Path
from types import SimpleNamespace
from sweeper.engine.ray import actor
actor.cluster = SimpleNamespace(get=lambda reference: reference, own_node_id=lambda: "n")
worker = actor.Worker()
worker.contact()
import numpy as np
from sweeper.config import Configuration, ConvNetConfig, TrainConfig
images, labels = np.zeros((64, 1, 8, 8), np.uint8), np.arange(64) % 2
setup = actor.WorkerSetup(Path(), 2, [([0.2], [0.2])], threads=1, layout="channels_last")
assert not worker.begin(setup, "cpu", 1, [((images, labels), (images, labels))]).messages
model = ConvNetConfig(filters=(4,), kernel_size=3, padding=(0,), pool_after=(1,), hidden=(8,))
job = actor.TrialJob(0, Configuration(model, TrainConfig(batch_size=16)), 1, 5, Path("trial-0"), "data")
reply = worker.train(0, job, {}, None, None, None)
while not isinstance(reply.messages[-1], actor.TrialResult):
    assert not isinstance(reply.messages[-1], actor.Failure), reply.messages
    reply = worker.receive(0) if isinstance(reply.messages[-1], actor.BatchesDone) else worker.answer(0, True)
Path(sys.argv[1]).write_text(" ".join({name.partition(".")[0] for name in sys.modules}))
worker.end()
"""
# Their imports take time and memory.
NOT_FOR_TRAINING = {"alembic", "matplotlib", "mlflow", "optuna", "plotly", "sqlalchemy", "timm", "torchvision"}


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Starts an actor in this process, whose worker does what the function says with its connection and setup."""
    folders = iter(range(10))
    monkeypatch.setattr(node_folders, "make", lambda: _made(tmp_path / f"actor-{next(folders)}"))
    monkeypatch.setattr(actor.os, "dup2", lambda *descriptors: None)
    monkeypatch.setattr(actor, "cluster", SimpleNamespace(get=lambda reference: reference, own_node_id=lambda: "n"))

    def start(do):
        monkeypatch.setattr(actor, "work", lambda connections, setup, device: do(connections[0], setup))
        setup = WorkerSetup(images_folder=tmp_path, n_classes=2, scalings=[], threads=1, layout="channels_last")
        worker = Worker()
        return worker, worker.begin(setup, "cpu", 1, IMAGES)

    return start


def _made(folder):
    folder.mkdir()
    return folder


def job(**others):
    configuration = Configuration(ConvNetConfig(), TrainConfig())
    return TrialJob(0, configuration, 2, 5, "/the/store/trial-0", "data", **others)


def write_log(worker, text):
    with open(worker._folder / "log", "a") as log:
        log.write(text)


def test_contact_says_where_and_what_the_process_is(started, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    found = actor.Contact.of(Worker().contact())
    assert found.node == "n"
    assert found.token
    assert set(found.software) == {"sweeper", "torch", "Python"}


def test_each_message_brings_the_new_files_and_lines_of_the_log(started):
    def train(connection, setup):
        assert setup.read(1) == "images of fold 1"
        connection.send(Ready())
        given = connection.recv()
        assert given.checkpoint.read_bytes() == b"from the store"
        given.checkpoint.write_bytes(b"epoch 1")
        write_log(worker, "epoch 1\n")
        connection.send(metrics(1, 0.5))
        assert connection.recv() is True
        given.weights.write_bytes(b"weights")
        write_log(worker, "done\n")
        connection.send(TrialResult(None))
        connection.recv()

    worker, begun = started(train)
    assert begun.messages == ()
    reply = worker.train(0, job(), {"checkpoint.safetensors": b"from the store"}, None, None, None)
    assert [message.epoch for message in reply.messages] == [1]
    assert (reply.new_files, reply.log) == ({"checkpoint.safetensors": b"epoch 1"}, b"epoch 1\n")
    reply = worker.answer(0, True)
    assert reply.messages == [TrialResult(None)]
    assert (reply.new_files, reply.log) == ({"model.safetensors": b"weights"}, b"done\n")


def test_worker_that_ends_is_dead_and_its_last_lines_arrive(started):
    def end(connection, setup):
        connection.send(Ready())
        connection.recv()
        write_log(worker, "the card failed\n")

    worker, _ = started(end)
    reply = worker.train(0, job(), {}, None, None, None)
    assert reply.messages == [Died(1)]
    assert reply.log == b"the card failed\n"
    assert worker.answer(0, True).messages == [Died(1)]


def test_worker_that_ends_before_it_is_ready_has_died_of_its_start(started):
    _, begun = started(lambda connection, setup: None)
    assert begun.messages == [Died(1, ready=False)]


@pytest.mark.parametrize(
    "failure", [Failure("disk_full", "x cannot be written"), Failure("error", "x cannot be written", of_the_store=True)]
)
def test_folder_of_the_node_that_cannot_be_written_to_is_no_failure_of_the_job(started, failure):
    def fail(connection, setup):
        connection.send(Ready())
        connection.recv()
        connection.send(failure)
        connection.recv()

    worker, _ = started(fail)
    reply = worker.train(0, job(), {}, None, None, None)
    assert (reply.messages, reply.unfit) == ((), "x cannot be written")


def test_initial_weights_come_with_the_job(started, tmp_path):
    def check(connection, setup):
        connection.send(Ready())
        given = connection.recv()
        assert given.initial.path.read_bytes() == b"weights"
        connection.send(TrialResult(None))
        connection.recv()

    worker, _ = started(check)
    initial = InitialWeights(tmp_path / "not-here", "abc", (), False)
    reply = worker.train(0, job(initial=initial), {}, Weights("abc.safetensors", b"weights"), None, None)
    assert reply.messages == [TrialResult(None)]
    assert reply.new_files == {}


def test_end_deletes_the_files_of_the_process(started):
    def idle(connection, setup):
        connection.send(Ready())
        connection.recv()

    worker, _ = started(idle)
    assert os.path.exists(worker._folder)
    worker.end()
    assert not os.path.exists(worker._folder)


def test_process_that_has_made_no_files_deletes_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "somebody's").touch()
    with pytest.raises(AssertionError):
        Worker().end()
    assert (tmp_path / "somebody's").exists()


def test_actor_that_trains_imports_nothing_that_only_its_coordinator_needs(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", TRAINING, str(tmp_path / "modules")]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    modules = set((tmp_path / "modules").read_text().split())
    assert {"torch", "scipy"} <= modules
    assert modules & NOT_FOR_TRAINING == set()
