import os
import shlex
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.errors import SweeperError, UsageError
from sweeper.store import layout, names
from sweeper.store.layout import Store, StoreOptions
from sweeper.store.redaction import redact
from tests.commands.processes import DEADLINE


def test_flag_goes_over_variable_and_variable_over_store(tmp_path):
    environment = {"OPTUNA_STORAGE": "sqlite:///o.db", "MLFLOW_TRACKING_URI": "http://localhost:1"}
    plain = StoreOptions(tmp_path).resolve({})
    assert (plain.storage, plain.tracking_uri) == (f"sqlite:///{tmp_path}/optuna.db", f"sqlite:///{tmp_path}/mlflow.db")
    assert plain.embedded_storage
    assert plain.embedded_tracking
    by_variable = StoreOptions(tmp_path).resolve(environment)
    assert (by_variable.storage, by_variable.tracking_uri) == ("sqlite:///o.db", "http://localhost:1")
    by_flag = StoreOptions(tmp_path, "sqlite:///f.db", "http://localhost:2").resolve(environment)
    assert (by_flag.storage, by_flag.tracking_uri) == ("sqlite:///f.db", "http://localhost:2")
    assert not by_flag.embedded_tracking


def test_store_is_found_from_where_the_command_is_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert StoreOptions().resolve({}).root == tmp_path / "mlruns"


def test_store_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="the store must be a folder"):
        StoreOptions(tmp_path / "file").resolve({})


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a\nb", "\udcff", "a\0b"])
def test_path_that_no_sqlite_address_can_hold_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"the store's path must be printable, without \? and %, got .*\(--store\)"):
        StoreOptions(tmp_path / name).resolve({})


@pytest.mark.parametrize(("name", "reason"), [("x" * 300, "File name too long"), ("file/child", "Not a directory")])
def test_path_that_can_be_no_folder_is_refused(tmp_path, name, reason):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=f"cannot be the store: {reason}"):
        StoreOptions(tmp_path / name).resolve({})


def test_address_of_two_lines_is_refused_without_its_password(tmp_path):
    with pytest.raises(UsageError, match="an address must be printable") as refused:
        StoreOptions(tmp_path, None, "http://me:secret@host\n").resolve({})
    assert "secret" not in str(refused.value)


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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("https://me:sec:r@t@host", "https://me:***@host"),
        ("https://TOKEN@host/x", "https://***@host/x"),
        ("postgresql://host/db?user=me&password=secret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("postgresql://me:my secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:a/b c@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@server:secret@host/db", "postgresql://me@server:***@host/db"),
        ("mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dsecret", "mssql+pyodbc:///?odbc_connect=***"),
        ("mssql:///?odbc_connect=Driver={A 17};UID=me; PWD=secret=1&x=1", "mssql:///?odbc_connect=***&x=1"),
        ("s3://bucket?access_key=secret&x=1", "s3://bucket?access_key=***&x=1"),
        ("https://host?api_key=secret", "https://host?api_key=***"),
        ("https://host?x=1&sig=secret", "https://host?x=1&sig=***"),
        (
            "postgresql://host/db?sslpassword=secret&sslmode=require",
            "postgresql://host/db?sslpassword=***&sslmode=require",
        ),
        ("mysql://host/db?PWD=secret", "mysql://host/db?PWD=***"),
    ],
)
def test_password_in_an_address_is_hidden(url, shown):
    assert redact(url) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////tmp/x.db",
        "http://host:5000",
        "MLflow at http://127.0.0.1:5000 cannot be used: ask me@example.com",
        "MLflow at http://127.0.0.1:5000/x cannot be used: ask me@example.com",
        "http://[::1]:5000 does not answer; ask me@example.com",
        "postgresql+psycopg://me@host:5432/db",
        "sweeper search tiny --storage 'mysql://me@host/db'",
        "sweeper search tiny --tracking-uri http://host:5000 --set a=b@c --storage postgresql://host:5432/db?sslmode=require",
    ],
)
def test_text_without_a_secret_stays_as_it_is(text):
    assert redact(text) == text


def test_words_around_a_secret_stay():
    assert redact("postgresql://me:secret@host/db cannot be used: ask me@example.com") == (
        "postgresql://me:***@host/db cannot be used: ask me@example.com"
    )
    assert redact("(see https://host/?token=secret), then") == "(see https://host/?token=***), then"


@given(
    password=st.text("abc12 '\"/:.,;?&=#\\é").filter(lambda text: "://" not in text),
    key=st.text("abc12'\"/:.,;?=#\\@%é"),
    host=st.sampled_from(["host", "host:5432", "[::1]:5432", ""]),
)
def test_no_secret_is_left_in_a_command_and_its_words_stay(password, key, host):
    address = f"postgresql://me:x{password}hunter2{password}@{host}/db?api_key=hunter2{key}&x=1"
    command = shlex.join(["sweeper", "search", "tiny", "--storage", address, "--set", "kernel_size=5"])
    shown = redact(command)
    assert "hunter2" not in shown
    assert shlex.split(shown)[:4] == ["sweeper", "search", "tiny", "--storage"]
    assert shlex.split(shown)[5:] == ["--set", "kernel_size=5"]
    assert redact(shown) == shown


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
@pytest.mark.parametrize(
    ("option", "variable"), [("storage", "OPTUNA_STORAGE"), ("tracking_uri", "MLFLOW_TRACKING_URI")]
)
def test_database_in_memory_is_refused(tmp_path, url, option, variable):
    for options, environment in (({option: url}, {}), ({}, {variable: url})):
        with pytest.raises(UsageError, match="a database must be a file or on a server"):
            StoreOptions(tmp_path, **options).resolve(environment)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://me:secret@host/runs", "mysql://host/runs", "mssql+pyodbc://host"]
)
def test_database_on_a_server_keeps_no_artifacts_and_is_refused_with_the_server_to_start(tmp_path, url):
    for options, environment in (({"tracking_uri": url}, {}), ({}, {"MLFLOW_TRACKING_URI": url})):
        with pytest.raises(
            UsageError, match=r"start `mlflow server --backend-store-uri .* --artifacts-dest"
        ) as refused:
            StoreOptions(tmp_path, **options).resolve(environment)
        assert "secret" not in str(refused.value)
        assert redact(url) in str(refused.value)
    assert StoreOptions(tmp_path, storage=url).resolve({}).storage == url
