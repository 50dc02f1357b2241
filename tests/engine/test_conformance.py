"""What every engine promises (`sweeper.engine.base.Engine`), on each of them."""

import os
import re
import signal
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from sweeper.config import ConvNetConfig, TrainConfig
from sweeper.data.training_set import TrainingSet
from sweeper.engine import start
from sweeper.engine.base import Died, Failure, Lost
from sweeper.engine.execution import Execution
from sweeper.engine.job import TrialResult, train_trial
from sweeper.engine.ray.pool import RayPool
from sweeper.engine.workload import Workload
from sweeper.events import Note
from sweeper.store.options import StoreOptions
from sweeper.training.checkpoint import holds, read_history
from sweeper.training.epoch_metrics import epochs_of
from tests.engine.trainings import finish, job, receive, scores
from tests.fake_data import fake_images
from tests.training.tiny import CLASSES, tiny_data

# Each with one worker.
ENGINES = {
    "local": Execution(("cpu",), 1, "channels_last"),
    "inline": Execution(("cpu",), 1, "channels_last", engine="inline"),
    "ray": Execution(("cpu",), 1, "channels_last", engine="ray"),
}
IN_A_CLUSTER = pytest.param("ray", marks=pytest.mark.fault)
WITH_PROCESSES = ["local", IN_A_CLUSTER]
# Longer than an epoch of these trainings, in seconds: what comes although it must not comes within it.
SILENCE = 0.3


@pytest.fixture(scope="module", params=["local", "inline", IN_A_CLUSTER])
def engine(request, tmp_path_factory):
    """An engine with its data, and a place for its worker; closed, it leaves nothing of the data."""
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
    store = StoreOptions(tmp_path_factory.mktemp(request.param)).resolve({})
    images, labels = fake_images(170, CLASSES, 8, seed=0)
    training_set = TrainingSet(
        "tiny", images[:, None], labels.astype(np.int64), tuple("abcd"), sha256="0", source="here"
    )
    folds = [(np.arange(130), np.arange(130, 170)), (np.arange(40, 170), np.arange(40))]
    workload = Workload(training_set, folds, [([0.2], [0.2]), ([0.3], [0.3])], store, "study", "0" * 32)
    engine = start.start_workers(workload, ENGINES[request.param])
    yield engine
    engine.close()
    assert not workload.images_folder.exists()


@pytest.fixture(autouse=True)
def place(engine):
    """Waits until the worker has a place."""
    while not engine.at_once(0):
        engine.wait(1.0)


def weights(trial):
    return {name: tensor.tobytes() for name, tensor in load_file(trial.weights).items()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The job's weights after an undisturbed training, and its scores."""
    trial = job(tmp_path_factory.mktemp("expected"))
    *epochs, _ = train_trial(trial, tiny_data())
    return weights(trial), scores(epochs)


def trained(engine, trial):
    """Trains the job to its end; returns what `expected` has of it."""
    engine.train(0, trial)
    epochs, result = finish(engine, 0)
    assert isinstance(result, TrialResult)
    return weights(trial), scores(epochs)


def begin(engine, trial):
    """Trains the first epoch of the job."""
    engine.train(0, trial)
    epoch = receive(engine, 0)
    assert epoch.epoch == 1
    return epoch


def test_every_worker_belongs_to_one_process(engine):
    assert [index for process in engine.processes() for index in process] == list(range(len(engine)))


def test_all_engines_train_the_same_weights_bitwise(engine, expected, tmp_path):
    assert trained(engine, job(tmp_path)) == expected


def test_each_fold_has_its_own_images_and_scaling(engine, expected, tmp_path):
    assert trained(engine, job(tmp_path / "1", fold=1)) != expected
    assert trained(engine, job(tmp_path / "0")) == expected


def test_files_of_epochs_and_result_are_there_before_the_messages(engine, tmp_path):
    trial = job(tmp_path)
    begin(engine, trial)
    for epoch in (1, 2, 3):
        assert [m.epoch for m in epochs_of(read_history(trial.checkpoint))] == list(range(1, epoch + 1))
        assert not trial.weights.exists()
        engine.answer(0, proceed=True)
        message = receive(engine, 0)
    assert isinstance(message, TrialResult)
    assert holds(trial.weights, trial.identity)


def test_nothing_comes_of_an_epoch_until_it_is_answered(engine, tmp_path):
    trial = job(tmp_path)
    begin(engine, trial)
    assert engine.wait(SILENCE) == []
    assert len(read_history(trial.checkpoint)) == 1
    engine.answer(0, proceed=False)


def test_job_that_is_ended_leaves_the_worker_free_and_nothing_more_comes_of_it(engine, expected, tmp_path):
    ended = job(tmp_path / "ended", train=TrainConfig(lr=1e-4))
    begin(engine, ended)
    engine.answer(0, proceed=False)
    assert engine.wait(SILENCE) == []
    assert trained(engine, job(tmp_path / "next")) == expected
    assert len(read_history(ended.checkpoint)) == 1


def test_job_resumes_from_the_checkpoint_of_another_engine(engine, expected, tmp_path):
    there = job(tmp_path / "there")
    next(training := train_trial(there, tiny_data()))
    training.close()
    assert trained(engine, there) == expected
    here = job(tmp_path / "here")
    begin(engine, here)
    engine.answer(0, proceed=False)
    engine.wait(SILENCE)
    *epochs, _ = train_trial(here, tiny_data())
    assert (weights(here), scores(epochs)) == expected


def test_checkpoint_that_cannot_be_used_is_a_note_which_needs_no_answer(engine, expected, tmp_path):
    trial = job(tmp_path)
    tmp_path.joinpath("checkpoint.safetensors").write_bytes(b"damaged")
    engine.train(0, trial)
    note = receive(engine, 0)
    assert isinstance(note, Note)
    assert "the training starts anew" in note.text
    epochs, _ = finish(engine, 0)
    assert (weights(trial), scores(epochs)) == expected


@pytest.mark.parametrize(
    ("trial", "kind", "message"),
    [
        (lambda folder: job(folder, train=TrainConfig(optimizer="sgd", lr=1e30)), "diverged", "the training loss of"),
        (lambda folder: job(folder, model=ConvNetConfig(filters=(4,), kernel_size=9)), "error", "ValueError: "),
    ],
    ids=["diverged", "error"],
)
def test_failure_of_a_job_is_told_with_its_reason_and_the_worker_goes_on(
    engine, expected, tmp_path, trial, kind, message
):
    engine.train(0, replace(trial(tmp_path / "failing"), number=91))
    _, failure = finish(engine, 0)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.message[: len(message)]) == (kind, message)
    assert ("Traceback" in failure.trace) == (kind == "error")
    assert trained(engine, job(tmp_path / "next", number=92)) == expected
    assert re.search(r"^trial 91, seed 5 failed: .*^trial 92, seed 5: begins", engine.log(0).read_text(), re.M | re.S)


def test_log_has_each_epoch_that_was_trained_once(engine, tmp_path):
    trial = job(tmp_path, number=93)
    begin(engine, trial)
    engine.answer(0, proceed=False)
    trained(engine, trial)
    lines = [line for line in engine.log(0).read_text().splitlines() if line.startswith("trial 93, seed 5")]
    begun = [line.partition(", pid")[0] for line in lines if "begins" in line]
    assert begun == [f"trial 93, seed 5: begins, epochs done: {done} of 3" for done in (0, 1)]
    assert [int(line.split("epoch ")[1][0]) for line in lines if ", epoch " in line] == [1, 2, 3]


def test_renewed_worker_has_forgotten_its_job(engine, expected, tmp_path):
    trial = job(tmp_path)
    begin(engine, trial)
    engine.renew(0)
    assert engine.wait(SILENCE) == []
    place_again(engine)
    assert trained(engine, trial) == expected


def test_worker_that_is_killed_on_demand_is_reported_with_all_of_its_process_and_then_replaced(
    engine, expected, tmp_path
):
    trial = job(tmp_path)
    begin(engine, trial)
    became = engine.kill(0, "nothing came")
    assert list(became) == list(next(process for process in engine.processes() if 0 in process))
    assert all(isinstance(each, Lost) or each.hung == "nothing came" for each in became.values())
    assert engine.wait(SILENCE) == []
    place_again(engine)
    assert trained(engine, trial) == expected


@pytest.mark.parametrize("engine", WITH_PROCESSES, indirect=True, scope="module")
def test_death_of_a_worker_is_no_failure_of_its_job(engine, expected, tmp_path):
    trial = job(tmp_path, number=94)
    begin(engine, trial)
    [pid] = re.findall(r"^trial 94, seed 5: begins, .*, pid (\d+)$", engine.log(0).read_text(), re.M)
    os.kill(int(pid), signal.SIGKILL)
    assert isinstance(receive(engine, 0), Died)
    place_again(engine)
    assert trained(engine, trial) == expected


def place_again(engine):
    """Waits until the worker's new process has a place."""
    while not engine.at_once(0):
        assert engine.wait(1.0) == []


def test_limits_lower_how_many_train_at_once_and_are_lifted(engine):
    most = engine.at_once(0)
    engine.limit_concurrency(0, most + 1)
    assert engine.at_once(0) == most
    engine.limit_concurrency(0, 1)
    engine.limit_concurrency(0, most)
    assert engine.at_once(0) == 1
    engine.lift_limit(0)
    assert engine.at_once(0) == most


def test_worker_with_a_place_waits_for_nothing(engine):
    assert engine.waiting() == ""
    assert engine.place(0) == ("node-1" if isinstance(engine, RayPool) else "")
