"""Real processes on tiny data."""

import os
import signal
import time

import numpy as np
import pytest

from sweeper.config import Configuration, ModelConfig, TrainConfig
from sweeper.search.trial import TrialJob, TrialResult
from sweeper.search.workers import Died, Failure, WorkerPool, WorkerSetup
from sweeper.training.fit import EpochMetrics
from tests.fake_data import fake_images
from tests.training.tiny import MODEL


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    images, labels = fake_images(170, 4, 8, seed=0)
    images, labels = images[:, None], labels.astype(np.int64)
    setup = WorkerSetup(
        train=(images[:130], labels[:130]),
        validation=(images[130:], labels[130:]),
        n_classes=4,
        mean=[0.2],
        std=[0.2],
        threads=1,
        layout="channels_last",
    )
    pool = WorkerPool(setup, ["cpu", "cpu"], tmp_path_factory.mktemp("logs"))
    yield pool
    pool.close()


def job(folder, number=0, *, model=MODEL, train=None, epochs=3):
    return TrialJob(
        number, Configuration(model, train or TrainConfig(lr=1e-2, batch_size=16)), epochs, 5, folder, "data"
    )


def receive(pool, index):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for sender, message in pool.wait(1.0):
            assert sender == index
            return message
    raise AssertionError("the worker sent nothing for a minute")


def finish(pool, index, first=None):
    """Lets the trial run to its end: its epochs and its last message."""
    epochs = []
    message = first or receive(pool, index)
    while isinstance(message, EpochMetrics):
        epochs.append(message)
        pool.answer(index, go_on=True)
        message = receive(pool, index)
    return epochs, message


def scores(epochs):
    return [(m.epoch, m.train_loss, m.validation_loss, m.validation_accuracy) for m in epochs]


def test_trial_sends_its_epochs_and_its_confusion_matrix_and_leaves_its_weights(pool, tmp_path):
    trial = job(tmp_path / "a")
    pool.train(0, trial)
    epochs, result = finish(pool, 0)
    assert [m.epoch for m in epochs] == [1, 2, 3]
    assert isinstance(result, TrialResult)
    assert result.confusion.sum() == 40
    assert np.trace(result.confusion) / 40 == pytest.approx(epochs[-1].validation_accuracy)
    assert trial.weights.stat().st_size > 0


def test_result_does_not_depend_on_the_worker_nor_on_what_it_trained_before(pool, tmp_path):
    pool.train(0, job(tmp_path / "a"))
    first, _ = finish(pool, 0)
    pool.train(1, job(tmp_path / "b", model=ModelConfig(filters=(3,), kernel_size=3, pool_after=())))
    finish(pool, 1)
    pool.train(1, job(tmp_path / "c"))
    assert scores(finish(pool, 1)[0]) == scores(first)


def test_trial_told_to_stop_stops_and_goes_on_later_bitwise(pool, tmp_path):
    pool.train(0, job(tmp_path / "whole"))
    whole, _ = finish(pool, 0)
    pool.train(0, job(tmp_path / "cut"))
    receive(pool, 0)
    pool.answer(0, go_on=False)
    pool.train(1, job(tmp_path / "cut"))
    assert scores(finish(pool, 1)[0]) == scores(whole)


def test_killed_worker_is_replaced_and_its_trial_goes_on_bitwise(pool, tmp_path):
    pool.train(0, job(tmp_path / "whole"))
    whole, _ = finish(pool, 0)
    pool.train(1, job(tmp_path / "cut"))
    receive(pool, 1)
    os.kill(pool._workers[1][0].pid, signal.SIGKILL)
    died = receive(pool, 1)
    assert died == Died(-signal.SIGKILL)
    pool.train(1, job(tmp_path / "cut"))
    assert scores(finish(pool, 1)[0]) == scores(whole)


def test_diverged_trial_is_told_as_such(pool, tmp_path):
    pool.train(0, job(tmp_path, train=TrainConfig(optimizer="sgd", lr=1e30)))
    _, failure = finish(pool, 0)
    assert (failure.kind, failure.message[:26]) == ("diverged", "the training loss of epoch")


def test_failure_is_told_with_its_trace_and_the_worker_goes_on(pool, tmp_path):
    (tmp_path / "file").touch()
    pool.train(0, job(tmp_path / "file" / "folder"))
    _, failure = finish(pool, 0)
    assert isinstance(failure, Failure)
    assert failure.kind == "error"
    assert "Traceback" in failure.trace
    assert "Traceback" in pool.log(0).read_text()
    pool.train(0, job(tmp_path / "next", epochs=1))
    assert isinstance(finish(pool, 0)[1], TrialResult)


def test_workers_do_not_heed_signals_meant_for_the_coordinator(pool, tmp_path):
    pool.train(0, job(tmp_path))
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pool._workers[0][0].pid, number)
    assert isinstance(finish(pool, 0)[1], TrialResult)
