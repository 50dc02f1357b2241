import os
import sqlite3
from contextlib import closing

import pytest

from sweeper.store.damage import find_damage

PAGE = 4096


@pytest.fixture
def database(tmp_path):
    """A database of two tables that fill many pages each."""
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as connection:
        for name in ("trials", "metrics"):
            connection.execute(f"CREATE TABLE {name} (text TEXT)")
            connection.executemany(f"INSERT INTO {name} VALUES (?)", [("x" * 1000,)] * 100)
            connection.commit()
    return path


def overwrite(path, page, pages):
    with open(path, "r+b") as file:
        file.seek(page * PAGE)
        file.write(os.urandom(pages * PAGE))


def test_whole_database_is_not_damaged_and_stays_as_it_is(database):
    before = database.read_bytes()
    assert find_damage(database) is None
    assert database.read_bytes() == before


def test_missing_and_empty_files_are_not_damaged_and_none_is_made(tmp_path):
    assert find_damage(tmp_path / "none.db") is None
    (tmp_path / "empty.db").touch()
    assert find_damage(tmp_path / "empty.db") is None
    assert os.listdir(tmp_path) == ["empty.db"]


def test_damage_is_told_with_the_tables_that_can_still_be_read(database):
    n_pages = database.stat().st_size // PAGE
    overwrite(database, n_pages - 10, 10)
    damage = find_damage(database)
    assert damage is not None
    assert (damage.readable, damage.unreadable) == (1, ("metrics",))
    assert "1 tables can still be read, but not metrics" in str(damage)


def test_file_that_is_no_database_is_told_of_by_the_check_of_its_library(tmp_path):
    path = tmp_path / "some.db"
    path.write_bytes(b"\x01" + os.urandom(5000))
    assert find_damage(path) is None


def test_file_cut_short_is_damaged(database):
    os.truncate(database, database.stat().st_size // 2)
    assert find_damage(database) is not None


def test_locked_database_is_not_damaged(database, monkeypatch):
    monkeypatch.setattr("sweeper.store.damage.BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert find_damage(database) is None
