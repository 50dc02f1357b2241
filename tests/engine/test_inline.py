"""What is the inline engine's own; `test_conformance.py` has what every engine promises."""

import weakref
from bdb import BdbQuit

import pytest
import torch

from sweeper.engine import inline
from sweeper.engine.base import Failure
from sweeper.engine.inline import InlineEngine
from sweeper.engine.job import TrialResult
from sweeper.errors import SweeperError
from sweeper.training.epoch_metrics import EpochMetrics
from tests.engine.trainings import finish, job
from tests.training.tiny import tiny_data


@pytest.fixture
def engine(tmp_path):
    engine = InlineEngine(lambda fold: tiny_data(), "cpu", 1, False, tmp_path / "logs")
    yield engine
    engine.close()


def test_job_is_trained_only_within_waits(engine, tmp_path):
    engine.train(0, job(tmp_path / "a"))
    assert not (tmp_path / "a").exists()
    [(index, first)] = engine.wait(0)
    assert (index, first.epoch) == (0, 1)
    written = (tmp_path / "a" / "checkpoint.safetensors").stat().st_mtime_ns
    engine.answer(0, proceed=True)
    assert (tmp_path / "a" / "checkpoint.safetensors").stat().st_mtime_ns == written
    assert isinstance(finish(engine, 0)[1], TrialResult)


def test_wait_without_anything_to_train_takes_its_time(engine, monkeypatch, tmp_path):
    slept = []
    monkeypatch.setattr(inline.time, "sleep", slept.append)
    assert engine.wait(0.5) == []
    engine.train(0, job(tmp_path / "a"))
    engine.wait(0.5)
    assert engine.wait(0.25) == []  # an epoch has not been answered
    assert slept == [0.5, 0.25]


def test_torch_computes_as_before_once_the_engine_is_closed(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(7)
    drawn = torch.rand(3)
    torch.manual_seed(7)
    try:
        engine = InlineEngine(lambda fold: tiny_data(), "cpu", 1, False, tmp_path / "logs")
        assert torch.get_num_threads() == 1
        engine.train(0, job(tmp_path / "a"))
        engine.wait(0)
        engine.close()
        assert torch.equal(torch.rand(3), drawn)
        assert torch.get_num_threads() == 2
        assert torch.get_deterministic_debug_mode() == 0
    finally:
        torch.set_num_threads(before)


def test_folds_are_loaded_when_a_job_needs_them_and_one_at_a_time(tmp_path):
    loaded = []

    def load(fold):
        loaded.append(fold)
        return tiny_data()

    engine = InlineEngine(load, "cpu", 1, False, tmp_path / "logs")
    for number, fold in enumerate([1, 1, 0]):
        engine.train(0, job(tmp_path / str(number), number, fold=fold))
        engine.renew(0)
    engine.close()
    assert loaded == [1, 0]


def raising(error):
    def train_trial(*arguments, **options):
        raise error
        yield

    return train_trial


def test_interruption_in_an_epoch_is_no_failure_of_the_job(engine, monkeypatch, tmp_path):
    monkeypatch.setattr(inline, "train_trial", raising(KeyboardInterrupt()))
    engine.train(0, job(tmp_path / "a"))
    with pytest.raises(KeyboardInterrupt):
        engine.wait(0)


def test_debugger_that_is_left_ends_the_command_and_fails_no_trial(engine, monkeypatch, tmp_path):
    monkeypatch.setattr(inline, "train_trial", raising(BdbQuit()))
    engine.train(0, job(tmp_path / "a"))
    with pytest.raises(SweeperError, match=r"^ended in the debugger; nothing is lost, the same command resumes$"):
        engine.wait(0)


def test_failure_of_the_device_ends_the_command_and_fails_no_trial(engine, monkeypatch, tmp_path):
    error = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    monkeypatch.setattr(inline, "train_trial", raising(error))
    engine.train(0, job(tmp_path / "a"))
    with pytest.raises(SweeperError, match=r"^cpu has failed, .* \(CUDA error: an illegal memory.*; nothing is lost"):
        engine.wait(0)


def test_lack_of_memory_is_not_blamed_on_the_job_that_shares_the_process(engine, monkeypatch, tmp_path):
    monkeypatch.setattr(inline, "train_trial", raising(MemoryError()))
    engine.train(0, job(tmp_path / "a"))
    [(_, failure)] = engine.wait(0)
    assert (failure.kind, failure.own_fault) == ("out_of_memory", False)


class Network:
    """What a weak reference can be made to."""


@pytest.mark.parametrize("fails", [False, True])
def test_network_is_gone_when_its_memory_is_given_back(engine, monkeypatch, tmp_path, fails):
    networks, left = [], []

    def train_trial(*arguments, **options):
        network = Network()
        networks.append(weakref.ref(network))
        if fails:
            raise ValueError("oops")
        yield TrialResult(None)

    monkeypatch.setattr(inline, "train_trial", train_trial)
    monkeypatch.setattr(engine, "_give_back", lambda: left.append(networks[-1]()))
    engine.train(0, job(tmp_path / "a"))
    engine.wait(0)
    assert left == [None]


def test_log_that_cannot_be_written_ends_no_training(engine, tmp_path):
    engine.log(0).symlink_to("/dev/full")
    engine.train(0, job(tmp_path / "a", epochs=1))
    epochs, result = finish(engine, 0)
    assert ([type(each) for each in epochs], type(result)) == ([EpochMetrics], TrialResult)


def test_folder_of_logs_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "logs").touch()
    with pytest.raises(SweeperError, match=r"^the workers' logs cannot be written: .*Not a directory.*/logs/study"):
        InlineEngine(lambda fold: tiny_data(), "cpu", 1, False, tmp_path / "logs" / "study")


def test_full_disk_is_told_with_the_file(engine, monkeypatch, tmp_path):
    monkeypatch.setattr(inline, "train_trial", raising(OSError(28, "No space left on device", str(tmp_path / "file"))))
    engine.train(0, job(tmp_path / "a"))
    [(_, failure)] = engine.wait(0)
    assert isinstance(failure, Failure)
    assert failure.message == f"{tmp_path / 'file'} cannot be written: No space left on device"
