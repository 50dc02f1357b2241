"""Signals as batch systems and terminals send them, to the whole process group; and terminals that are gone."""

import os
import signal
import time
from contextlib import contextmanager

import pytest

from tests.commands.processes import is_alive, wait_for
from tests.faults.workplace import EPOCHS, assert_same

pytestmark = pytest.mark.fault

# An epoch takes a second, which leaves time to stop the worker in the middle of the next.
SLOW = ("--set", "filters=[48,128,16]", "--epochs", 2, "--trials", 1)


@pytest.fixture(autouse=True)
def whole_end(driver, monkeypatch):
    """Commands end as any Python does: a thread that still runs could show something then."""
    monkeypatch.setattr(driver, "whole_end", True)


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


def test_study_stopped_by_a_signal_goes_on_as_if_nothing_had_been(workplace, undisturbed, thorough):
    recorded = []
    stops = [(signal.SIGTERM, 143), (signal.SIGUSR1, 138)]
    if thorough:  # other tests here send these two
        stops += [(signal.SIGINT, 130), (signal.SIGHUP, 129)]
    for number, exit_code in stops:
        search = workplace.search("--trials", 1)
        workplace.trains(search)
        workers = search.workers()
        search.signal_group(number)
        search.ended(exit_code)
        assert "trial 0 (baseline) interrupted" in search.stderr
        assert is_resumable(workplace, search, workers)
        recorded.append(workplace.status()["running_trials"][0]["epochs"])
    assert recorded == sorted({0, EPOCHS, *recorded})[1:-1]  # each has gone on from the one before
    workplace.search("--trials", 1).ended()
    assert_same(workplace, undisturbed, 1)
    assert workplace.epochs() == EPOCHS


def test_second_ctrl_c_stops_at_once_and_loses_the_running_epoch_only(workplace):
    search = workplace.search(*SLOW)
    search.says("trial 0 (baseline) epoch 1")
    workers = search.workers()
    for worker in workers:  # the running epoch does not end before the second Ctrl-C
        os.kill(worker, signal.SIGSTOP)
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


def test_second_ctrl_c_ends_a_training_in_the_process_of_the_command(workplace):
    slow = ("--set", "filters=[128,512,16]", "--epochs", 2, "--trials", 1)  # half a minute an epoch
    search = workplace.search(*slow, "--engine", "inline")
    search.says("trial 0 (baseline) started")
    wait_for("an epoch to begin", lambda: any("begins" in log for log in workplace.logs()))
    search.signal_group(signal.SIGINT)
    search.says("a second signal stops at once")
    time.sleep(0.7)
    search.signal_group(signal.SIGINT)
    search.ended(130)
    assert workplace.epochs() == 0
    status = workplace.status()
    assert (status["state"], status["n_trials"]["running"]) == ("dead", 1)
    assert "sweeper search" in status["command"]


@contextmanager
def terminal():
    """Gives the name of a terminal, and a function that closes it, as a lost connection does."""
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    os.close(theirs)
    open_ends = [ours]

    def close():
        while open_ends:
            os.close(open_ends.pop())

    try:
        yield name, close
    finally:
        close()


def lost_output(workplace):
    return (workplace.store / "logs" / "lost-output.log").read_text()


@pytest.mark.parametrize("view", [(), ("--verbose",)])
def test_study_whose_terminal_is_lost_is_recorded_and_says_so_in_the_store(workplace, view):
    with terminal() as (name, close):
        search = workplace.search("--trials", 1, view=view, output=name)
        workplace.trains(search)
        close()
        search.ended(129)
    told = lost_output(workplace)
    assert "SIGHUP: recording the running epochs" in told
    assert "trial 0 (baseline) interrupted" in told
    assert "sweeper search" in told
    assert "\x1b[2K" not in told  # no live view in a file
    status = workplace.status()
    assert (status["state"], status["ended"]) == ("stopped", "SIGHUP")


@pytest.mark.parametrize("view", [(), ("--verbose",)])
def test_search_that_nohup_started_outlives_its_terminal(workplace, view):
    with terminal() as (name, close):
        search = workplace.search("--trials", 1, view=view, output=name, ignored=[signal.SIGHUP])
        workplace.trains(search)
        close()
        search.ended()
    assert "1 complete" in lost_output(workplace)
    assert workplace.epochs() == EPOCHS


def test_search_with_closed_streams_is_like_any_other(workplace):
    short = ("--trials", 1, "--epochs", 1)
    search = workplace.search(*short, "--json", closed=[2]).ended()
    assert search.json["n_trials"]["complete"] == 1
    stopped = workplace.search(study="other", closed=[0, 1, 2])
    workplace.trains(stopped, "other")
    stopped.signal_group(signal.SIGTERM)
    stopped.ended(143)
    assert workplace.status("other")["state"] == "stopped"


def test_search_that_was_suspended_goes_on_in_the_foreground(workplace):
    search = workplace.search("--trials", 1)
    workplace.trains(search)
    search.signal_group(signal.SIGSTOP)
    time.sleep(1.0)
    search.signal_group(signal.SIGCONT)
    search.ended()
    assert workplace.epochs() == EPOCHS
