"""A database is made whole or not at all, by one process at a time; a half-made one that was never used is replaced."""

import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sweeper.errors import SweeperError
from sweeper.store import databases, new_database
from sweeper.store.options import StoreOptions
from sweeper.studies import storage
from sweeper.studies.storage import open_storage
from sweeper.tracking import client

LIBRARIES = [(storage, open_storage, "optuna.db"), (client, client.connect, "mlflow.db")]


@pytest.fixture
def store(tmp_path):
    store = StoreOptions(tmp_path / "store").resolve({})
    store.prepare()
    return store


def left_in(store):
    """The names in the store, except the lock's."""
    return sorted(path.name for path in store.root.iterdir() if path.name != ".initialising.lock")


def is_complete(store, module):
    return module.database_exists(store)


def interrupted(monkeypatch, module, after):
    """Makes the library's creation of a database fail after `after(address)`."""
    create = module._create

    def failing(url):
        after(url)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_create", failing)
    return create


@pytest.mark.parametrize(("module", "open_database", "name"), LIBRARIES)
def test_database_is_looked_at_and_made_under_the_stores_lock(store, monkeypatch, module, open_database, name):
    check, held = module.database_exists, []

    def watched(store):
        with open(store.root / ".initialising.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(True)
        return check(store)

    monkeypatch.setattr(module, "database_exists", watched)
    open_database(store)
    assert held == [True]


def test_servers_database_is_not_waited_for():
    with new_database.initialising("postgresql://host/db"), new_database.initialising("postgresql://host/db"):
        pass


@pytest.mark.parametrize(("module", "open_database", "name"), LIBRARIES)
def test_new_database_has_its_name_only_when_it_is_complete(store, monkeypatch, module, open_database, name):
    create, seen = module._create, []

    def watched(url):
        create(url)
        seen.append(((store.root / name).exists(), databases.exists(url, module.LIBRARY)))

    monkeypatch.setattr(module, "_create", watched)
    open_database(store)
    assert seen == [(False, True)]
    assert left_in(store) == [name]
    assert is_complete(store, module)


@pytest.mark.parametrize(("module", "open_database", "name"), LIBRARIES)
def test_failed_creation_leaves_nothing_and_is_told(store, monkeypatch, module, open_database, name):
    create = interrupted(monkeypatch, module, lambda url: Path(url.removeprefix("sqlite:///")).write_bytes(b"begun"))
    with pytest.raises(SweeperError, match="No space left"):
        open_database(store)
    assert left_in(store) == []
    monkeypatch.setattr(module, "_create", create)
    open_database(store)
    assert is_complete(store, module)


@pytest.mark.parametrize(("module", "open_database", "name"), LIBRARIES)
def test_what_a_killed_creation_left_is_swept_by_the_next_start(store, module, open_database, name):
    left = store.root / f".{name}.tmp"
    left.mkdir()
    (left / f"{name}-journal").write_bytes(b"begun")
    open_database(store)
    assert left_in(store) == [name]
    left.mkdir()  # the process was killed just after it had given the database its name
    open_database(store)
    assert left_in(store) == [name]


# The tables of databases whose processes were ended early: within the first statements, or at an older revision.
HALVES = [
    (storage, open_storage, "optuna.db", {"studies"}),
    (storage, open_storage, "optuna.db", {"studies", "version_info", "trials"}),
    (client, client.connect, "mlflow.db", {"experiments"}),
    (client, client.connect, "mlflow.db", {"experiments", "runs", "tags", "alembic_version"}),
    (client, client.connect, "mlflow.db", {"alembic_version"}),
]


def keep_tables(path, tables):
    """Drops all other tables, and gives the schema an older revision."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.execute("DELETE FROM version_info" if "studies" in tables else "DELETE FROM experiments")
        for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            if name not in tables and not name.startswith("sqlite_"):
                database.execute(f'DROP TABLE "{name}"')
        database.commit()


@pytest.mark.parametrize(("module", "open_database", "name", "tables"), HALVES)
def test_half_made_database_that_was_never_used_is_set_aside(
    tmp_path, store, capfd, module, open_database, name, tables
):
    whole = StoreOptions(tmp_path / "whole").resolve({})
    whole.prepare()
    open_database(whole)
    half = store.root / name
    half.write_bytes((whole.root / name).read_bytes())
    keep_tables(half, tables)
    content = half.read_bytes()
    open_database(store)
    assert is_complete(store, module)
    assert left_in(store) == [name, f"{name}.half-made-1"]
    assert (store.root / f"{name}.half-made-1").read_bytes() == content
    assert capfd.readouterr().err.count(f"{half} was half made and never used") == 1
    open_database(store)  # only once
    assert "half made" not in capfd.readouterr().err
    assert left_in(store) == [name, f"{name}.half-made-1"]


def test_mlflows_database_ended_within_its_migrations_is_set_aside(store):
    """The revision is an older one, and the tables that come after it are missing."""
    client.connect(store)
    path = store.root / "mlflow.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.execute("DROP TABLE secrets")
        database.commit()
    client.connect(store)
    assert client.database_exists(store)
    assert left_in(store) == ["mlflow.db", "mlflow.db.half-made-1"]


@pytest.mark.parametrize(
    "use", ["INSERT INTO registered_models (name) VALUES ('mine')", "INSERT INTO experiments (name) VALUES ('mine')"]
)
def test_database_that_holds_anything_is_not_set_aside(store, use):
    client.connect(store)
    with closing(sqlite3.connect(store.root / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.execute(use)
        database.commit()
    with pytest.raises(SweeperError, match="has an older schema"):
        client.connect(store)
    assert left_in(store) == ["mlflow.db"]


@pytest.mark.parametrize("end", new_database.SIBLINGS)
def test_what_an_earlier_database_left_beside_it_never_meets_the_new_one(store, end):
    (store.root / f"optuna.db{end}").write_bytes(b"of a deleted database")
    open_storage(store)
    assert left_in(store) == ["optuna.db", f"optuna.db.half-made-1{end}"]


def test_empty_file_becomes_a_database_without_a_word(store, capfd):
    (store.root / "optuna.db").touch()
    open_storage(store)
    assert storage.database_exists(store)
    assert left_in(store) == ["optuna.db"]
    assert "half made" not in capfd.readouterr().err


def test_database_at_an_address_of_the_users_own_is_made_whole_too(tmp_path, monkeypatch):
    store = StoreOptions(tmp_path / "store", tracking_uri=f"sqlite:///{tmp_path}/own.db").resolve({})
    create = interrupted(monkeypatch, client, lambda url: Path(url.removeprefix("sqlite:///")).write_bytes(b"begun"))
    with pytest.raises(SweeperError, match="No space left"):
        client.connect(store)
    assert not (tmp_path / "own.db").exists()
    monkeypatch.setattr(client, "_create", create)
    client.connect(store)
    assert client.database_exists(store)


def test_link_to_a_database_elsewhere_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "optuna.db"
    link.symlink_to(tmp_path / "disk" / "optuna.db")
    # Only where the user names it: a link in the store would let whoever made the store choose the database.
    named = StoreOptions(tmp_path / "store", f"sqlite:///{link}").resolve({})
    open_storage(named)
    assert link.is_symlink()
    assert storage.database_exists(named)
