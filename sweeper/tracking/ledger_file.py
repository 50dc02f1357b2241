"""The ledger's copy in the store: it keeps the test evaluations whatever happens to MLflow's database."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sweeper.store import chained_log

# The fields of an entry, with their types.
FIELDS = {
    "study": str, "study_id": str, "dataset": str, "test_sha256": str, "models": dict, "networks": dict,
    "command": str, "time": str,
}  # fmt: skip
BEGUN, COMPLETE = "begun", "complete"
# Where an entry says in which MLflow it was begun.
URI = "uri"


@dataclass
class LedgerFile:
    """What the file holds: the fields of each test evaluation, and the results of the complete ones, by id.

    `uris` holds the address of the MLflow in which each was begun, "" for the store's own database; an older sweeper
    has not recorded it. A result may be None: it could not be read when an evaluation was copied from MLflow. `faults`
    says what is wrong with the file.
    """

    entries: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    uris: dict[str, str] = field(default_factory=dict)
    results: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read(path: Path) -> LedgerFile:
    """Everything in the file that can be read; nothing without a file."""
    log = chained_log.read(path)
    found = LedgerFile(faults=log.faults)
    for number, record in log.records.items():
        entry, event = record.get("id"), record.get("event")
        if event == BEGUN and isinstance(entry, str) and _is_entry(record):
            found.entries[entry] = {name: record[name] for name in FIELDS}
            if isinstance(uri := record.get(URI), str):
                found.uris[entry] = uri
        elif event == COMPLETE and isinstance(entry, str):
            result = record.get("result")
            found.results[entry] = result if isinstance(result, dict) else None
        else:
            found.faults.append(f"line {number} of {path} is no test evaluation")
    return found


def begin(path: Path, entry: str, fields: Mapping[str, Any], uri: str) -> None:
    """Writes that an evaluation begins, with its FIELDS, in the MLflow at `uri` (without its password).

    Raises SweeperError if it cannot be written.
    """
    chained_log.append(path, {"event": BEGUN, "id": entry, **{name: fields[name] for name in FIELDS}, URI: uri})


def complete(path: Path, entry: str, result: Mapping[str, Any] | None) -> None:
    """Writes that an evaluation is complete, with its result. Raises SweeperError if it cannot be written."""
    chained_log.append(path, {"event": COMPLETE, "id": entry, "result": result})


def _is_entry(record: Mapping[str, Any]) -> bool:
    if not all(isinstance(record.get(name), kind) for name, kind in FIELDS.items()):
        return False
    try:
        datetime.fromisoformat(record["time"])
    except ValueError:
        return False
    return all(isinstance(text, str) for text in _texts(record))


def _texts(record: Mapping[str, Any]) -> Iterator[Any]:
    yield from record["models"].values()
    yield from record["networks"].values()
