"""A file to which records are only added, each with a hash over it and the line before: a change can be seen."""

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeper.errors import SweeperError


@dataclass
class ChainedLog:
    """The records of a file that can be read, by line number from 1, and what is wrong with its lines."""

    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read(path: Path) -> ChainedLog:
    """The file's records; none without a file. What cannot be read is a fault, and raises nothing."""
    if not path.exists():
        return ChainedLog()
    if not path.is_file():  # a named pipe would never end
        return ChainedLog(faults=[f"{path} is not a file"])
    try:
        content = path.read_bytes()
    except OSError as error:
        return ChainedLog(faults=[f"{path} cannot be read: {error.strerror}"])
    log, previous, sound = ChainedLog(), b"", True
    for number, line in enumerate(content.splitlines(), start=1):
        found = _parse(line)
        if found is None:
            log.faults.append(f"line {number} of {path} cannot be read")
            sound = False
        else:
            before, log.records[number], stored = found
            if stored != _hash(before, log.records[number]):
                log.faults.append(f"line {number} of {path} was changed")
                sound = False
            elif before != _link(previous) and sound:
                log.faults.append(f"a line was removed or changed before line {number} of {path}")
            else:
                sound = True
        previous = line
    return log


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Adds a record, and returns when it is on disk. Raises SweeperError if it cannot be written."""
    try:
        # A link could lead to any other file.
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        with open(descriptor, "r+b", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(None, "it is not a file")
            fcntl.flock(file, fcntl.LOCK_EX)
            content = file.read()
            lines = content.splitlines()
            line = _line(record, lines[-1] if lines else b"")
            if content and not content.endswith(b"\n"):  # a power failure may have cut the last line short
                line = b"\n" + line
            try:
                if file.write(line) < len(line):
                    raise OSError(None, "the disk has no room for the whole line")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(len(content))
                raise
    except OSError as error:
        raise SweeperError(f"{path} cannot be written to: {error.strerror}") from error


def _line(record: Mapping[str, Any], previous: bytes) -> bytes:
    before = _link(previous)
    whole = {"previous": before, "record": record, "hash": _hash(before, record)}
    return json.dumps(whole, sort_keys=True).encode() + b"\n"


def _parse(line: bytes) -> tuple[str, dict[str, Any], str] | None:
    """The line's hash of the line before, its record, and its own hash; None if it is no line of such a file."""
    try:
        found = json.loads(line)
        before, record, own = found["previous"], found["record"], found["hash"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return (before, record, own) if isinstance(record, dict) else None


def _link(line: bytes) -> str:
    """What the next line holds of this one; empty before the first line."""
    return hashlib.sha256(line).hexdigest() if line else ""


def _hash(previous: str, record: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{previous}\n{json.dumps(record, sort_keys=True)}".encode()).hexdigest()
