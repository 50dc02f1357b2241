import pytest

from sweeper.errors import UsageError
from sweeper.store.options import StoreOptions
from sweeper.store.redaction import redact


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
