import pytest

from sweeper import store as stores
from sweeper.errors import SweeperError, UsageError


def test_flag_goes_over_variable_and_variable_over_store(tmp_path):
    environment = {"OPTUNA_STORAGE": "sqlite:///o.db", "MLFLOW_TRACKING_URI": "http://localhost:1"}
    plain = stores.resolve(tmp_path, None, None, {})
    assert (plain.storage, plain.tracking_uri) == (f"sqlite:///{tmp_path}/optuna.db", f"sqlite:///{tmp_path}/mlflow.db")
    assert plain.embedded_storage
    assert plain.embedded_tracking
    by_variable = stores.resolve(tmp_path, None, None, environment)
    assert (by_variable.storage, by_variable.tracking_uri) == ("sqlite:///o.db", "http://localhost:1")
    by_flag = stores.resolve(tmp_path, "sqlite:///f.db", "http://localhost:2", environment)
    assert (by_flag.storage, by_flag.tracking_uri) == ("sqlite:///f.db", "http://localhost:2")
    assert not by_flag.embedded_tracking


def test_store_is_found_from_where_the_command_is_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert stores.resolve(None, None, None, {}).root == tmp_path / "mlruns"


def test_store_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="the store must be a folder"):
        stores.resolve(tmp_path / "file", None, None, {})


def test_second_owner_of_a_study_is_refused_and_told_of_the_first(tmp_path):
    store = stores.resolve(tmp_path, None, None, {})
    assert not store.is_owned("study")
    with store.owning("study"):
        assert store.is_owned("study")
        with pytest.raises(SweeperError, match=r"study is being run by process \d+ on "), store.owning("study"):
            pass
        with store.owning("other"):
            pass
    assert not store.is_owned("study")
    with store.owning("study"):
        pass


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x", "a" * 101, "a b", "é"])
def test_study_name_that_could_leave_the_store_is_refused(name):
    with pytest.raises(UsageError, match="a study's name must be"):
        stores.check_study_name(name)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("https://me:sec:r@t@host", "https://me:***@host"),
        ("https://TOKEN@host/x", "https://***@host/x"),
        ("postgresql://host/db?user=me&password=secret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_password_in_an_address_is_hidden(url, shown):
    assert stores.redact(url) == shown
