import os
import signal
import threading

import pytest

from sweeper.store.options import StoreOptions
from sweeper.studies import lifecycle
from sweeper.studies.queries import find_study
from tests.promotion.conftest import workplace  # noqa: F401


@pytest.fixture(scope="module")
def study(workplace):  # noqa: F811
    workplace.search("halted", "--trials", 1, "--epochs", 1)
    return "halted"


@pytest.fixture
def store(workplace):  # noqa: F811
    return StoreOptions(workplace.store).resolve({})


def test_study_that_nobody_runs_is_refused_in_one_line(workplace):  # noqa: F811
    workplace.search("ended", "--trials", 1, "--epochs", 1)
    refused = workplace.run("stop", "ended", "--store", workplace.store, code=1)
    assert refused.stderr == "Error: no process runs ended: it is finished\n"


def test_no_wait_asks_and_returns(workplace, study, store):  # noqa: F811
    with store.owning(study):
        told = workplace.run("stop", study, "--no-wait", "--store", workplace.store).stdout
        assert told == f"halted: process {os.getpid()} on {os.uname().nodename} is asked to stop\n"
        assert store.stop_requested(study)


def test_it_waits_for_the_end_and_says_how_to_go_on(workplace, study, store):  # noqa: F811
    owned = threading.Event()

    def own():
        with store.owning(study):
            owned.set()
            while not store.stop_requested(study):
                threading.Event().wait(0.05)
            in_storage = find_study(store, study)
            lifecycle.mark_running(in_storage, 5, "sweeper search tiny --study halted")
            lifecycle.mark_ended(in_storage, "sweeper stop")

    owner = threading.Thread(target=own)
    owner.start()
    owned.wait()
    told = workplace.run("stop", study, "--store", workplace.store)
    owner.join()
    assert told.stdout == "halted: stopped by sweeper stop\nTo resume: sweeper search tiny --study halted\n"


def test_ctrl_c_ends_the_waiting_and_leaves_the_request(workplace, study, store, driver):  # noqa: F811
    with store.owning(study):
        waiting = driver.start("stop", study, "--store", workplace.store)
        waiting.says("records the running epochs")
        waiting.signal_group(signal.SIGINT)
        waiting.ended(130)
        assert store.stop_requested(study)
