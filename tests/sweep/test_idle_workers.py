"""What workers do that have no trial to train while others still train the last ones."""

from dataclasses import replace

import pytest

from sweeper.engine.base import Failure
from sweeper.events import EpochEnded, TrialStarted
from sweeper.runs.stop import StopRequest
from sweeper.studies import trial_records
from tests.sweep.sweeps import Sweep, steady

OTHER = 1000


class Others:
    """Jobs for idle workers, numbered from 1000 on; `open` has how many trials were open when each was asked for."""

    def __init__(self, sweep):
        self.sweep, self.open = sweep, []

    def __call__(self, n_open, n_running):
        self.open.append(n_open)
        number = OTHER + len(self.open)
        return replace(self.sweep.pool.jobs[0], number=number, folder=self.sweep.store.root / f"other {number}")

    @property
    def trained(self):
        return [job.number for job in self.sweep.pool.jobs if job.number >= OTHER]


def script(job, epoch):
    return 0.1 if job.number >= OTHER else steady(job, epoch)


def run(folder, script=script, *, n_workers=2, room=2, **given):
    sweep = Sweep(folder)
    others = Others(sweep)
    trials = sweep.run(script, n_workers=n_workers, idle_job=others, room=room, **given)
    return sweep, others, trials


def test_other_jobs_are_begun_only_when_no_trial_is_left_to_start_and_change_no_trial(tmp_path):
    plain, nothing, expected = run(tmp_path / "plain", trials=9, room=0)
    sweep, others, trials = run(tmp_path / "filled", trials=9)
    assert (nothing.trained, others.trained) == ([], [OTHER + 1])
    assert others.open == [1]
    assert [job.number for job in sweep.pool.jobs][:9] == list(range(9))
    assert trials == [replace(trial, seconds=ours.seconds) for trial, ours in zip(expected, trials, strict=True)]
    assert {type(event) for event in sweep.events} == {type(event) for event in plain.events}
    assert not any(event.number >= OTHER for event in sweep.events if isinstance(event, EpochEnded))
    assert sweep.tracker.children.keys() == plain.tracker.children.keys()


def test_search_ends_with_its_last_trial_whatever_other_jobs_still_train(tmp_path):
    sweep, others, trials = run(tmp_path, n_workers=4, room=4, trials=1)
    assert others.trained == [OTHER + 1, OTHER + 2, OTHER + 3]
    assert trial_records.counts(trials)["complete"] == 1
    assert all(sweep.pool.sent[worker] <= 3 for worker in (1, 2, 3))


def test_trial_in_place_of_a_failed_one_is_trained_where_that_was(tmp_path):
    def failing(job, epoch):
        return Failure("error", "a bug") if job.number == 2 else script(job, epoch)

    sweep, others, trials = run(tmp_path, failing, trials=3)
    assert others.trained
    assert [trial.state for trial in trials[:4]] == ["complete", "complete", "failed", "complete"]
    assert sweep.pool.renewed == []


def test_after_a_request_to_stop_no_other_job_is_begun(tmp_path):
    stop = StopRequest()

    def request(event):
        if isinstance(event, TrialStarted) and event.number == 8:
            stop.reason = "SIGTERM"

    _, others, trials = run(tmp_path, trials=9, stop=stop, listener=request)
    assert others.trained == []
    assert trials[8].state == "running"


@pytest.mark.parametrize("room", [0, 1])
def test_without_room_idle_workers_stay_idle(tmp_path, room):
    _, others, _ = run(tmp_path, trials=9, room=room)
    assert others.trained == []
