"""Reads and checks a data file, and writes a data file whole or not at all."""

import hashlib
import os
import stat
from pathlib import Path

from sweeper.data.formats.gzipped import decompress
from sweeper.data.known.catalog import DataFile
from sweeper.errors import SweeperError
from sweeper.store.atomic import whole_file


def candidates(folder: Path, file: DataFile) -> list[Path]:
    """The existing paths of `file` in `folder`, the plain file before the .gz file."""
    names = (file.name,) if file.name.endswith(".gz") else (file.name, f"{file.name}.gz")
    return [folder / name for name in names if os.path.lexists(folder / name)]


def may_be(path: Path, file: DataFile) -> bool:
    """Whether `path` is a regular file whose size fits `file`, plain or gzipped; does not open it."""
    try:
        found = path.stat()
    except OSError:
        return False
    compressed = path.name != file.name and 0 < found.st_size <= read_limit(file)
    return stat.S_ISREG(found.st_mode) and (compressed or found.st_size == file.size)


def read_limit(file: DataFile) -> int:
    """The most bytes that `file` can take, plain or gzipped: gzip adds a header, and 0.03 % to incompressible data."""
    return file.size + file.size // 100 + 4096


def read(path: Path, file: DataFile) -> bytes:
    """The content of `path`. Raises SweeperError that names the path unless it is exactly `file`."""
    try:
        # Checked before the file is opened: a named pipe would wait for a writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SweeperError(f"the file must be a regular file ({path})")
        with path.open("rb") as stream:
            data = stream.read(read_limit(file) + 1)
    except OSError as error:
        raise SweeperError(f"the file must be readable, got: {error.strerror} ({path})") from None
    return check(data, file, str(path))


def check(data: bytes, file: DataFile, place: str) -> bytes:
    """The content of `data`: decompressed, unless the name of `file` ends in .gz.

    Raises SweeperError that names `place` unless size and digest are those of `file`.
    """
    content = data if file.name.endswith(".gz") else decompress(data, place, file.size)
    if len(content) < file.size:
        raise SweeperError(f"size must be {file.size:,} bytes, it is truncated to {len(content):,} ({place})")
    if len(content) > file.size:
        raise SweeperError(f"size must be {file.size:,} bytes, got more ({place})")
    check_digest(hashlib.new(file.algorithm, content), file, place)
    return content


def check_digest(digest: "hashlib._Hash", file: DataFile, place: str) -> None:
    """Raises SweeperError that names `place` unless `digest`, over the whole content, is that of `file`."""
    if digest.hexdigest() != file.digest:
        kind = {"sha256": "SHA-256", "md5": "MD5"}[file.algorithm]
        raise SweeperError(f"{kind} must be {file.digest}, got {digest.hexdigest()}: the content was altered ({place})")


def write(folder: Path, name: str, content: bytes) -> Path:
    """Writes `content` as folder/name in one step, so that no reader and no second writer ever sees half a file.

    Raises OSError if that fails, and then leaves nothing behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / name) as temporary:
        temporary.write_bytes(content)
    return folder / name
