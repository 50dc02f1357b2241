import os
from dataclasses import replace

import pytest

from sweeper.engine import backfill
from sweeper.engine.base import BatchesDone, Died, Failure, Lost
from sweeper.engine.dispatcher import Dispatcher, Epoch, Task
from sweeper.engine.execution import Execution
from sweeper.engine.job import TrialResult
from sweeper.engine.watchdog import MOST_STEP, START_SECONDS, Watchdog
from tests.engine.fakes import FakePool, metrics
from tests.engine.test_dispatcher import Shift

TASK, OTHER = 0, 100


class Workers:
    """A task on the first of some workers, and other jobs, numbered from 100 on, for those that have none."""

    def __init__(self, folder, script=lambda job, epoch: metrics(epoch, 0.5), n_workers=2, n_others=9):
        self.notes = []
        self.pool = FakePool(script, n_workers)
        self.dispatcher = Dispatcher(self.pool, self.notes.append)
        jobs = [task.job for task in Shift(folder, script, n_tasks=3).tasks]
        self.tasks = [Task(f"trial {job.number}", job, None) for job in jobs]
        self.beside = []  # how many other jobs ran when each was asked for
        self.others = [replace(jobs[0], number=OTHER + n, folder=folder / f"other {n}") for n in range(n_others)]

    def begin(self, number=TASK):
        return self.dispatcher.begin(self.dispatcher.idle(), self.tasks[number])

    def fill(self, at_once=9):
        def next_job(n_running):
            self.beside.append(n_running)
            return self.others.pop(0) if self.others else None

        self.dispatcher.fill(next_job, at_once)

    @property
    def training(self):
        """The numbers of the jobs that the workers train or trained last, by worker."""
        return {worker: job.number for worker, job in self.pool.current.items()}


def test_workers_without_a_task_train_other_jobs_until_there_are_none(tmp_path):
    workers = Workers(tmp_path, n_workers=4, n_others=2)
    workers.fill()
    assert workers.training == {}, "without a task, all is done"
    workers.begin()
    workers.fill()
    assert workers.beside == [0, 1, 2]
    workers.fill()
    assert workers.training == {0: TASK, 1: OTHER, 2: OTHER + 1}
    assert list(workers.dispatcher.running) == [0]


def test_other_jobs_are_answered_and_followed_by_the_next_but_never_heard_of(tmp_path):
    workers = Workers(tmp_path, n_others=2)
    workers.begin()
    workers.fill()
    heard = []
    while workers.others or workers.dispatcher.backfill:
        heard += [task.job.number for task, _ in workers.dispatcher.wait(0)]  # the task waits for an answer
        workers.fill()
    assert heard == [TASK]
    assert [job.number for job in workers.pool.jobs] == [TASK, OTHER, OTHER + 1]
    assert workers.pool.sent[1] == 3
    assert len(workers.dispatcher.backfill) == 0
    assert workers.notes == []


@pytest.mark.parametrize(("at_once", "busy"), [(0, 1), (1, 1), (2, 2), (3, 3), (9, 4)])
def test_no_more_run_at_once_than_there_is_room_for(tmp_path, at_once, busy):
    workers = Workers(tmp_path, n_workers=4)
    workers.begin()
    workers.fill(at_once)
    assert len(workers.training) == busy


def test_task_gets_the_worker_of_another_job_only_if_none_is_idle(tmp_path):
    workers = Workers(tmp_path, n_workers=3)
    workers.begin()
    workers.fill(at_once=2)
    assert workers.training == {0: TASK, 1: OTHER}
    assert workers.begin(1)
    assert (workers.training, workers.pool.renewed) == ({0: 0, 1: OTHER, 2: 1}, [])
    assert workers.begin(2)
    assert (workers.training, workers.pool.renewed) == ({0: 0, 1: 2, 2: 1}, [1])
    assert len(workers.dispatcher.backfill) == 0


def test_task_waits_if_the_worker_of_another_job_loses_its_place(tmp_path):
    workers = Workers(tmp_path)
    workers.begin()
    workers.fill()
    workers.pool.renew = workers.pool.placeless.add
    assert not workers.begin(1)
    assert list(workers.dispatcher.requeued) == [workers.tasks[1]]


@pytest.mark.parametrize(
    "message",
    [
        Failure("disk_full", "no room"), Failure("error", "read-only", of_the_store=True), Failure("error", "a bug"),
        Failure("out_of_memory", "no memory", own_fault=False), Died(-9), Died(1, ready=False), Lost("node"),
    ],
    ids=str,
)  # fmt: skip
def test_job_that_cannot_be_trained_is_the_last_and_disturbs_no_task(tmp_path, message):
    workers = Workers(tmp_path, lambda job, epoch: message if job.number >= OTHER else metrics(epoch, 0.5))
    workers.begin()
    heard = []
    for _ in range(5):
        workers.fill()
        if not workers.dispatcher.running:
            break
        for task, event in workers.dispatcher.wait(0):
            heard.append(type(event))
            if isinstance(event, Epoch):
                workers.dispatcher.answer(task, proceed=True)
    assert heard == [Epoch, Epoch, Epoch, TrialResult]
    assert [job.number for job in workers.pool.jobs] == [TASK, OTHER]
    assert workers.pool.renewed == [1] * isinstance(message, Failure)
    assert (workers.notes, list(workers.dispatcher.requeued)) == ([], [])


def test_job_that_diverges_is_followed_by_the_next(tmp_path):
    workers = Workers(
        tmp_path, lambda job, epoch: Failure("diverged", "nan") if job.number >= OTHER else metrics(epoch, 0.5)
    )
    workers.begin()
    for _ in range(3):
        workers.fill()
        list(workers.dispatcher.wait(0))
    assert [job.number for job in workers.pool.jobs] == [TASK, OTHER, OTHER + 1, OTHER + 2]


def test_silence_of_another_job_kills_no_worker_and_lets_no_task_be_silent_for_longer(tmp_path):
    workers = Workers(tmp_path)
    time = [0.0]
    watchdog = workers.dispatcher._watchdog = Watchdog(lambda: time[0])
    workers.begin()
    watchdog.expect(1)  # a task that the worker had before
    workers.fill()
    workers.pool.messages.clear()

    def hear(worker):
        time[0] += MOST_STEP
        workers.pool.messages.append((worker, BatchesDone(1, 1, 9)))
        assert list(workers.dispatcher.wait(0)) == []

    for _ in range(int(9 * START_SECONDS / MOST_STEP)):
        hear(0)
    hear(1)
    assert workers.pool.killed == []
    assert watchdog._longest <= MOST_STEP


EXECUTION = Execution(("cpu",) * 4, 1, "channels_last")


@pytest.mark.parametrize(
    ("execution", "expected"),
    [
        (EXECUTION, 3),
        (replace(EXECUTION, devices=("cuda:0", "cuda:1")), 3),
        (replace(EXECUTION, devices=("cuda:0", "cuda:0")), 0),
        (replace(EXECUTION, devices=("cuda:0",), at_once=4), 0),
        (replace(EXECUTION, devices=("cuda:0",), graphs=True), 0),
        (replace(EXECUTION, engine="ray"), 0),
    ],
)
def test_room_is_only_where_trainings_do_not_slow_each_other(monkeypatch, execution, expected):
    monkeypatch.setattr(backfill, "physical_cores", lambda environment: 3)
    assert backfill.room(execution, os.environ) == expected
