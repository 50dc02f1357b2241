"""SIGTERM and Ctrl-C, as a batch system and a terminal send them: to the whole process group."""

import signal
import time

import pytest

from tests.commands.processes import is_alive, wait_for
from tests.faults.workplace import EPOCHS, assert_same

pytestmark = pytest.mark.fault

# An epoch takes several seconds, which leaves time for a second Ctrl-C.
SLOW = ("--set", "filters=[48,128,16]", "--epochs", 2, "--trials", 1)


def is_resumable(workplace, search, workers):
    """Whether the command to resume was shown, all workers ended, and the study is recorded as stopped."""
    shown = search.stdout + search.stderr
    assert "sweeper search" in shown
    assert f"--store {workplace.store}" in shown
    # A worker that died of the signal would have lost its epoch.
    assert "the worker ended" not in shown
    wait_for("the workers' end", lambda: not any(map(is_alive, workers)))
    status = workplace.status()
    return (status["state"], status["n_trials"]["running"]) == ("stopped", 1)


def test_study_stopped_by_a_signal_goes_on_as_if_nothing_had_been(workplace, undisturbed):
    recorded = []
    for number, exit_code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        search = workplace.search("--trials", 1)
        workplace.trains(search)
        workers = search.workers()
        search.signal_group(number)
        search.ended(exit_code)
        assert "trial 0 (baseline) interrupted" in search.stderr
        assert is_resumable(workplace, search, workers)
        recorded.append(workplace.status()["running_trials"][0]["epochs"])
    assert 1 <= recorded[0] < recorded[1] < EPOCHS
    workplace.search("--trials", 1).ended()
    assert_same(workplace, undisturbed, 1)
    assert workplace.epochs() == EPOCHS


def test_second_ctrl_c_stops_at_once_and_loses_the_running_epoch_only(workplace):
    search = workplace.search(*SLOW)
    search.says("trial 0 (baseline) epoch 1")
    workers = search.workers()
    search.signal_group(signal.SIGINT)
    search.says("a second signal stops at once")
    time.sleep(0.7)  # sooner, it counts as the first: some programs signal both a process and its group
    assert search.exit_code is None, "the epoch was too short for a second Ctrl-C"
    search.signal_group(signal.SIGINT)
    search.ended(130)
    assert is_resumable(workplace, search, workers)
    assert workplace.epochs() == 1
    again = workplace.search(*SLOW).ended()
    assert "trial 0 (baseline) resumes after epoch 1" in again.stderr
    assert workplace.epochs() == 2
