"""The outbox: a queue on disk of writes that wait for MLflow, and that survive the process."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sweeper.errors import SweeperError

Key = int | str
# How long to wait for the file: another process may have it open, to count its writes.
LOCKED_SECONDS = 10.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS writes (number INTEGER PRIMARY KEY AUTOINCREMENT, write TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS target (id INTEGER PRIMARY KEY CHECK (id = 1), target TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Target:
    """Where an outbox's writes go: the parent run of a study, a promotion or a training, and the data of its runs.

    `kind` is study, promotion or training; `data_source` and `data_profile` are JSON text.
    """

    kind: str
    study: str
    study_id: str
    experiment_id: str
    run_id: str
    data_name: str
    data_sha256: str
    data_source: str
    data_profile: str


@dataclass(frozen=True)
class Write:
    """One write for MLflow: `action` names the operation, and `key` the child that is written (None: the parent)."""

    number: int
    key: Key | None
    action: str
    arguments: dict[str, Any]


class Outbox:
    """The waiting writes of one parent run and its children, in a SQLite file that one process has open at a time.

    `put` returns when the write is on disk. Methods raise SweeperError if the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        with self._using():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                path, timeout=LOCKED_SECONDS, isolation_level=None, check_same_thread=False
            )
            # For a single process, a write-ahead log needs no shared memory, which network file systems lack. With the
            # log, a write takes well under a millisecond, and a killed process leaves only whole writes.
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(SCHEMA)

    @property
    def target(self) -> Target:
        """Where the writes go; must be set before it is read."""
        with self._using():
            [(text,)] = self._database.execute("SELECT target FROM target")
        return Target(**json.loads(text))

    @target.setter
    def target(self, target: Target) -> None:
        with self._using():
            self._database.execute("INSERT OR REPLACE INTO target VALUES (1, ?)", [json.dumps(asdict(target))])

    def put(self, key: Key | None, action: str, arguments: dict[str, Any]) -> None:
        """Appends a write; `arguments` must be values that JSON can hold."""
        text = json.dumps([key, action, arguments])
        with self._using():
            self._database.execute("INSERT INTO writes (write) VALUES (?)", [text])

    def after(self, number: int) -> Write | None:
        """The first write with a larger number; None if there is none."""
        with self._using():
            rows = self._database.execute("SELECT * FROM writes WHERE number > ? ORDER BY number LIMIT 1", [number])
            found = [_write(*row) for row in rows]
        return found[0] if found else None

    def writes(self) -> list[Write]:
        """All writes, the earliest first."""
        with self._using():
            return [_write(*row) for row in self._database.execute("SELECT * FROM writes ORDER BY number")]

    def remove(self, number: int) -> None:
        """Removes a delivered write."""
        with self._using():
            self._database.execute("DELETE FROM writes WHERE number = ?", [number])

    def __len__(self) -> int:
        with self._using():
            [(count,)] = self._database.execute("SELECT count(*) FROM writes")
        return int(count)

    def close(self) -> None:
        """Closes the file, and deletes it if it is empty."""
        empty = not len(self)
        with self._using():
            self._database.close()
            if empty:
                for path in self.path.parent.glob(f"{self.path.name}*"):  # also the files that SQLite puts beside it
                    path.unlink(missing_ok=True)

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (sqlite3.Error, OSError) as error:
                raise SweeperError(
                    f"the outbox of writes for MLflow cannot be used: {error} ({self.path}); nothing is lost, the "
                    "same command resumes once this is fixed"
                ) from error


def waiting(path: Path) -> int | None:
    """How many writes wait in the outbox of a study that no process runs; None if the file cannot be read."""
    # Not read-only: SQLite must first merge the log that a killed process left beside the file.
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as database:
        [(count,)] = database.execute("SELECT count(*) FROM writes")
        return int(count)
    return None


def _write(number: int, text: str) -> Write:
    key, action, arguments = json.loads(text)
    return Write(number, key, action, arguments)
