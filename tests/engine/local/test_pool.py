"""Real processes on tiny data."""

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweeper.config import ConvNetConfig, TrainConfig
from sweeper.engine.base import Died, Failure
from sweeper.engine.job import TrialResult
from sweeper.engine.local import pool as pool_module
from sweeper.engine.local import shared_images
from sweeper.engine.local.plan import LEAST_WORKER_BYTES
from sweeper.engine.local.pool import WorkerPool
from sweeper.engine.local.worker import WorkerSetup
from sweeper.errors import SweeperError
from sweeper.events import Note
from sweeper.process.signals import SIGNALS
from sweeper.training.epoch_metrics import EpochMetrics
from tests.commands.processes import DEADLINE, is_alive
from tests.engine.trainings import finish, job, receive, scores
from tests.fake_data import fake_images
from tests.training.tiny import MODEL

ROOT = Path(__file__).parents[3]


def tiny_setup(folder, memory=None):
    images, labels = fake_images(170, 4, 8, seed=0)
    images, labels = images[:, None], labels.astype(np.int64)
    shared_images.write(folder / "parts", [((images[:130], labels[:130]), (images[130:], labels[130:]))])
    return WorkerSetup(
        images_folder=folder / "parts",
        n_classes=4,
        scalings=[([0.2], [0.2])],
        threads=1,
        layout="channels_last",
        memory=memory,
    )


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    # As little memory as a worker may be given: whatever these tests train must do with it.
    pool = WorkerPool(tiny_setup(folder, LEAST_WORKER_BYTES), ["cpu", "cpu"], folder / "logs")
    yield pool
    pool.close()
    assert not (folder / "parts").exists()


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
    pool.train(1, job(tmp_path / "b", model=ConvNetConfig(filters=(3,), kernel_size=3, pool_after=())))
    finish(pool, 1)
    pool.train(1, job(tmp_path / "c"))
    assert scores(finish(pool, 1)[0]) == scores(first)


def test_trial_told_to_stop_stops_and_goes_on_later_bitwise(pool, tmp_path):
    pool.train(0, job(tmp_path / "whole"))
    whole, _ = finish(pool, 0)
    pool.train(0, job(tmp_path / "cut"))
    receive(pool, 0)
    pool.answer(0, proceed=False)
    pool.train(1, job(tmp_path / "cut"))
    assert scores(finish(pool, 1)[0]) == scores(whole)


def test_killed_worker_is_replaced_and_its_trial_goes_on_bitwise(pool, tmp_path):
    pool.train(0, job(tmp_path / "whole"))
    whole, _ = finish(pool, 0)
    pool.train(1, job(tmp_path / "cut"))
    receive(pool, 1)
    os.kill(pool._processes[1].process.pid, signal.SIGKILL)
    died = receive(pool, 1)
    assert died == Died(-signal.SIGKILL)
    pool.train(1, job(tmp_path / "cut"))
    assert scores(finish(pool, 1)[0]) == scores(whole)


def test_stopped_worker_is_killed_on_demand_and_its_trial_goes_on_bitwise(pool, tmp_path):
    pool.train(0, job(tmp_path / "whole"))
    whole, _ = finish(pool, 0)
    pool.train(1, job(tmp_path / "cut"))
    receive(pool, 1)
    stopped = pool._processes[1].process
    os.kill(stopped.pid, signal.SIGSTOP)
    pool.answer(1, proceed=True)
    assert pool.wait(0.2) == []
    assert pool.kill(1, "nothing came") == {1: Died(-signal.SIGKILL, hung="nothing came")}
    assert not is_alive(stopped.pid)
    pool.train(1, job(tmp_path / "cut"))
    assert scores(finish(pool, 1)[0]) == scores(whole)


def test_process_that_cannot_be_killed_is_not_waited_for(pool, monkeypatch):
    """Such as one that waits for a stuck driver."""
    monkeypatch.setattr(pool_module, "LEAVING_SECONDS", 0.1)
    stuck = pool._processes[1]
    really, stuck.process = stuck.process, Unkillable()
    assert pool.kill(1, "nothing came") == {1: Died(None, ready=stuck.ready, hung="nothing came")}
    really.kill()
    really.wait()


class Unkillable:
    returncode = None

    def kill(self):
        pass

    def wait(self, seconds):
        raise subprocess.TimeoutExpired("worker", seconds)


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
    for number in SIGNALS:
        os.kill(pool._processes[0].process.pid, number)
    assert isinstance(finish(pool, 0)[1], TrialResult)


def epochs_in_log(pool, index, number):
    """The epochs that the worker's log says were trained of the trial."""
    lines = pool.log(index).read_text().splitlines()
    return [
        int(line.split("epoch ")[1].split(":")[0]) for line in lines if line.startswith(f"trial {number}, seed 5, ep")
    ]


def pid(pool, index):
    return pool._processes[index].process.pid


def test_log_tells_of_every_epoch_that_was_trained_and_of_none_that_a_checkpoint_brought_back(pool, tmp_path):
    pool.train(0, job(tmp_path, number=71))
    receive(pool, 0)
    pool.answer(0, proceed=False)
    pool.train(0, job(tmp_path, number=71))
    finish(pool, 0)
    assert epochs_in_log(pool, 0, 71) == [1, 2, 3]
    log = pool.log(0).read_text()
    assert f"trial 71, seed 5: begins, epochs done: 0 of 3, pid {pid(pool, 0)}\n" in log
    assert "trial 71, seed 5: begins, epochs done: 1 of 3," in log


def test_log_that_cannot_be_written_ends_no_trial(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker-0.log").symlink_to("/dev/full")
    pool = WorkerPool(tiny_setup(tmp_path), ["cpu"], tmp_path / "logs")
    try:
        pool.train(0, job(tmp_path / "trial", train=TrainConfig(optimizer="sgd", lr=1e30)))
        assert finish(pool, 0)[1].kind == "diverged"
        pool.train(0, job(tmp_path / "next"))
        assert isinstance(finish(pool, 0)[1], TrialResult)
    finally:
        pool.close()


def test_workers_have_process_groups_of_their_own(pool, tmp_path):
    pool.train(0, job(tmp_path, epochs=1))
    finish(pool, 0)
    assert os.getpgid(pid(pool, 0)) == pid(pool, 0)


PLAIN = replace(MODEL, dropout=0.0)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    pool = WorkerPool(tiny_setup(folder), ["cpu"], folder / "logs", per_process=2)
    yield pool
    pool.close()


def both(pool, end):
    """The epochs of two workers' trials, which run on until `end` of what each has sent last is true."""
    last, epochs = {}, {0: [], 1: []}
    deadline = time.monotonic() + DEADLINE
    while not (len(last) == 2 and all(map(end, last.values()))):
        assert time.monotonic() < deadline
        for index, message in pool.wait(1.0):
            last[index] = message
            if isinstance(message, EpochMetrics):
                epochs[index].append(replace(message, images_per_second=0.0, epoch_seconds=0.0))
                pool.answer(index, proceed=True)
    return epochs


def test_workers_of_one_process_train_at_once_as_each_by_itself(pool, shared, tmp_path):
    jobs = [job(tmp_path / str(number), number=number, model=PLAIN, epochs=4) for number in (81, 82)]
    jobs[1] = replace(jobs[1], seed=6)
    for index, each in enumerate(jobs):
        shared.train(index, each)
    epochs = both(shared, lambda message: isinstance(message, TrialResult))
    assert shared.processes() == [range(2)]
    assert shared.log(0) == shared.log(1)
    begun = [line for line in shared.log(0).read_text().splitlines() if line.startswith(("trial 81,", "trial 82,"))]
    assert len({line.rsplit("pid ")[1] for line in begun if "pid" in line}) == 1
    for index, each in enumerate(jobs):
        pool.train(0, replace(each, folder=tmp_path / f"alone-{index}"))
        alone, _ = finish(pool, 0)
        assert epochs[index] == [replace(m, images_per_second=0.0, epoch_seconds=0.0) for m in alone]
    assert epochs[0] != epochs[1]


def test_workers_of_one_process_die_together_and_an_epoch_of_theirs_is_not_heard_of_beside(shared, tmp_path):
    for index in (0, 1):
        shared.train(index, job(tmp_path / str(index), number=index, model=PLAIN, epochs=3))
    first = {}
    while len(first) < 2:
        first |= {index: message for index, message in shared.wait(1.0) if isinstance(message, EpochMetrics)}
    # One has an epoch to tell of when they die.
    shared.answer(1, proceed=True)
    deadline = time.monotonic() + DEADLINE
    while not shared._connection(1).poll():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(shared._processes[0].process.pid, signal.SIGKILL)
    shared._processes[0].process.wait()
    deaths = {}
    while len(deaths) < 2:
        deaths |= dict(shared.wait(1.0))
    assert deaths == {0: Died(-signal.SIGKILL), 1: Died(-signal.SIGKILL)}
    assert [shared.at_once(index) for index in (0, 1)] == [2, 2]
    shared.limit_concurrency(1, 1)
    assert [shared.at_once(index) for index in (0, 1)] == [1, 1]
    shared.lift_limit(0)
    shared.train(1, job(tmp_path / "0", number=0, model=PLAIN, epochs=3))
    epochs, result = finish(shared, 1)
    assert epochs[0].epoch == 1
    assert isinstance(result, TrialResult)


ORPHANING = """
import sys
from pathlib import Path

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.engine.job import TrialJob
from sweeper.engine.local import pool as pool_module
from sweeper.engine.local.pool import WorkerPool
from tests.engine.local.test_pool import tiny_setup

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    pool = WorkerPool(tiny_setup(folder), ["cpu"], folder / "logs")
    # Its epoch lasts half a minute.
    wide = ConvNetConfig(filters=(1024, 1024, 1024), kernel_size=3, padding=1, pool_after=())
    pool.train(0, TrialJob(0, Configuration(wide, TrainConfig(batch_size=1)), 3, 5, folder / "trial", "data"))
    print(pool._processes[0].process.pid, flush=True)
    while True:
        pool.wait(600)
"""


@pytest.mark.fault
def test_worker_ends_with_its_killed_coordinator_in_the_middle_of_an_epoch(tmp_path):
    (tmp_path / "orphaning.py").write_text(ORPHANING)
    command = [sys.executable, str(tmp_path / "orphaning.py"), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as coordinator:
        worker = int(coordinator.stdout.readline())
        log, deadline = tmp_path / "logs" / "worker-0.log", time.monotonic() + DEADLINE
        while not (log.exists() and "begins" in log.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        coordinator.kill()
        # The deadline outlasts an epoch. A worker that notices the death only at the epoch's end has logged "epoch 1:".
        deadline = time.monotonic() + DEADLINE
        while (alive := is_alive(worker)) and time.monotonic() < deadline:
            time.sleep(0.05)
        if alive:
            os.kill(worker, signal.SIGKILL)
    assert not alive
    assert "epoch 1:" not in log.read_text()


DAMAGES = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "another training's": lambda path: path.write_bytes((path.parent.parent / "other" / path.name).read_bytes()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_checkpoint_that_cannot_be_used_is_set_aside_and_the_trial_trained_from_its_start(pool, tmp_path, damage):
    pool.train(0, job(tmp_path / "whole", number=72))
    whole, _ = finish(pool, 0)
    pool.train(0, job(tmp_path / "other", train=TrainConfig(lr=1e-3)))
    finish(pool, 0)
    interrupted = job(tmp_path / "cut", number=73)
    pool.train(0, interrupted)
    receive(pool, 0)
    pool.answer(0, proceed=False)
    before = len(epochs_in_log(pool, 0, 73))
    DAMAGES[damage](interrupted.checkpoint)
    pool.train(0, interrupted)
    note = receive(pool, 0)
    assert isinstance(note, Note)
    assert note.text.startswith(
        f"{interrupted.checkpoint} {'belongs to another' if 'another' in damage else 'is damaged'}"
    )
    assert note.text.endswith("; set aside as checkpoint.safetensors.damaged, the training starts anew")
    epochs, result = finish(pool, 0)
    assert isinstance(result, TrialResult)
    assert scores(epochs) == scores(whole)
    assert epochs_in_log(pool, 0, 73)[before:] == [1, 2, 3]
    assert interrupted.checkpoint.with_name("checkpoint.safetensors.damaged").exists()


def test_full_disk_is_told_as_such_and_leaves_no_part_of_a_file(pool, tmp_path):
    pool.train(1, job(tmp_path / "whole"))
    whole, _ = finish(pool, 1)
    interrupted = job(tmp_path / "cut")
    pool.train(1, interrupted)
    first = receive(pool, 1)
    size = interrupted.checkpoint.stat().st_size
    assert size > 1000
    before = resource.prlimit(pid(pool, 1), resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    try:
        _, failure = finish(pool, 1, first)
    finally:
        resource.prlimit(pid(pool, 1), resource.RLIMIT_FSIZE, before)
    assert (failure.kind, failure.message) == (
        "disk_full",
        f"{interrupted.checkpoint} cannot be written: File too large",
    )
    assert os.listdir(interrupted.folder) == ["checkpoint.safetensors"]
    assert interrupted.checkpoint.stat().st_size == size
    pool.train(1, interrupted)
    assert scores(finish(pool, 1)[0]) == scores(whole)


@pytest.mark.parametrize("place", ["", "above/"])
def test_folder_that_cannot_be_written_is_no_trials_fault(pool, tmp_path, place):
    (tmp_path / "blocked").touch()
    pool.train(1, job(tmp_path / "blocked" / place / "0"))
    _, failure = finish(pool, 1)
    assert failure.of_the_store
    assert failure.message.startswith(f"{tmp_path / 'blocked' / place}")
    assert failure.message.endswith(" cannot be written: Not a directory")


def test_logs_that_cannot_be_written_are_told_in_one_line(tmp_path):
    (tmp_path / "logs").touch()
    with pytest.raises(SweeperError, match=r"^the workers' logs cannot be written: .*Not a directory.*/logs/study"):
        WorkerPool(tiny_setup(tmp_path), ["cpu"], tmp_path / "logs" / "study")


def test_what_a_killed_worker_was_writing_is_deleted(pool, tmp_path):
    (tmp_path / ".checkpoint.safetensors.1.tmp").write_bytes(b"half")
    pool.train(0, job(tmp_path, epochs=1))
    finish(pool, 0)
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.safetensors", "model.safetensors"]


@pytest.mark.slow
def test_trial_too_large_for_its_worker_is_told_so_and_believed_in_a_new_process_alone(pool, tmp_path):
    pool.train(0, job(tmp_path / "before"))
    before, _ = finish(pool, 0)
    for number, hidden in enumerate([(20_000, 20_000), (9_000, 9_000)]):  # at once, and after a few steps
        for own_fault in (False, True):
            pool.train(0, job(tmp_path / str(number), model=replace(MODEL, hidden=hidden)))
            _, failure = finish(pool, 0)
            assert isinstance(failure, Failure)
            assert (failure.kind, failure.own_fault) == ("out_of_memory", own_fault), failure.trace
            pool.renew(0)
        pool.train(0, job(tmp_path / f"after {number}"))
        after, result = finish(pool, 0)
        assert isinstance(result, TrialResult)
        assert scores(after) == scores(before)


def test_renewed_worker_is_another_process_unless_it_was_given_nothing(pool, tmp_path):
    pool.train(0, job(tmp_path, epochs=1))
    finish(pool, 0)
    old = pid(pool, 0)
    pool.renew(0)
    new = pid(pool, 0)
    assert not is_alive(old)
    pool.renew(0)
    assert pid(pool, 0) == new != old
    assert pool.wait(0) == []


@pytest.mark.slow
def test_worker_stays_small_however_many_different_networks_it_trains(pool, tmp_path):
    def held():
        lines = Path(f"/proc/{pid(pool, 0)}/status").read_text().splitlines()
        return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmData:"))  # MiB

    pool.renew(0)
    sizes = []
    for number in range(25):  # each of 12 layers that are like no other's
        filters = tuple(8 + number + 3 * layer for layer in range(12))
        model = ConvNetConfig(filters=filters, kernel_size=3, padding=1, pool_after=(1, 2))
        pool.train(0, job(tmp_path / str(number), number, model=model, epochs=1))
        assert isinstance(finish(pool, 0)[1], TrialResult)
        sizes.append(held())
    assert sizes[-1] - sizes[0] < 150, sizes


def test_worker_that_cannot_read_its_data_dies_before_it_is_ready(tmp_path):
    setup = replace(tiny_setup(tmp_path), images_folder=tmp_path / "gone")
    pool = WorkerPool(setup, ["cpu"], tmp_path / "logs")
    try:
        pool.train(0, job(tmp_path / "trial"))
        died = receive(pool, 0)
        assert (died, died.is_startup_failure) == (Died(1, ready=False), True)
        assert "gone" in pool.log(0).read_text()
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("died", "expected"), [(Died(1, ready=False), True), (Died(1), False), (Died(-9, ready=False), False)]
)
def test_death_is_startup_failure_if_the_worker_ended_by_itself_without_its_data(died, expected):
    assert died.is_startup_failure is expected


@pytest.mark.parametrize("n_started", [0, 1])
def test_workers_that_cannot_be_started_leave_no_parts_and_no_processes(tmp_path, monkeypatch, n_started):
    setup, started, start = tiny_setup(tmp_path), [], pool_module.start

    def refuse(*arguments):
        if len(started) == n_started:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        started.append(start(*arguments))
        return started[-1]

    monkeypatch.setattr(pool_module, "start", refuse)
    with pytest.raises(
        SweeperError,
        match=r"^no worker can be started: Resource temporarily unavailable; nothing is lost, the same command ",
    ):
        WorkerPool(setup, ["cpu", "cpu"], tmp_path / "logs")
    assert not (tmp_path / "parts").exists()
    assert not any(is_alive(process.pid) for process in started)


def test_death_by_the_systems_hand_says_what_may_be_the_cause():
    assert str(Died(-9)) == "the worker ended with exit code -9 (killed, maybe by the system for lack of memory)"
    assert str(Died(1)) == "the worker ended with exit code 1"


def test_worker_imports_no_pools_of_threads_before_it_limits_them():
    code = "import sys, sweeper.engine.local.worker; print(*{'numpy', 'torch', 'optuna'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""
