"""Makes a library's databases: one process at a time, and SQLite's whole or not at all.

Optuna and MLflow make their tables in many steps. In SQLite they do not go on where an ended process stopped.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from sweeper.process.ending import unfinished
from sweeper.process.streams import write_line
from sweeper.store import servers
from sweeper.store.atomic import SUFFIX
from sweeper.store.databases import Library, sqlite_path
from sweeper.store.locks import locked

# What SQLite keeps beside a database. A file left from an earlier database of the same name would damage a new one.
SIBLINGS = ("-journal", "-wal", "-shm")


@contextmanager
def initialising(url: str) -> Iterator[None]:
    """Locks out other processes while a SQLite database may be made: two that create the same tables fail.

    At a server, `make` does so. Nothing is made in a folder that cannot be written to.
    """
    path = sqlite_path(url)
    if path is None or not os.access(path.parent, os.W_OK):
        yield
        return
    with locked(path.parent / ".initialising.lock", wait=True):
        shutil.rmtree(_workplace(path), ignore_errors=True)  # left by a process that was killed
        yield


def make(url: str, library: Library, create: Callable[[str], None]) -> None:
    """Makes the library's database, for which `databases.exists` was false: `create` gets the address to make it at.

    A half-made SQLite database, which was never used, is set aside, and a line on stderr says so. Call it within
    `initialising`. Does nothing if the folder cannot be written to. Raises what `create` raises, SQLAlchemy's errors
    and OSError.
    """
    path = sqlite_path(url)
    if path is None:
        with servers.alone(url):
            create(url)
        return
    if not os.access(path.parent, os.W_OK):
        return
    path = Path(os.path.realpath(path))
    workplace = _workplace(path)
    unfinished.add(workplace)
    try:
        workplace.mkdir()
        new = workplace / path.name
        create(make_url(url).set(database=str(new)).render_as_string(hide_password=False))
        with open(new, "rb") as file:
            os.fsync(file.fileno())
        _set_aside(path, library)
        os.replace(new, path)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
        unfinished.discard(workplace)


def _workplace(path: Path) -> Path:
    """The folder in which the database is made, with what SQLite writes beside it; one name, because of the lock."""
    return path.with_name(f".{path.name}{SUFFIX}")


def _set_aside(path: Path, library: Library) -> None:
    """Renames a half-made database, and what an earlier database of the name has left."""
    found = [end for end in ("", *SIBLINGS) if (file := Path(f"{path}{end}")).exists() and file.stat().st_size]
    if not found:
        return
    number = 1
    while any(Path(f"{path}.half-made-{number}{end}").exists() for end in ("", *SIBLINGS)):
        number += 1
    for end in found:
        os.rename(f"{path}{end}", f"{path}.half-made-{number}{end}")
    # Not by a logger: the libraries' migrations disable those of other packages.
    write_line(
        f"{library.name}'s database {path} was half made and never used: it is made anew, and the old one is now "
        f"{path.name}.half-made-{number}"
    )
