import os
import subprocess
import sys
import threading
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.config.training import OPTIMIZERS
from sweeper.engine.base import BatchesDone, Died, Failure
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.engine.local import heartbeat, pool, worker
from sweeper.engine.local.pool import WorkerPool
from sweeper.engine.local.worker import Ready, WorkerSetup
from tests.commands.processes import DEADLINE
from tests.training.tiny import MODEL, tiny_data

ROOT = Path(__file__).parents[3]


class Ended(Exception):
    """What _exit does, so that a test survives it."""


@pytest.mark.parametrize("error", [None, OSError("no such fold")])
def test_thread_takes_its_process_with_it_however_it_ends(monkeypatch, error):
    def train_all(*args, **kwargs):
        if error is not None:
            raise error

    def ended(code):
        raise Ended(code)

    monkeypatch.setattr(worker, "_train_all", train_all)
    monkeypatch.setattr(worker.os, "_exit", ended)
    monkeypatch.setattr(worker, "_log_line", lambda text: None)
    with pytest.raises(Ended, match="1"):
        worker._train_in_thread(None, None, None, None, None)


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """What becomes of a trial that fails with an error."""
    job = TrialJob(0, Configuration(ConvNetConfig(), TrainConfig()), 3, 5, tmp_path, "data")
    setup = WorkerSetup(images_folder=tmp_path, n_classes=2, scalings=[], threads=1, layout="channels_last")
    share = SimpleNamespace(explains=lambda error: False)
    monkeypatch.setattr(worker, "_log_line", lambda text: None)

    def train(error):
        def train_trial(*args, **kwargs):
            raise error
            yield

        monkeypatch.setattr(worker, "train_trial", train_trial)
        return worker._train(None, job, None, share, setup)

    return train


def test_failure_of_the_device_ends_the_process_and_is_no_trials(trained):
    with pytest.raises(torch.AcceleratorError, match="illegal memory access"):
        trained(torch.AcceleratorError("CUDA error: an illegal memory access was encountered"))


def test_call_that_the_device_refused_is_its_trials_failure_alone(trained, monkeypatch):
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(synchronize=lambda: None))
    failure = trained(torch.AcceleratorError("CUDA error: invalid configuration argument"))
    assert (failure.kind, failure.message) == ("error", "AcceleratorError: CUDA error: invalid configuration argument")


ENVIRONMENT = """
import builtins, os, sys
from multiprocessing import Pipe
from sweeper.engine.local import worker
from sweeper.engine.local.worker import WorkerSetup

assert "torch" not in sys.modules
real = builtins.__import__

def importing(name, *rest, **options):
    if name == "torch":
        print(os.environ.get("CUDA_DEVICE_MAX_CONNECTIONS"), os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
        os._exit(0)
    return real(name, *rest, **options)

builtins.__import__ = importing
setup = WorkerSetup(images_folder=None, n_classes=2, scalings=[], threads=1, layout="channels_last")
worker.work([Pipe()[0]], setup, "cuda:0")
"""


@pytest.mark.parametrize(("given", "expected"), [(None, "32"), ("4", "4")])
def test_streams_have_queues_of_their_own_before_torch_is_imported_unless_the_user_wants_fewer(given, expected):
    environment = {**os.environ}
    environment.pop("CUDA_DEVICE_MAX_CONNECTIONS", None)
    if given is not None:
        environment["CUDA_DEVICE_MAX_CONNECTIONS"] = given
    command = [sys.executable, "-c", ENVIRONMENT]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == [expected, ":4096:8"]


@pytest.mark.parametrize(("kind", "lacked"), [("out_of_memory", True), ("error", False), (None, False)])
def test_memory_is_given_back_after_each_trial_knowing_whether_it_lacked(monkeypatch, tmp_path, kind, lacked):
    given_back = []
    monkeypatch.setattr(worker.memory, "give_back", lambda device, **how: given_back.append(how))
    monkeypatch.setattr(worker, "_train", lambda *arguments: None if kind is None else Failure(kind, "why"))
    monkeypatch.setattr(worker, "_log_line", lambda text: None)
    ours, theirs = Pipe()
    ours.send(TrialJob(0, Configuration(ConvNetConfig(), TrainConfig()), 3, 5, tmp_path, "data"))
    folds = SimpleNamespace(device=torch.device("cuda:0"), data=lambda fold: None)

    def begin():
        ours.close()  # the coordinator leaves after the first job

    worker._train_all(theirs, None, folds, SimpleNamespace(begin=begin), alone=False)
    assert given_back == [{"alone": False, "lacked": lacked}]


def test_lack_of_the_devices_memory_is_a_trials(trained):
    failure = trained(torch.AcceleratorError("CUDA error: out of memory"))
    assert (failure.kind, failure.own_fault) == ("out_of_memory", False)
    assert isinstance(trained(RuntimeError("bug")), Failure)


@pytest.mark.parametrize("error", [EOFError("no more lines"), BrokenPipeError("closed"), ConnectionResetError("reset")])
def test_connection_error_of_a_network_of_ones_own_is_its_trials_failure(trained, error):
    failure = trained(error)
    assert failure.kind == "error"
    assert str(error) in failure.message


def test_process_is_ready_for_all_its_workers_once_one_of_them_is(monkeypatch, tmp_path):
    """So that all of their deaths are of one kind."""
    theirs = []

    def spawn(workers, number, at_once):
        pairs = [Pipe(), Pipe()]
        theirs[:] = [pair[1] for pair in pairs]
        process = SimpleNamespace(wait=lambda seconds: None, kill=lambda: None, returncode=1)
        return pool._Process(process, [pair[0] for pair in pairs], Pipe()[0], at_once)

    monkeypatch.setattr(WorkerPool, "_spawn", spawn)
    setup = WorkerSetup(images_folder=tmp_path / "parts", n_classes=2, scalings=[], threads=1, layout="channels_last")
    workers = WorkerPool(setup, ["cuda:0"], tmp_path, per_process=2)
    theirs[1].send(Ready())
    assert workers.wait(1) == []
    theirs[0].close()
    assert workers.wait(1) == [(0, Died(1)), (1, Died(1))]
    theirs[0].close()
    assert workers.wait(1) == [(0, Died(1, ready=False)), (1, Died(1, ready=False))]
    workers.close()


def test_threads_that_want_the_same_fold_at_once_share_one_copy(monkeypatch):
    class Images:
        """What a weak reference can be made to."""

    loading, loaded, made, found = threading.Event(), threading.Event(), [], []

    def load(setup, fold, device):
        made.append(Images())
        loading.set()
        assert loaded.wait(DEADLINE)
        return made[-1]

    monkeypatch.setattr(worker, "load_fold", load)
    folds = worker._Folds(None, None)
    threads = [threading.Thread(target=lambda: found.append(folds.data(0))) for _ in range(2)]
    threads[0].start()
    assert loading.wait(DEADLINE)
    threads[1].start()
    threads[1].join(0.5)  # it waits for the first; a slow machine only makes the test less likely to notice otherwise
    loaded.set()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == made * 2


def test_worker_tells_of_the_batches_of_training_validation_and_the_end(monkeypatch, tmp_path):
    monkeypatch.setattr(heartbeat, "SECONDS", 0.0)
    ours, theirs = Pipe()
    job = TrialJob(0, Configuration(MODEL, TrainConfig(batch_size=50)), 1, 5, tmp_path, "data")
    setup = WorkerSetup(images_folder=tmp_path, n_classes=4, scalings=[], threads=1, layout="channels_last")
    share = SimpleNamespace(explains=lambda error: False)
    ours.send(True)  # the answer to the epoch
    assert worker._train(theirs, job, tiny_data(), share, setup) is None
    messages = []
    while ours.poll():
        messages.append(ours.recv())
    # Three batches of 130 images, and 40 of the validation part; these come once more for the result.
    *training, epoch, at_end, result = messages
    assert training == [BatchesDone(1, done, 4) for done in (1, 2, 3, 4)]
    assert (epoch.epoch, at_end, type(result)) == (1, BatchesDone(1, 1, 1), TrialResult)


def test_batches_are_told_of_at_most_once_a_second(monkeypatch):
    clock, sent = [0.0], []
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: clock[0])
    tell = heartbeat.Heartbeat(SimpleNamespace(send=sent.append))
    for done in range(16):
        tell(1, done, 100)
        clock[0] += 0.25
    assert [message.done for message in sent] == [4, 8, 12]


TRAININGS = """
import sys
from pathlib import Path

from sweeper.engine.local import worker

worker._import_all()
from sweeper.config import TrainConfig
from sweeper.config.training import OPTIMIZERS
from sweeper.engine.job import train_trial
from tests.engine.trainings import job
from tests.training.tiny import tiny_data

for optimizer in OPTIMIZERS:
    trial = job(Path(sys.argv[1], optimizer), train=TrainConfig(optimizer=optimizer), epochs=2)
    next(iter(train_trial(trial, tiny_data())))
    list(train_trial(trial, tiny_data()))  # from the checkpoint of the first epoch
print(*{"torch._dynamo", "matplotlib", "mlflow", "optuna"} & set(sys.modules))
"""


def test_worker_imports_no_slow_library_that_it_can_do_without(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", TRAININGS, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == ""
    assert len(list(tmp_path.glob("*/model.safetensors"))) == len(OPTIMIZERS)
