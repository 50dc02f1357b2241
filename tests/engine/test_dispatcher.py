from collections import deque
from types import SimpleNamespace

import pytest

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.engine import dispatcher
from sweeper.engine.base import BatchesDone, Died, Failure, Lost
from sweeper.engine.dispatcher import Dispatcher, Epoch, Task
from sweeper.engine.job import TrialJob, TrialResult
from sweeper.engine.watchdog import LEAST_SECONDS, MOST_STEP, START_SECONDS, Watchdog
from sweeper.errors import SweeperError
from sweeper.events import BatchesTrained, Note
from tests.engine.fakes import FakePool, metrics

NOT_GUILTY = Failure("out_of_memory", "CUDA out of memory", own_fault=False)


class Shift:
    """A crew with tasks, run to their ends; `script` gives what each task's next message is, by number and epoch."""

    def __init__(self, folder, script, n_tasks=1, n_workers=1, per_process=1, tunes_concurrency=False, epochs=3):
        self.notes, self.heard = [], []
        self.pool = FakePool(lambda job, epoch: script(job.number, epoch), n_workers, per_process, tunes_concurrency)
        self.dispatcher = Dispatcher(self.pool, self.notes.append)
        configuration = Configuration(ConvNetConfig(), TrainConfig())
        jobs = [TrialJob(number, configuration, epochs, 5, folder / str(number), "data") for number in range(n_tasks)]
        self.tasks = [Task(f"trial {job.number}", job, None) for job in jobs]

    def work(self):
        waiting = deque(self.tasks)
        while True:
            while (line := self.dispatcher.requeued or waiting) and (worker := self.dispatcher.idle()) is not None:
                self.dispatcher.begin(worker, line.popleft())
            if not (self.dispatcher.running or (line and self.dispatcher.lacks_place())):
                return
            for task, event in self.dispatcher.wait(0):
                self.heard.append((task.job.number, event))
                if isinstance(event, Epoch):
                    self.dispatcher.answer(task, proceed=True)

    def ends(self):
        return [(number, event) for number, event in self.heard if not isinstance(event, Epoch)]

    def epochs(self, number):
        return [(e.metrics.epoch, e.new) for n, e in self.heard if n == number and isinstance(e, Epoch)]


def once(at, message):
    left = [message]
    return lambda number, epoch: left.pop() if left and (number, epoch) == at else metrics(epoch, 0.5)


def test_tasks_are_worked_on_side_by_side_until_their_results(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), n_tasks=3, n_workers=2)
    shift.work()
    assert {number for number, event in shift.ends() if isinstance(event, TrialResult)} == {0, 1, 2}
    assert all(shift.epochs(number) == [(1, True), (2, True), (3, True)] for number in range(3))
    assert shift.dispatcher.unfinished() == []


@pytest.mark.parametrize("message", [Died(-11), NOT_GUILTY])
def test_task_that_is_gone_on_with_has_each_epoch_once_in_its_history_and_is_new_once(tmp_path, message):
    shift = Shift(tmp_path, once((0, 3), message))
    shift.work()
    assert shift.epochs(0) == [(1, True), (2, True), (1, False), (2, False), (3, True)]
    assert [m.epoch for m in shift.tasks[0].history] == [1, 2, 3]


def test_kind_of_processor_is_recorded_once_and_before_the_first_task_begins(tmp_path):
    shift, recorded = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), n_tasks=2), []
    shift.dispatcher = Dispatcher(
        shift.pool, shift.notes.append, lambda kind: recorded.append((kind, shift.pool.jobs[:]))
    )
    shift.work()
    assert recorded == [("x", [])]


def test_epochs_that_the_owner_knows_are_not_new(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5))
    shift.tasks[0].reported = 2
    shift.work()
    assert shift.epochs(0) == [(1, False), (2, False), (3, True)]


def test_task_cut_short_is_gone_on_with_before_any_other(tmp_path):
    shift = Shift(tmp_path, once((0, 2), Died(-11)), n_tasks=3)
    shift.work()
    assert [job.number for job in shift.pool.jobs] == [0, 0, 1, 2]
    assert shift.notes == [Note("trial 0: the worker ended with exit code -11; resuming from its last epoch")]


@pytest.mark.parametrize("epoch", [1, 3])
def test_three_deaths_without_a_new_epoch_fail_the_task_naming_the_log(tmp_path, epoch):
    shift = Shift(tmp_path, lambda number, now: Died(-11) if now == epoch else metrics(now, 0.5))
    shift.work()
    [(_, failure)] = shift.ends()
    assert failure.message == "the worker ended with exit code -11, 3 times without finishing an epoch"
    assert (failure.kind, failure.log) == ("error", shift.pool.log(0))


def test_deaths_with_new_epochs_between_them_are_forgiven(tmp_path):
    left = {epoch: [Died(-9), Died(-9)] for epoch in (1, 2, 3)}
    shift = Shift(tmp_path, lambda number, epoch: left[epoch].pop() if left[epoch] else metrics(epoch, 0.5))
    shift.work()
    assert isinstance(shift.ends()[0][1], TrialResult)


def test_out_of_memory_that_nothing_explains_is_tried_once_more_in_a_new_process_and_fails_then(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: NOT_GUILTY)
    shift.work()
    assert len(shift.pool.jobs) == 2
    [(_, failure)] = shift.ends()
    assert (failure.kind, failure.own_fault, failure.log) == ("out_of_memory", False, shift.pool.log(0))
    assert failure.message == "out of memory twice, which the trial itself does not explain: CUDA out of memory"
    assert shift.pool.renewed == [0, 0, 0]  # after each failure, and before the second try


def test_out_of_memory_that_the_task_explains_is_believed_at_once_and_its_worker_renewed(tmp_path):
    shift = Shift(tmp_path, once((0, 1), Failure("out_of_memory", "too large")), n_tasks=2)
    shift.work()
    assert [job.number for job in shift.pool.jobs] == [0, 1]
    assert [getattr(event, "kind", "") for _, event in shift.ends()] == ["out_of_memory", ""]
    assert shift.pool.renewed == [0]
    assert shift.notes == []


def test_full_disk_beside_another_workers_result_ends_no_task_that_was_not_heard_of(tmp_path):
    full = Failure("disk_full", "a cannot be written: No space left on device")
    shift = Shift(tmp_path, once((0, 2), full), n_tasks=2, n_workers=2)
    with pytest.raises(SweeperError, match="nothing is lost"):
        shift.work()
    assert shift.dispatcher.unfinished() == shift.tasks
    assert shift.ends() == []


def test_workers_that_end_before_they_have_their_data_fail_no_task_but_end_the_work_after_three(tmp_path):
    for n_deaths in (2, 3):
        left = [Died(1, ready=False)] * n_deaths
        shift = Shift(tmp_path, lambda number, epoch: left.pop() if left else metrics(epoch, 0.5))  # noqa: B023
        if n_deaths == 2:
            shift.work()
            assert isinstance(shift.ends()[0][1], TrialResult)
        else:
            with pytest.raises(SweeperError, match=r"end before they train \(exit code 1\); see worker-0\.log"):
                shift.work()
            assert shift.ends() == []
            assert shift.dispatcher.unfinished() == [shift.tasks[0]]
        assert shift.tasks[0].deaths == 0


def test_three_kills_of_a_tasks_workers_fail_it_though_they_had_no_data_yet(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: Died(-9, ready=False) if number == 0 else metrics(epoch, 0.5), 2)
    shift.work()
    (_, failure), (_, result) = shift.ends()
    assert "3 times without finishing an epoch" in failure.message
    assert isinstance(result, TrialResult)


def test_full_disk_ends_the_work_but_not_the_task(tmp_path):
    shift = Shift(tmp_path, once((0, 2), Failure("disk_full", "a cannot be written: No space left on device")))
    with pytest.raises(SweeperError, match=r"^a cannot be written: .*; nothing is lost, .* \(see worker-0\.log\)$"):
        shift.work()
    assert shift.dispatcher.unfinished() == [shift.tasks[0]]


def test_folder_that_cannot_be_written_ends_the_work_but_not_the_task(tmp_path):
    shift = Shift(tmp_path, once((0, 2), Failure("error", "a cannot be written: EROFS", of_the_store=True)))
    with pytest.raises(SweeperError, match=r"^a cannot be written: EROFS; .* once it can be \(see worker-0"):
        shift.work()
    assert shift.dispatcher.unfinished() == [shift.tasks[0]]


def test_workers_that_die_without_a_task_are_replaced_but_not_for_ever(tmp_path):
    for n_deaths in (2, 3):
        shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), n_workers=4)
        shift.pool.messages.extend((worker, Died(1)) for worker in range(1, 1 + n_deaths))
        if n_deaths == 2:
            shift.work()
        else:
            with pytest.raises(SweeperError, match=r"end before they train \(exit code 1\); see worker-3\.log"):
                shift.work()


def test_task_without_memory_beside_others_waits_until_fewer_are_trained(tmp_path):
    shift = Shift(tmp_path, once((2, 2), Failure("out_of_memory", "CUDA out of memory")), 5, 4, per_process=4)
    most = []
    begin = shift.dispatcher.begin
    shift.dispatcher.begin = lambda worker, task: (begin(worker, task), most.append(len(shift.dispatcher.running)))
    shift.work()
    assert {number for number, event in shift.ends() if isinstance(event, TrialResult)} == set(range(5))
    assert shift.epochs(2) == [(1, True), (1, False), (2, True), (3, True)]
    assert shift.pool.limits == [3]
    assert most[:4] == [1, 2, 3, 4]
    assert max(most[4:]) <= 3
    assert shift.pool.renewed == []
    assert "trial 2: out of memory beside other trials; fewer will train at once" in [note.text for note in shift.notes]


def test_task_without_memory_though_nothing_is_trained_beside_is_what_it_is_elsewhere(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: Failure("out_of_memory", "CUDA out of memory"), 1, 4, per_process=4)
    shift.work()
    assert shift.ends() == [(0, Failure("out_of_memory", "CUDA out of memory", log=shift.pool.log(0)))]
    assert (shift.pool.renewed, shift.pool.limits) == ([0], [4])


def test_task_that_is_tried_again_has_a_new_process_for_itself(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 5, 4, per_process=2)
    busy, other, tried, *_ = shift.tasks
    tried.retried = True
    for task in (busy, other):
        shift.dispatcher.begin(shift.dispatcher.idle(), task)
    assert list(shift.dispatcher.running) == [0, 2]
    shift.dispatcher.requeued.append(tried)
    assert shift.dispatcher.idle() is None
    del shift.dispatcher.running[2]
    worker = shift.dispatcher.idle()
    shift.dispatcher.begin(worker, shift.dispatcher.requeued.popleft())
    assert (worker, shift.pool.renewed) == (2, [2])
    assert shift.dispatcher.idle() == 1  # nothing joins it


def test_task_without_memory_whose_neighbour_ended_is_judged_by_itself_before_any_other_begins(tmp_path):
    def script(number, epoch):
        if number != 1:
            return metrics(epoch, 0.5)
        # Beside others nothing tells whose fault it was.
        alone = len(shift.dispatcher.running) == 1 and shift.pool.renewed
        return Failure("out_of_memory", "CUDA out of memory", own_fault=bool(alone))

    shift = Shift(tmp_path, script, 6, 3, per_process=3)
    first, guilty = shift.tasks[:2]
    shift.dispatcher.begin(0, first)
    shift.dispatcher.begin(1, guilty)
    shift.pool.messages.clear()
    shift.pool.messages.extend([(0, TrialResult(None)), (1, NOT_GUILTY)])
    assert [task for task, _ in shift.dispatcher.wait(0)] == [first]
    shift.tasks = shift.tasks[2:]
    shift.work()
    assert [(number, event.kind) for number, event in shift.ends() if isinstance(event, Failure)] == [
        (1, "out_of_memory")
    ]
    assert shift.pool.limits == [3]


def test_tasks_are_spread_over_the_processes(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 5, 6, per_process=3)
    for task in shift.tasks:
        shift.dispatcher.begin(shift.dispatcher.idle(), task)
    assert list(shift.dispatcher.running) == [0, 3, 1, 4, 2]


def killed(shift, *workers):
    shift.pool.messages.clear()
    shift.pool.messages.extend((worker, Died(-11)) for worker in workers)
    assert list(shift.dispatcher.wait(0)) == []


def begun_again(shift):
    """Those that were gone on with."""
    begun = []
    while shift.dispatcher.requeued and (worker := shift.dispatcher.idle()) is not None:
        begun.append(shift.dispatcher.requeued.popleft())
        shift.dispatcher.begin(worker, begun[-1])
    return begun


def test_tasks_of_a_process_that_died_go_on_beside_fewer_and_none_is_blamed_before_it_is_alone(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 4, 4, per_process=4)
    for task in shift.tasks:
        shift.dispatcher.begin(shift.dispatcher.idle(), task)
    killed(shift, *range(4))
    assert begun_again(shift) == shift.tasks[:2]
    killed(shift, *range(4))
    assert [task.deaths for task in shift.tasks] == [0, 0, 0, 0]
    assert begun_again(shift) == shift.tasks[2:3]
    killed(shift, *range(4))
    assert [task.deaths for task in shift.tasks] == [0, 0, 1, 0]


def test_process_has_its_width_again_once_it_is_known_who_ended_it(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 1, 4, per_process=4)
    shift.pool.limits = [1]
    shift.tasks[0].deaths = 2
    shift.dispatcher.begin(0, shift.tasks[0])
    shift.pool.messages.clear()
    shift.pool.messages.extend((worker, Died(-11)) for worker in range(4))
    [(_, failure)] = shift.dispatcher.wait(0)
    assert "3 times without finishing an epoch" in failure.message
    assert shift.pool.limits == [4]


@pytest.mark.parametrize("n_tasks", [0, 1, 3])
def test_process_that_ends_by_itself_before_it_has_its_data_counts_once(tmp_path, n_tasks):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 3, 3, per_process=3)
    for round in range(3):
        for worker, task in zip(range(3), shift.tasks[:n_tasks], strict=False):
            shift.dispatcher.begin(worker, task)
        shift.dispatcher.requeued.clear()
        shift.pool.messages.clear()
        # Those without a task first.
        shift.pool.messages.extend((worker, Died(1, ready=False)) for worker in (2, 1, 0))
        if round < 2:
            assert list(shift.dispatcher.wait(0)) == []
        else:
            with pytest.raises(SweeperError, match="workers end before they train"):
                list(shift.dispatcher.wait(0))


def test_width_that_is_to_be_found_out_grows_while_it_pays(monkeypatch, tmp_path):
    """Four trials are as fast together as each alone; eight are no faster than four."""
    clock, widths = [0.0], []
    monkeypatch.setattr(dispatcher, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def script(number, epoch):
        n_running = max(1, len(shift.dispatcher.running))
        widths.append(n_running)
        clock[0] += max(1, n_running / 4) / n_running
        return metrics(epoch, 0.5)

    shift = Shift(tmp_path, script, 8, 8, per_process=8, tunes_concurrency=True, epochs=30)
    shift.work()
    assert {number for number, event in shift.ends() if isinstance(event, TrialResult)} == set(range(8))
    assert widths[0] == 1
    assert max(widths) == 8  # tried
    for task in shift.tasks[:4]:
        shift.dispatcher.begin(shift.dispatcher.idle(), task)
    assert shift.dispatcher.idle() is None


def hanging(shift, seconds):
    """Nothing comes from the workers for so long; returns what ends with the processes that are killed for it."""
    clock = shift.dispatcher._watchdog.now
    shift.dispatcher._watchdog._clock = lambda: clock
    shift.dispatcher._watchdog._seen = clock
    messages, shift.pool.messages = shift.pool.messages, deque()
    for _ in range(round(seconds / MOST_STEP) + 1):
        clock += MOST_STEP
        shift.pool.silent = 1
        ends = list(shift.dispatcher.wait(0))
        if shift.pool.killed:
            return ends
        assert ends == []
    shift.pool.messages = messages


def test_worker_that_hangs_is_killed_and_its_task_goes_on_elsewhere(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 2, 2)
    for task in shift.tasks:
        shift.dispatcher.begin(shift.dispatcher.idle(), task)
    for task, _ in list(shift.dispatcher.wait(0)):
        shift.dispatcher.answer(task, proceed=True)
    shift.pool.messages = deque(message for message in shift.pool.messages if message[0] == 1)
    assert hanging(shift, LEAST_SECONDS) == []
    assert [worker for worker, _ in shift.pool.killed] == [0, 1]
    assert shift.dispatcher.running == {}  # a new task of these workers does not meet the old one's death
    assert list(shift.dispatcher.requeued) == shift.tasks
    assert [task.deaths for task in shift.tasks] == [1, 1]
    assert shift.notes[0] == Note(
        "trial 0: the worker hung (nothing came from it for 65 s, 60 s is the limit) and was killed; resuming from its "
        "last epoch"
    )


def test_task_whose_workers_hang_three_times_fails(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5))
    waiting = deque(shift.tasks)
    for n_deaths in range(3):
        shift.dispatcher.begin(0, (waiting or shift.dispatcher.requeued).popleft())
        shift.pool.killed.clear()
        ends = hanging(shift, START_SECONDS * 2**n_deaths)
    [(_, failure)] = ends
    assert failure.message.startswith("the worker hung (nothing came from it for ")
    assert failure.message.endswith(" and was killed, 3 times without finishing an epoch")


def test_all_tasks_of_a_process_that_hangs_go_on_and_no_answer_reaches_the_new_process(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 2, 2, per_process=2)
    for task in shift.tasks:
        shift.dispatcher.begin(shift.dispatcher.idle(), task)
    shift.pool.messages.clear()
    watchdog = shift.dispatcher._watchdog = Watchdog(lambda: 0.0)
    watchdog.expect(0, starts=True)
    watchdog.now = START_SECONDS + 1
    watchdog.expect(1, starts=True)
    shift.pool.messages.append((1, metrics(1, 0.5)))
    assert list(shift.dispatcher.wait(0)) == []  # the epoch's answer would be taken for a job
    assert list(shift.dispatcher.requeued) == shift.tasks
    assert [task.deaths for task in shift.tasks] == [0, 0]
    assert shift.pool.limits == [1]


def test_workers_that_hang_before_they_have_their_data_fail_no_task_but_end_the_work_after_three(tmp_path):
    hung = Died(-9, ready=False, hung="nothing came from it")
    shift = Shift(tmp_path, lambda number, epoch: hung)
    with pytest.raises(SweeperError, match=r"hang before they train \(nothing came from it\); see worker-0\.log"):
        shift.work()
    assert shift.tasks[0].deaths == 0


def test_batches_done_are_told_and_the_time_of_the_running_epoch_counts(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5))
    [task] = shift.tasks
    shift.dispatcher.begin(0, task)
    epoch = shift.pool.messages.popleft()
    for message in ((0, BatchesDone(1, 3, 10)), epoch):
        shift.pool.messages.append(message)
        list(shift.dispatcher.wait(0))
        assert shift.dispatcher.seconds(task) == pytest.approx(sum(m.epoch_seconds for m in task.history))
        shift.dispatcher._watchdog.now += 7.0
        assert shift.dispatcher.seconds(task) == pytest.approx(7.0 + sum(m.epoch_seconds for m in task.history))
    assert shift.notes == [BatchesTrained("trial 0", 1, 3, 10)]
    shift.dispatcher.answer(task, proceed=False)
    assert shift.dispatcher.seconds(task) == pytest.approx(0.1)


def test_task_is_abandoned_in_its_epoch_if_that_ends_no_other(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 3, 3)
    for task in shift.tasks:
        shift.dispatcher.begin(shift.dispatcher.idle(), task)
    shift.dispatcher.abandon(shift.tasks[1])
    assert list(shift.dispatcher.running) == [0, 2]
    assert shift.pool.renewed == [1]
    shared = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 2, 2, per_process=2)
    for task in shared.tasks:
        shared.dispatcher.begin(shared.dispatcher.idle(), task)
    shared.dispatcher.abandon(shared.tasks[1])
    assert list(shared.dispatcher.running) == [0, 1]
    assert shared.pool.renewed == []


@pytest.mark.parametrize("epoch", [1, 3])
def test_loss_of_its_place_is_no_death_of_a_task_however_often(tmp_path, epoch):
    left = [Lost("node-1"), Lost("node-2", planned=True)] * 4
    shift = Shift(tmp_path, lambda number, now: left.pop() if left and now == epoch else metrics(now, 0.5))
    shift.work()
    assert isinstance(shift.ends()[0][1], TrialResult)
    assert shift.tasks[0].deaths == 0
    assert [number for number, new in shift.epochs(0) if new] == [1, 2, 3]
    assert shift.notes == 4 * [
        Note("trial 0: node-2 was given back; resuming from its last epoch"),
        Note("trial 0: node-1 was lost; resuming from its last epoch"),
    ]


def test_losses_of_places_between_deaths_neither_count_nor_forgive(tmp_path):
    left = [Died(-9), Lost("node"), Died(-9), Lost("node"), Died(-9)]
    shift = Shift(tmp_path, lambda number, epoch: left.pop(0) if left and epoch == 2 else metrics(epoch, 0.5))
    shift.work()
    [(_, failure)] = shift.ends()
    assert failure.message.endswith("3 times without finishing an epoch")


def test_idle_workers_whose_places_are_lost_end_no_sweep(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), n_workers=4)
    shift.pool.messages.extend((worker, Lost("node")) for worker in (1, 2, 3) for _ in range(3))
    shift.work()
    assert isinstance(shift.ends()[0][1], TrialResult)
    assert shift.notes == []


def test_tasks_that_share_a_lost_process_go_on_beside_as_many(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 4, 4, per_process=4)
    for task in shift.tasks:
        shift.dispatcher.begin(shift.dispatcher.idle(), task)
    shift.pool.messages.clear()
    shift.pool.messages.extend((worker, Lost("node")) for worker in range(4))
    assert list(shift.dispatcher.wait(0)) == []
    assert begun_again(shift) == shift.tasks


def test_work_waits_for_a_place_and_what_for_is_told_once_and_when_it_changes(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 2, 2)
    shift.pool.lack_places({0, 1}, ["2 CPUs", "2 CPUs", "1 CPU", "", "1 CPU", ""])
    shift.work()
    assert len(shift.ends()) == 2
    assert shift.notes == [Note("2 CPUs"), Note("1 CPU"), Note("1 CPU")]


def test_worker_without_a_place_gets_no_task_while_others_have_one(tmp_path):
    shift = Shift(tmp_path, lambda number, epoch: metrics(epoch, 0.5), 3, 3)
    shift.pool.placeless = {0, 2}
    assert not shift.dispatcher.lacks_place()
    shift.dispatcher.begin(shift.dispatcher.idle(), shift.tasks[0])
    assert list(shift.dispatcher.running) == [1]
    assert shift.dispatcher.idle() is None
    assert not shift.dispatcher.lacks_place()  # something runs


def test_task_that_is_tried_again_waits_until_its_new_process_has_a_place(tmp_path):
    shift = Shift(tmp_path, once((0, 1), NOT_GUILTY))
    renew = shift.pool.renew

    def renew_elsewhere(index):
        renew(index)
        if len(shift.pool.renewed) == 2:  # before the second try
            shift.pool.lack_places({index}, ["1 CPU", "1 CPU"])

    shift.pool.renew = renew_elsewhere
    shift.work()
    assert isinstance(shift.ends()[0][1], TrialResult)
    assert len(shift.pool.jobs) == 2
    assert shift.notes == [Note("1 CPU")]


def test_processes_are_not_looked_through_at_each_message(tmp_path, monkeypatch):
    shift = Shift(tmp_path, lambda number, epoch: 0.5, n_tasks=6, n_workers=3)
    monkeypatch.setattr(shift.pool, "processes", None)  # with a thousand workers, that would take longer than the rest
    shift.work()
    assert [task.reported for task in shift.tasks] == [3] * 6
