"""Looks for damage in a SQLite database, and for what can still be read of it."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sweeper.errors import first_line

BUSY_SECONDS = 60


@dataclass(frozen=True)
class Damage:
    """Damage of a database: the first `problem`, and which of its tables can still be read whole."""

    problem: str
    readable: int
    unreadable: tuple[str, ...]

    def __str__(self) -> str:
        tables = f"{self.readable} tables can still be read"
        return f"damaged ({self.problem}); {tables}" + (
            f", but not {', '.join(self.unreadable)}" if self.unreadable else ""
        )


def find_damage(path: Path) -> Damage | None:
    """What SQLite's own quick check finds wrong with the file; None if it is whole, empty, missing or no database."""
    if not path.exists() or not path.stat().st_size:
        return None
    # mode=rw does not create the file; what a killed process left half written must be undone before reading.
    address = f"file:{quote(str(path))}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as database:
            problem = _problem(database)
            if problem is None:
                return None
            tables = _tables(database)
            unreadable = tuple(name for name in tables if not _is_readable(database, name))
            return Damage(problem, len(tables) - len(unreadable), unreadable)
    except sqlite3.Error:  # locked, out of reach, or no database at all: whoever opens it says so
        return None


def _problem(database: sqlite3.Connection) -> str | None:
    try:
        found = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        return first_line(error)
    return None if found == "ok" else " ".join(found.split())


def _tables(database: sqlite3.Connection) -> list[str]:
    try:
        return [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    except sqlite3.Error:
        return []


def _is_readable(database: sqlite3.Connection, name: str) -> bool:
    quoted = name.replace('"', '""')
    try:
        for _ in database.execute(f'SELECT * FROM "{quoted}"'):
            pass
    except sqlite3.Error:
        return False
    return True
