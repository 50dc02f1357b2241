"""A template database equals the one that its library creates."""

import sqlite3
from contextlib import closing

import mlflow
import optuna
import pytest
from mlflow.store.db import utils

from tests import databases


def schema(path):
    """The columns of every table and index, and the recorded version of the schema."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
        columns = {
            name: connection.execute(f"SELECT * FROM pragma_table_info('{name}')").fetchall()
            + connection.execute(f"SELECT * FROM pragma_index_info('{name}')").fetchall()
            for name in names
        }
        return columns, connection.execute("SELECT version_num FROM alembic_version").fetchall()


def make_mlflow(path):
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()


def make_optuna(path):
    optuna.storages.RDBStorage(f"sqlite:///{path}").engine.dispose()


@pytest.mark.parametrize("make", [make_mlflow, make_optuna])
def test_copied_database_has_the_schema_of_a_new_one(tmp_path, monkeypatch, make):
    databases.adopt()
    make(tmp_path / "copied.db")
    copying = utils._initialize_tables, optuna.storages.RDBStorage.__init__
    assert all(hasattr(function, "__wrapped__") for function in copying)
    monkeypatch.setattr(utils, "_initialize_tables", copying[0].__wrapped__)
    monkeypatch.setattr(optuna.storages.RDBStorage, "__init__", copying[1].__wrapped__)
    make(tmp_path / "made.db")
    assert schema(tmp_path / "copied.db") == schema(tmp_path / "made.db")


@pytest.mark.parametrize("make", [make_mlflow, make_optuna])
def test_database_that_is_there_already_stays(tmp_path, make):
    with closing(sqlite3.connect(tmp_path / "my.db")) as connection, connection:
        connection.execute("CREATE TABLE mine (number INTEGER)")
    make(tmp_path / "my.db")
    assert "mine" in schema(tmp_path / "my.db")[0]
