"""The outbox: a queue on disk of writes that wait for MLflow, and that survive the process."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sweeper.errors import SweeperError
from sweeper.events import ENDED
from sweeper.quantities import counted
from sweeper.store.new_database import SIBLINGS
from sweeper.store.stored_values import from_text

Key = int | str
# A file of a run: the key of the child (None: the parent), and the file's name.
File = tuple[Key | None, str]
# How long to wait for the file: another process may have it open, to count its writes.
LOCKED_SECONDS = 10.0
# How many waiting writes are looked through for one run's epochs, and how many metrics MLflow takes in one call.
MOST_AT_ONCE, MOST_METRICS = 200, 1000
# The action that deletes a local file once MLflow has what it holds.
FORGET = "forget"
# The action that writes text files into a run.
TEXTS = "texts"
SCHEMA = """
CREATE TABLE IF NOT EXISTS writes (number INTEGER PRIMARY KEY AUTOINCREMENT, write TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS target (id INTEGER PRIMARY KEY CHECK (id = 1), target TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS dropped (run_id TEXT PRIMARY KEY);
"""


@dataclass(frozen=True)
class Target:
    """Where an outbox's writes go: a parent run (of a study, for example), and the data of its runs.

    `kind` is one of run_writer.CHILDREN; `data_source` and `data_profile` are JSON text. `uri` is MLflow's address
    without its password, "" for the store's own database, and None if an older sweeper has not recorded it.
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
    uri: str | None = None


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
            rows = self._database.execute("SELECT target FROM target").fetchall()
            if not rows:
                raise ValueError("it does not say where its writes go")
            target: Target = from_text(Target, rows[0][0], "target")
        return target

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
            rows = self._database.execute(
                "SELECT number, write FROM writes WHERE number > ? ORDER BY number LIMIT 1", [number]
            )
            found = [_write(*row) for row in rows]
        return found[0] if found else None

    def epochs_from(self, first: Write) -> list[Write]:
        """The metrics write `first` and the next ones of its run, up to a write of another kind, or MOST_AT_ONCE."""
        query = "SELECT number, write FROM writes WHERE number >= ? ORDER BY number LIMIT ?"
        with self._using():
            rows = [_write(*row) for row in self._database.execute(query, [first.number, MOST_AT_ONCE])]
        found: list[Write] = []
        n_metrics = 0
        for write in rows:
            if write.key != first.key:
                continue  # the order of writes matters only within a run
            values = write.arguments.get("values")
            n_metrics += len(values) if isinstance(values, dict) else 1
            if write.action != first.action or (found and n_metrics > MOST_METRICS):
                break
            found.append(write)
        return found

    def writes(self) -> list[Write]:
        """All writes, the earliest first."""
        with self._using():
            return [_write(*row) for row in self._database.execute("SELECT number, write FROM writes ORDER BY number")]

    def undelivered(self) -> list[Write]:
        """The writes that MLflow does not have; the deletion of a local file is none."""
        return [write for write in self.writes() if write.action != FORGET]

    def texts(self) -> dict[File, int]:
        """The number of the last waiting write of each text file."""
        return {
            (write.key, name): write.number
            for write in self.writes()
            if write.action == TEXTS
            for name in write.arguments["texts"]
        }

    def remove(self, *numbers: int) -> None:
        """Removes delivered writes."""
        with self._using():
            marks = ", ".join("?" * len(numbers))
            self._database.execute(f"DELETE FROM writes WHERE number IN ({marks})", numbers)

    def drop(self, number: int, run_ids: Iterable[str]) -> None:
        """Removes a write for runs that were deleted in MLflow; from now on the study does without these runs."""
        self.give_up(run_ids)  # first: a killed process must not forget the runs
        with self._using():
            self._database.execute("DELETE FROM writes WHERE number = ?", [number])

    def give_up_open_runs(self) -> None:
        """Removes the writes for the parent run, and for children whose end, or that of their trial, does not wait."""
        waiting = self.writes()
        ended = {write.key for write in waiting if write.action == "finish" and write.arguments["state"] in ENDED}
        above = {write.key: write.arguments.get("under") for write in waiting if write.action == "start"}
        kept = {key for key in ended - {None} if above.get(key) in (None, *ended)}
        with self._using():
            self._database.executemany(
                "DELETE FROM writes WHERE number = ?", [(write.number,) for write in waiting if write.key not in kept]
            )

    def give_up(self, run_ids: Iterable[str]) -> None:
        """Notes that the study does without these runs."""
        with self._using():
            self._database.executemany("INSERT OR IGNORE INTO dropped VALUES (?)", [(run_id,) for run_id in run_ids])

    def dropped(self) -> set[str]:
        """The ids of the runs, deleted in MLflow, that the study does without."""
        with self._using():
            return {run_id for (run_id,) in self._database.execute("SELECT run_id FROM dropped")}

    def __len__(self) -> int:
        with self._using():
            [(count,)] = self._database.execute("SELECT count(*) FROM writes")
        return int(count)

    def close(self) -> None:
        """Closes the file, and deletes it if it holds nothing."""
        empty = not len(self) and not self.dropped()
        with self._using():
            self._database.close()
            if empty:
                for ending in ("", *SIBLINGS):  # also the files that SQLite puts beside it
                    self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

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
            except (ValueError, TypeError) as error:
                raise SweeperError(
                    f"the outbox of writes for MLflow cannot be read: {error} ({self.path}); without that file, its "
                    "writes are lost and the same command goes on"
                ) from error


def shortfall(undelivered: Sequence[str]) -> str:
    """A message about undelivered writes, from their reasons."""
    return f"{counted(len(undelivered), 'write waits', 'writes wait')} for MLflow, the first because: {undelivered[0]}"


def waiting(path: Path) -> int | None:
    """How many writes MLflow does not have, of a study that no process runs; None if the file cannot be read."""
    with suppress(sqlite3.Error, ValueError), closing(sqlite3.connect(_address(path), uri=True)) as database:
        rows = database.execute("SELECT number, write FROM writes").fetchall()
        return sum(_write(*row).action != FORGET for row in rows)
    return None


def dropped_in(path: Path) -> set[str]:
    """The runs that a study, which no process runs, does without; none without the file. Raises SweeperError."""
    if not path.exists():
        return set()
    try:
        with closing(sqlite3.connect(_address(path), uri=True)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'dropped'").fetchall():
                return set()  # an older sweeper made it
            return {str(run_id) for (run_id,) in database.execute("SELECT run_id FROM dropped")}
    except sqlite3.Error as error:
        raise SweeperError(f"the outbox of writes for MLflow cannot be read: {error} ({path})") from error


def _address(path: Path) -> str:
    """Not read-only: SQLite must first merge the log that a killed process left beside the file."""
    return f"file:{quote(str(path))}?mode=rw"


def _write(number: int, text: str) -> Write:
    """The write in this row. Raises ValueError for one that cannot be read."""
    return Write(number, *from_text(tuple[Key | None, str, dict[str, Any]], text, f"write {number}"))
