"""What a SQL database holds, seen before a library is let near it: it might make its tables in another's."""

import sqlite3
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from sweeper.errors import SweeperError
from sweeper.store.redaction import redact

# A database that another process is writing to is waited for.
BUSY_SECONDS = 60


@dataclass(frozen=True)
class Library:
    """Whoever keeps a database: `content` is the table that every one of its databases has, and that is empty in one
    that is only being made; `migrations` the folder of its Alembic scripts; `upgrade` its command for an older schema.
    """

    name: str
    content: str
    migrations: Path
    upgrade: str

    @property
    def release(self) -> str:
        return f"{self.name} {version(self.name.lower())}"


def check(url: str, library: Library) -> bool:
    """Whether there is a database of the library's at the address; False where one may be made, or made whole.

    Raises SweeperError for what is no database, or another's, or of a schema that the library installed here does not
    use. Nothing is written.
    """
    path = sqlite_path(url)
    if path is not None and (not path.exists() or not path.stat().st_size):
        return False
    engine = _engine(url, path)
    try:
        tables = set(inspect(engine).get_table_names())
        found = _first(engine, "version_num", "alembic_version") if "alembic_version" in tables else None
        empty = library.content not in tables or _first(engine, "1", library.content) is None
    except DatabaseError as error:
        if path is None or "not a database" not in str(error):
            raise
        raise SweeperError(
            f"{path} is not a SQLite database, {library.name}'s or another: move it away, or take another store"
        ) from error
    finally:
        engine.dispose()
    # On a server, another's tables may stand beside the library's own.
    if path is not None and library.content not in tables and not tables <= {"alembic_version"}:
        raise SweeperError(
            f"{path} is a database, but not {library.name}'s (its tables are {_some(tables)}): move it away, or take "
            "another store"
        )
    newest, known = _revisions(library.migrations)
    if found == newest:
        return True
    name, place = library.name, redact(url)
    if found is not None and found not in known:
        raise SweeperError(
            f"{name}'s database {place} has a schema ({found}) that {library.release} does not know: a newer {name} "
            f"has written it; upgrade with `pip install -U {name.lower()}`"
        )
    if empty:
        # A process was killed while it made the tables, and the library makes the others.
        return False
    raise SweeperError(
        f"{name}'s database {place} has an older schema ({found}) than {library.release} needs "
        f"({newest}): make a copy of it, and then `{library.upgrade} {place}`"
    )


def rows(url: str, name: str, *columns: str) -> list[tuple[Any, ...]]:
    """All rows of a table. Raises SQLAlchemy's errors."""
    engine = _engine(url, sqlite_path(url))
    try:
        with engine.connect() as connection:
            found = connection.execute(text(f"SELECT {', '.join(columns)} FROM {name}"))
            return [tuple(row) for row in found]
    finally:
        engine.dispose()


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite database; None for an address of another kind."""
    if not url.startswith("sqlite"):
        return None
    name = make_url(url).database
    return None if name is None else Path(name)


def _engine(url: str, path: Path | None) -> Engine:
    if path is None:
        return create_engine(url, poolclass=NullPool)
    # Without making the file; but not read-only, for what a killed process left half written is undone by whoever
    # opens the database next.
    address = f"file:{quote(str(path))}?mode=rw"
    return create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS), poolclass=NullPool
    )


def _first(engine: Engine, column: str, name: str) -> str | None:
    """A value of the table's first row; None where it is empty."""
    with engine.connect() as connection:
        return connection.execute(text(f"SELECT {column} FROM {name}")).scalar()


@cache
def _revisions(migrations: Path) -> tuple[str | None, frozenset[str]]:
    """The newest schema that these scripts lead to, and all of them; reading them takes a fifth of a second."""
    scripts = ScriptDirectory(str(migrations))
    return scripts.get_current_head(), frozenset(script.revision for script in scripts.walk_revisions())


def _some(names: set[str]) -> str:
    """Some of the names, so that the reader knows the database again."""
    first = sorted(names)[:3]
    return ", ".join(first) + (", ..." if len(names) > len(first) else "")
