import fcntl
import threading
from types import SimpleNamespace

import pytest

from sweeper.errors import SweeperError
from sweeper.store import locks
from sweeper.store.options import StoreOptions
from tests.commands.processes import DEADLINE


@pytest.mark.parametrize(
    ("folder", "advice"), [("locks", "`sweeper stop mine --store "), ("trainings/mine", "end it there")]
)
def test_refusal_says_how_to_end_what_runs(tmp_path, folder, advice):
    store = StoreOptions(tmp_path).resolve({})
    (tmp_path / folder).mkdir(parents=True)
    with store.owning("mine"), pytest.raises(SweeperError, match=rf"mine is being run by process \d+ on .*{advice}"):
        store.refuse_owned("mine")


def test_lock_that_was_deleted_while_it_was_waited_for_keeps_nobody_out(tmp_path, monkeypatch):
    path, entered, leave = tmp_path / "lock", threading.Event(), threading.Event()
    opened = threading.Event()

    def flock(file, operation):
        if threading.current_thread() is waiting:
            opened.set()
        fcntl.flock(file, operation)

    def wait_for_it():
        with locks.locked(path, wait=True):
            entered.set()
            leave.wait(DEADLINE)

    with locks.locked(path, wait=True):
        waiting = threading.Thread(target=wait_for_it)
        monkeypatch.setattr(locks, "fcntl", SimpleNamespace(**vars(fcntl) | {"flock": flock}))
        waiting.start()
        assert opened.wait(DEADLINE)  # the file is open, and the lock is not to be had
        path.unlink()
    assert entered.wait(DEADLINE)
    with pytest.raises(SweeperError, match="is being run by"), locks.locked(path, wait=False):
        pass
    leave.set()
    waiting.join()
