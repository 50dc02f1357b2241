"""The start of a command, ended at any moment: nothing is ruined, and nobody sees a traceback."""

import signal
import subprocess
import sys
import time
from itertools import cycle

import pytest

from sweeper.store.options import StoreOptions
from sweeper.studies import storage
from sweeper.tracking import client
from tests.commands.processes import Command, wait_for
from tests.faults.conftest import open_workplace
from tests.faults.workplace import FIXED_LIST

pytestmark = pytest.mark.fault

SHORT = ("--trials", 1, "--epochs", 1)
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL)
BEGUN = "trial 0 (baseline) started"


@pytest.fixture(autouse=True)
def whole_end(driver, monkeypatch):
    """Commands end as any Python does: a thread that still runs could show something then."""
    monkeypatch.setattr(driver, "whole_end", True)


@pytest.fixture
def fresh(driver, tmp_path):
    """Makes workplaces whose stores do not exist yet."""
    (tmp_path / "space.toml").write_text(FIXED_LIST)

    def make(name):
        (tmp_path / name).mkdir()
        (tmp_path / name / "space.toml").symlink_to(tmp_path / "space.toml")
        return open_workplace(driver, tmp_path / name)

    yield make
    driver.clear()


def moments(duration, thorough, few):
    """Moments within the duration, in seconds: every tenth of a second, or a few."""
    step = 0.1 if thorough else duration / few
    return [(number + 0.5) * step for number in range(int(duration / step))]


def ready(search):
    """Waits until the command handles signals; what it is before that, the driver has made of it."""
    wait_for("the handlers", lambda: search.handles(signal.SIGTERM))
    return time.monotonic()


def assert_ended(search: Command, number: int):
    """The command ended with the signal's code, and showed a line or two; it may have been done before the signal."""
    code = search.wait()
    assert code in (-number if number == signal.SIGKILL else 128 + number, 0), (code, search.stderr)
    shown = search.stdout + search.stderr
    assert "Traceback" not in shown
    assert "Exception ignored" not in shown
    assert "bug in sweeper" not in shown


def assert_whole(store):
    """Each database is complete, or is not there."""
    found = StoreOptions(store).resolve({})
    for name, module in (("optuna.db", storage), ("mlflow.db", client)):
        assert not (store / name).exists() or module.database_exists(found), name
    assert not list(store.glob("*.half-made*"))


def test_signal_at_any_moment_of_the_start_ends_it_in_a_line_and_ruins_nothing(fresh, thorough):
    search = fresh("undisturbed").search(*SHORT)
    started = ready(search)
    search.says(BEGUN)
    duration = time.monotonic() - started
    search.kill()
    for number, (moment, end) in enumerate(zip(moments(duration, thorough, 8), cycle(ENDS), strict=False)):
        place = fresh(f"at-{number}")
        search = place.search(*SHORT)
        time.sleep(max(0.0, ready(search) + moment - time.monotonic()))
        search.signal_group(end)
        assert_ended(search, end)
        if place.store.exists():
            assert_whole(place.store)
        if number % 4 == 1:
            place.search(*SHORT).ended()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_database_whose_tables_are_being_made_is_whole_or_not_there(fresh, end, thorough):
    for number, moment in enumerate(moments(3.0, thorough=False, few=4 if thorough else 1)):
        place = fresh(f"at-{number}")
        search = place.search(*SHORT, templates=False)
        wait_for("MLflow's first tables", (place.store / ".mlflow.db.tmp" / "mlflow.db").exists)
        time.sleep(moment)
        search.signal_group(end)
        assert_ended(search, end)
        assert_whole(place.store)
        assert end == signal.SIGKILL or not (place.store / ".mlflow.db.tmp").exists()
        place.search(*SHORT).ended()
        assert_whole(place.store)
        assert not list(place.store.glob(".*.tmp"))


def test_disk_that_fills_while_the_tables_are_made_leaves_no_half_made_database(fresh):
    place = fresh("full")
    # Room for Optuna's tables, and for the first ones of MLflow's.
    search = place.search(*SHORT, templates=False, largest_file=300_000).ended(1)
    assert len([line for line in search.stderr.splitlines() if line.startswith("Error: ")]) == 1
    assert_whole(place.store)
    assert not list(place.store.glob(".*.tmp"))
    place.search(*SHORT).ended()


def fresh_process(*arguments):
    command = [sys.executable, "-m", "sweeper", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, Command(process.pid, None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_while_python_imports_shows_no_traceback(number, tmp_path, thorough):
    """Python itself ends with SIGTERM and SIGHUP before sweeper handles them; for SIGINT it shows a traceback then."""
    started = time.monotonic()
    process, command = fresh_process("status", "--store", str(tmp_path))
    handled = ready(command) - started
    process.communicate()
    duration = time.monotonic() - started
    for moment in moments(duration, thorough, 4):
        process, command = fresh_process("status", "--store", str(tmp_path))
        begun = time.monotonic()
        if number == signal.SIGINT:
            begun = ready(command) - handled
        time.sleep(max(0.0, begun + moment - time.monotonic()))
        process.send_signal(number)
        output = "".join(process.communicate(timeout=240))
        assert process.returncode in (128 + number, -number, 1), output  # 1: there is no study
        assert "Traceback" not in output
        assert "Exception ignored" not in output
