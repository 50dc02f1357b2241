"""Every value that a store keeps as text, each replaceable by any other text: what a foreign store may hold."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from sweeper.store import chained_log

# Texts in place of a value: JSON of other kinds, at the edges of numbers, too deep, and no JSON at all.
TEXTS = (
    "null", "[]", "{}", '"x"', '""', "-1", "7", "1.5", "true", "1e999", "NaN", "1" + "0" * 400, '["x"]', "[[1], [2]]",
    '{"x": 1}', '{"x": {"x": null}}', '"\\ud800"', '"\\u0000"', "[" * 3000 + "]" * 3000, "[" * 100_000, "{not json", "",
)  # fmt: skip
# Columns of databases whose texts are JSON, or a value by themselves; rows are known by SQLite's rowid.
COLUMNS = (
    ("optuna.db", "study_user_attributes", "key", "value_json"),
    ("optuna.db", "trial_user_attributes", "key", "value_json"),
    ("optuna.db", "trial_system_attributes", "key", "value_json"),
    ("optuna.db", "trial_params", "param_name", "distribution_json"),
    ("mlflow.db", "tags", "key", "value"),
    ("mlflow.db", "params", "key", "value"),
    ("mlflow.db", "experiment_tags", "key", "value"),
    ("mlflow.db", "registered_model_tags", "key", "value"),
    ("mlflow.db", "model_version_tags", "key", "value"),
)
# Objects are entered so far: a value of a study's spec is a place by itself, a variant's filters are not.
DEPTH = 2
# How a place inside a text is marked while the text around it is made.
_MARK = "\ue000"


@dataclass(frozen=True)
class Place:
    """A stored value: the column or the name of the file it is in, its key, where exactly, and how to replace it."""

    kind: str
    field: str
    name: str
    replace: Callable[[str], object]


def places(root: Path) -> Iterator[Place]:
    """The places of all values in the store, in a fixed order."""
    for database, table, key, column in COLUMNS:
        yield from _column(root / database, table, key, column)
    for outbox in sorted((root / "spool").glob("*.db")):
        yield from _column(outbox, "writes", "number", "write")
        yield from _column(outbox, "target", "id", "target")
    for path in sorted(root.rglob("*.json")):
        yield from _inside(path.name, "", str(path.relative_to(root)), path.read_text(), path.write_text)
    for path in sorted(root.rglob("*.safetensors")):
        yield from _metadata(path, str(path.relative_to(root)))
    yield from _ledger(root / "ledger.jsonl")


def _column(database: Path, table: str, key: str, column: str) -> Iterator[Place]:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(f"SELECT rowid, {key}, {column} FROM {table} ORDER BY rowid").fetchall()
    for row, name, text in rows:

        def write(new: str, row: int = row) -> None:
            with closing(sqlite3.connect(database)) as connection, connection:
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, row))

        kind = f"{database.name if database.name in ('optuna.db', 'mlflow.db') else 'spool'} {table}"
        yield from _inside(kind, str(name), f"row {row} of {kind}", text, write)


def _metadata(path: Path, name: str) -> Iterator[Place]:
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata() or {}
    for key, text in metadata.items():

        def write(new: str, key: str = key) -> None:
            save_file(load_file(path), path, metadata | {key: new})

        yield from _inside(path.name, key, name, text, write)


def _ledger(path: Path) -> Iterator[Place]:
    """The fields of the ledger's entries, with hashes that agree."""
    lines = [json.loads(line)["record"] for line in path.read_text().splitlines()] if path.exists() else []
    for index, record in enumerate(lines):

        def write(new: str, index: int = index) -> None:
            try:
                changed = json.loads(new)
            except (ValueError, RecursionError):
                changed = new
            path.unlink()
            for line in [*lines[:index], changed, *lines[index + 1 :]]:
                chained_log.append(path, line)

        yield from _inside(path.name, record["event"], f"line {index + 1} of {path.name}", json.dumps(record), write)


def _inside(kind: str, key: str, name: str, text: str, write: Callable[[str], object]) -> Iterator[Place]:
    """The whole text, and the values of the objects in it, each in the text around it."""
    yield Place(kind, key, f"{name}: {key}", write)
    try:
        value = json.loads(text)
    except ValueError:
        return
    for path in _paths(value, DEPTH):

        def put(new: str, path: tuple[Any, ...] = path) -> None:
            write(json.dumps(_with(value, path, _MARK)).replace(json.dumps(_MARK), new))

        field = ".".join(map(str, (*filter(None, [key]), *path)))
        yield Place(kind, field, f"{name}: {field}", put)


def _paths(value: Any, depth: int) -> Iterator[tuple[Any, ...]]:
    if depth == 0 or not isinstance(value, dict | list):
        return
    # The first entry of an array stands for all.
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))[:1]
    for key in keys:
        yield (key,)
        for rest in _paths(value[key], depth - 1):
            yield (key, *rest)


def _with(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = _with(value[key], tuple(rest), new)
    return copy
