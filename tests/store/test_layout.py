import os
import socket
import threading
from pathlib import Path

import pytest

from sweeper.errors import SweeperError, UsageError
from sweeper.store import layout, names
from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions
from tests.commands.processes import DEADLINE


def test_second_owner_of_a_study_is_refused_and_told_of_the_first(tmp_path):
    store = StoreOptions(tmp_path).resolve({})
    assert store.owner("study") is None
    with store.owning("study"):
        assert store.owner("study") == f"process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(SweeperError, match=r"study is being run by process \d+ on "), store.owning("study"):
            pass
        with store.owning("other"):
            pass
    assert store.owner("study") is None
    with store.owning("study"):
        pass


def test_request_to_stop_reaches_the_owner_and_not_the_next_one(tmp_path):
    store = StoreOptions(tmp_path).resolve({})
    with store.owning("study"):
        assert not store.stop_requested("study")
        store.request_stop("study")
        assert store.stop_requested("study")
        assert not store.stop_requested("other")
    with store.owning("study"):
        assert not store.stop_requested("study")


def test_request_to_stop_that_comes_with_a_new_owner_reaches_it_and_names_it(tmp_path, monkeypatch):
    store, asked = StoreOptions(tmp_path).resolve({}), []
    with store.owning("study"):
        pass
    asker = threading.Thread(target=lambda: asked.append(store.request_stop("study")))

    def ask():
        asker.start()
        asker.join(0.3)
        return "new"

    monkeypatch.setattr(socket, "gethostname", ask)  # what the new owner asks for once the lock is its own
    with store.owning("study"):
        asker.join(DEADLINE)
        assert asked == [f"process {os.getpid()} on new"]
        assert store.stop_requested("study")


def test_nobody_is_asked_to_stop_where_nobody_runs_the_study(tmp_path):
    store = StoreOptions(tmp_path).resolve({})
    with store.owning("study"):
        pass
    assert store.request_stop("study") is None
    assert not store.stop_requested("study")


def test_end_of_an_owner_is_waited_for_whatever_its_lock_says(tmp_path):
    store, ended = StoreOptions(tmp_path).resolve({}), threading.Event()
    waiting = threading.Thread(target=lambda: (store.wait_for_owner("study"), ended.set()))
    with store.owning("study"):
        waiting.start()
        assert not ended.wait(0.3)
        (tmp_path / "locks" / "study.lock").write_text("process 1 on another")
        assert not ended.wait(0.7)
    assert ended.wait(DEADLINE)
    waiting.join()
    store.wait_for_owner("nobody-s")


def test_longer_name_of_the_owner_before_leaves_no_trace(tmp_path, monkeypatch):
    store = StoreOptions(tmp_path).resolve({})
    for host in ("a-machine-of-a-long-name", "b"):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        with store.owning("study"):
            assert store.owner("study") == f"process {os.getpid()} on {host}"
    assert (tmp_path / "locks" / "study.lock").read_text() == f"process {os.getpid()} on b\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_lock_without_room_for_its_owner_is_told_in_one_line_and_not_kept(tmp_path, monkeypatch):
    store, path = StoreOptions(tmp_path).resolve({}), tmp_path / "locks" / "study.lock"
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    monkeypatch.setattr(Store, "check_links", lambda store: None)  # it would refuse the link
    for _ in range(2):
        with (
            pytest.raises(SweeperError, match=r"study\.lock in the store cannot be written to: No space left"),
            store.owning("study"),
        ):
            pass


def test_forgotten_study_leaves_no_lock(tmp_path):
    store = StoreOptions(tmp_path).resolve({})
    with store.owning("study"):
        store.request_stop("study")
        store.forget("study")
    assert list((tmp_path / "locks").iterdir()) == []


def test_belongings_are_the_studys_own_and_not_those_of_a_namesake(tmp_path):
    store = StoreOptions(tmp_path).resolve({})
    own = [
        store.trial_folder("a", "0123456789", 3).parent,
        store.training_folder("a", "0123456789", "refit").parent,
        store.log_folder("a", "0123456789"),
        store.shared_images_folder("a", "0123456789"),
        store.shared_images_folder("a", "0123456789").with_name(".a-01234567.77.0ab1.tmp"),
        store.outbox("a", "0123456789", "study"),
    ]
    others = [
        tmp_path / "spool" / "a-76543210-study.db",
        tmp_path / "spool" / "a-b-01234567-study.db",
        tmp_path / "parts" / ".a-b-01234567.77.0ab1.tmp",
        store.log_folder("a", "7654321000"),
        store.single_folder("a"),
    ]
    for path in [*own, *others]:
        path.mkdir(parents=True)
    assert sorted(store.belongings("a", "0123456789")) == sorted(own)


@pytest.mark.skipif(not Path("/sys/kernel/mm").is_dir(), reason="needs a folder where even root makes no files")
def test_store_that_cannot_be_written_to_is_refused_in_one_line():
    store = StoreOptions(Path("/sys/kernel/mm")).resolve({})
    with pytest.raises(SweeperError, match="in the store cannot be written to"), store.owning("study"):
        pass
    with pytest.raises(SweeperError, match="in the store cannot be written to"):
        store.request_stop("study")


@pytest.mark.parametrize("name", [*layout.FOLDERS, "optuna.db", "mlflow.db", "ledger.jsonl"])
def test_store_whose_parts_are_of_the_wrong_kind_is_refused_before_anything_is_made(tmp_path, name):
    store = StoreOptions(tmp_path).resolve({})
    if name in layout.FOLDERS:
        (tmp_path / name).touch()
    else:
        (tmp_path / name).mkdir()
    kind = "folder" if name in layout.FOLDERS else "file"
    with pytest.raises(SweeperError, match=rf"^the store {tmp_path} cannot be written to: .*/{name} is not a {kind}$"):
        store.prepare()
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x", "a" * 101, "a b", "é"])
def test_study_name_that_could_leave_the_store_is_refused(name):
    with pytest.raises(UsageError, match="a study's name must be"):
        names.check_study_name(name)
