import sqlite3
import subprocess
import sys

import optuna
import pytest

from sweeper.errors import SweeperError
from sweeper.store import databases
from sweeper.store.options import StoreOptions
from sweeper.studies.storage import LIBRARY, open_storage
from sweeper.tracking import client


@pytest.fixture
def optuna_database(tmp_path):
    """The file of Optuna's database with a study in it."""
    store = StoreOptions(tmp_path).resolve({})
    optuna.create_study(study_name="theirs", storage=open_storage(store))
    return tmp_path / "optuna.db"


def check(path, library=LIBRARY):
    return databases.exists(f"sqlite:///{path}", library)


def execute(path, statement, *values):
    with sqlite3.connect(path) as connection:
        connection.execute(statement, values)
    connection.close()


def test_database_of_the_library_is_taken(optuna_database):
    assert check(optuna_database)


def test_where_no_database_is_one_may_be_made_and_looking_makes_none(tmp_path):
    assert not check(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.db").touch()
    assert not check(tmp_path / "empty.db")


def test_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "optuna.db"
    path.write_text("a letter to my sister, and rather a long one" * 100)
    with pytest.raises(SweeperError, match=rf"^{path} is not a SQLite database, as Optuna's must be: move it away"):
        check(path)


def test_other_peoples_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "optuna.db"
    execute(path, "CREATE TABLE recipes (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(SweeperError, match=r"but not Optuna's \(its tables are recipes\): move it away"):
        open_storage(StoreOptions(tmp_path).resolve({}))
    assert path.read_bytes() == before


def test_optunas_database_is_not_mlflows(optuna_database):
    url = f"sqlite:///{optuna_database}"
    before = optuna_database.read_bytes()
    with pytest.raises(SweeperError, match="is a database, but not MLflow's"):
        client.connect(StoreOptions(optuna_database.parent, None, url).resolve({}))
    assert optuna_database.read_bytes() == before


def test_older_schema_is_refused_with_the_command_that_upgrades_it(optuna_database):
    execute(optuna_database, "UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    upgrade = rf"`optuna storage upgrade --storage sqlite:///{optuna_database}`"
    with pytest.raises(
        SweeperError, match=rf"has an older schema \(v2.6.0.a\) than Optuna .*copy of it, and then {upgrade}"
    ):
        check(optuna_database)


def test_newer_schema_is_refused(optuna_database):
    execute(optuna_database, "UPDATE alembic_version SET version_num = 'v99'")
    with pytest.raises(SweeperError, match=r"has a schema \(v99\) that Optuna .* does not know.*pip install -U optuna"):
        check(optuna_database)


def test_tables_that_a_killed_process_left_half_made_are_made_whole(tmp_path):
    store = StoreOptions(tmp_path).resolve({})
    open_storage(store)
    execute(tmp_path / "optuna.db", "DELETE FROM alembic_version")
    assert not check(tmp_path / "optuna.db")
    optuna.create_study(study_name="mine", storage=open_storage(store))
    assert check(tmp_path / "optuna.db")


def test_write_that_a_killed_process_left_half_done_is_no_hindrance(optuna_database):
    half_a_write = f"""
import os, signal, sqlite3
connection = sqlite3.connect({str(optuna_database)!r}, isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
for number in range(1000):
    connection.execute("INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, ?, 1)", (str(number),))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", half_a_write])
    assert optuna_database.with_name("optuna.db-journal").stat().st_size
    assert check(optuna_database)
    assert databases.rows(f"sqlite:///{optuna_database}", "study_user_attributes", "key") == []


def test_rows_are_read_by_column(optuna_database):
    assert databases.rows(f"sqlite:///{optuna_database}", "studies", "study_name", "study_id") == [("theirs", 1)]
