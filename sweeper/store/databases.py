"""Checks a SQL database before Optuna or MLflow opens it: either would create its tables in any program's database."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from sweeper.errors import SweeperError
from sweeper.process.ending import unfinished
from sweeper.store import servers
from sweeper.store.redaction import redact

# How long to wait for a database that another process is writing to.
BUSY_SECONDS = 60


@dataclass(frozen=True)
class Library:
    """A library that keeps a database: Optuna or MLflow.

    `content` names the tables of what users make, with a condition if other rows are in them from the start; the first
    table that the library creates is among them. `migrations` is the folder of its Alembic scripts, and `upgrade` its
    command to upgrade an older schema.
    """

    name: str
    content: Sequence[str]
    migrations: Path
    upgrade: str

    @property
    def release(self) -> str:
        """The name and the installed version."""
        return f"{self.name} {version(self.name.lower())}"


def exists(url: str, library: Library) -> bool:
    """Whether the address has a complete database of the library; False if there is none, or a half-made, unused one.

    Raises SweeperError if the file is not a database, the database is another program's, or its schema is not the one
    that the installed library uses. Nothing is written.
    """
    path = sqlite_path(url)
    if path is not None and (not path.exists() or not path.stat().st_size):
        return False
    engine = _engine(url, path)
    try:
        tables = set(inspect(engine).get_table_names())
        found = _first(engine, "version_num", "alembic_version") if "alembic_version" in tables else None
        content = [rows for rows in library.content if rows.split()[0] in tables]
        empty = all(_first(engine, "1", rows) is None for rows in content)
    except DatabaseError as error:
        if path is None or "not a database" not in str(error):
            raise
        raise SweeperError(
            f"{path} is not a SQLite database, as {library.name}'s must be: move it away, or take another store"
        ) from error
    finally:
        engine.dispose()
    # On a server, other programs' tables may stand beside the library's own.
    if path is not None and not content and not tables <= {"alembic_version"}:
        raise SweeperError(
            f"{path} is a database, but not {library.name}'s (its tables are {_first_names(tables)}): move it away, or "
            "take another store"
        )
    newest, known = _revisions(library.migrations)
    if found == newest:
        return True
    name, place = library.name, redact(url)
    if found is not None and found not in known:
        if not content:
            raise SweeperError(
                f"{place} has the tables of another program ({_first_names(tables)}), which records its schema in the "
                f"same table as {name}: give {name} a database of its own"
            )
        raise SweeperError(
            f"{name}'s database {place} has a schema ({found}) that {library.release} does not know: a newer {name} "
            f"has written it; upgrade with `pip install -U {name.lower()}`"
        )
    if empty:
        return False  # a process was killed while it created the tables
    raise SweeperError(
        f"{name}'s database {place} has an older schema ({found}) than {library.release} needs "
        f"({newest}): make a copy of it, and then `{library.upgrade} {place}`"
    )


def rows(url: str, name: str, *columns: str) -> list[tuple[Any, ...]]:
    """These columns of all rows of a table. Raises SQLAlchemy's errors."""
    engine = _engine(url, sqlite_path(url))
    try:
        with engine.connect() as connection:
            found = connection.execute(text(f"SELECT {', '.join(columns)} FROM {name}"))
            return [tuple(row) for row in found]
    finally:
        engine.dispose()


@contextmanager
def transaction(url: str) -> Iterator[Connection]:
    """A connection whose changes are committed after the block, unless it raises. Raises SQLAlchemy's errors."""
    engine = _engine(url, sqlite_path(url))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def snapshot(path: Path) -> Iterator[Path]:
    """A copy of a SQLite database as it is now, in a private folder that is deleted after the block.

    The copy is whole, whoever writes to the database meanwhile. Raises SweeperError if it cannot be made.
    """
    # Not read-only, as in _engine, unless the user may not write.
    address = f"file:{quote(str(path))}?mode={'rw' if os.access(path, os.W_OK) else 'ro'}"
    folder = Path(tempfile.mkdtemp(prefix="sweeper-"))
    unfinished.add(folder)
    try:
        copy = folder / path.name
        try:
            with (
                closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
        except sqlite3.Error as error:
            raise SweeperError(f"{path} cannot be copied to {folder}: {error}") from error
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.discard(folder)


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite database; None for other kinds of addresses, and for databases in memory."""
    if not url.startswith("sqlite"):
        return None
    name = make_url(url).database
    return None if not name or name.startswith((":memory:", "file:")) else Path(name)


def _engine(url: str, path: Path | None) -> Engine:
    if path is None:
        return servers.connect(url)
    # mode=rw does not create the file. It is not read-only, because opening the database must undo what a killed
    # process left half written.
    address = f"file:{quote(str(path))}?mode=rw"
    return create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS), poolclass=NullPool
    )


def _first(engine: Engine, column: str, name: str) -> str | None:
    """A value of the table's first row; None if the table is empty."""
    with engine.connect() as connection:
        return connection.execute(text(f"SELECT {column} FROM {name}")).scalar()


@cache
def _revisions(migrations: Path) -> tuple[str | None, frozenset[str]]:
    """The newest schema of these scripts, and all their schemas; cached, as reading them takes a fifth of a second."""
    scripts = ScriptDirectory(str(migrations))
    return scripts.get_current_head(), frozenset(script.revision for script in scripts.walk_revisions())


def _first_names(names: set[str]) -> str:
    """The first few names, so that the reader recognises the database."""
    first = sorted(names)[:3]
    return ", ".join(first) + (", ..." if len(names) > len(first) else "")
