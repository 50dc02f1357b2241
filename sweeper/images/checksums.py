"""Checksums of the files of a cached entry: written with the entry, and compared whenever it is opened."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweeper.store.atomic import whole_file

NAME = "checksums.json"
# Read at every opening, evenly spread over a file: 1 MB, so that opening gigabytes takes no longer. Smaller files are
# read whole.
N_SAMPLES, SAMPLE_BYTES = 256, 4096


def write(folder: Path, key: str, names: Sequence[str]) -> None:
    """Writes the checksums of these files of the folder, which holds the entry of this key. Raises OSError."""
    files = {}
    for name in names:
        path = folder / name
        files[name] = {"sha256": _whole(path), "sampled": _sampled(path), **_stamp(path)}
    _store(folder, {"key": key, "files": files})


def verify(folder: Path, key: str, names: Sequence[str], *, whole: bool = False) -> None:
    """Raises ValueError, saying what is wrong, unless the folder holds the entry of this key as it was written.

    All its files are verified, and those of these names must be among them. A file is read whole if asked for, or if
    its times have changed since it was last found to be right; otherwise samples of it are read. Raises OSError for a
    file that cannot be read.
    """
    record = _record(folder, names)
    if record.get("key") != key:
        raise ValueError("it was made from other images")
    is_stamped = True
    for name, known in record["files"].items():
        path = folder / name
        stamp = _stamp(path)
        is_same = stamp.items() <= known.items()
        right = stamp["size"] == known.get("size") and _sampled(path) == known.get("sampled")
        if right and (whole or not is_same):
            right = _whole(path) == known.get("sha256")
        if not right:
            raise ValueError(f"{name} was changed after it was written")
        known |= stamp
        is_stamped &= is_same
    if not is_stamped and not whole:
        # Copied or restored files have new times: the next opening need not read them whole again.
        with suppress(OSError):  # a cache that cannot be written to can still be read
            _store(folder, record)


def _record(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """The checksums that were written. Raises ValueError if there are none for one of the files."""
    try:
        record: dict[str, Any] = json.loads((folder / NAME).read_text())
        if all(isinstance(record["files"][name], dict) for name in names):
            return record
    except FileNotFoundError:
        raise ValueError("it has no checksums, as an older version wrote it") from None
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{NAME} is damaged")


def _store(folder: Path, record: Mapping[str, Any]) -> None:
    with whole_file(folder / NAME) as temporary:
        temporary.write_text(json.dumps(record))


def _stamp(path: Path) -> dict[str, int]:
    """The file's size, and when it was changed: the second time is the system's own, which no program can set back."""
    found = path.stat()
    return {"size": found.st_size, "modified": found.st_mtime_ns, "changed": found.st_ctime_ns}


def _whole(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sampled(path: Path) -> str:
    digest, size = hashlib.sha256(), path.stat().st_size
    if size <= N_SAMPLES * SAMPLE_BYTES:
        return _whole(path)
    with path.open("rb") as file:
        for number in range(N_SAMPLES):
            file.seek(number * (size - SAMPLE_BYTES) // (N_SAMPLES - 1))  # the first and the last bytes are included
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()
