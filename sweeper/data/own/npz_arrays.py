"""Opens the arrays of an .npz file: checks a header before anything is expanded, and hashes exactly what is read."""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from sweeper.data.formats.gzipped import MOST_EXPANSION
from sweeper.errors import SweeperError, UsageError, first_line, plain
from sweeper.images.progress import Progress

CHUNK = 1 << 20
# The most bytes of labels or names, which are held in memory: as int64, the labels of 60 million images.
MOST_HELD = 500_000_000


class _Hashed:
    """A stream, each byte of which is hashed when it is read."""

    def __init__(self, stream: IO[bytes], digest: "hashlib._Hash") -> None:
        self._stream, self._digest = stream, digest

    def read(self, n_bytes: int = -1) -> bytes:
        data = self._stream.read(n_bytes)
        self._digest.update(data)
        return data


@dataclass(frozen=True)
class StoredArray:
    """An opened array: its values follow in `stream`, which ends with them."""

    name: str
    place: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    n_stored: int  # bytes in the file
    stream: _Hashed

    def values(self) -> NDArray[Any]:
        """All values, which must be labels or names. Unpickles nothing. Raises SweeperError if they are too many."""
        n_bytes = self.dtype.itemsize * prod(self.shape)
        if n_bytes > MOST_HELD:
            sizes = " x ".join(map(str, self.shape))
            raise SweeperError(
                f"labels or names must take {MOST_HELD:,} bytes at most, got {sizes} of {self.dtype} ({self.place})"
            )
        values = np.frombuffer(self.stream.read(n_bytes), self.dtype)
        return values.reshape(self.shape, order="F" if self.is_fortran else "C")

    def chunks(self, progress: Progress | None = None) -> Iterator[bytes]:
        """The values as bytes, many at a time, each of them whole."""
        while chunk := self.stream.read(CHUNK):
            yield chunk
            if progress:
                progress.add(len(chunk))


@contextmanager
def opened(path: Path, name: str, digest: "hashlib._Hash | None" = None) -> Iterator[StoredArray]:
    """The array of this name, whose header and content fit each other; `digest` gets its name and all that is read.

    Raises UsageError if the file has no such array, and SweeperError if the array is not readable.
    """
    if name not in names(path):
        raise UsageError(f"the file must hold {name} ({plain(path)})")
    with _readable(path, name), zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
        with archive.open(info) as file:
            digest = digest or hashlib.sha256()
            digest.update(f"{name}\n".encode())
            stream = _Hashed(file, digest)
            version = np.lib.format.read_magic(cast(IO[bytes], stream))
            if version != (1, 0):
                # Later versions are for records of many fields, and allow headers of gigabytes.
                raise ValueError(
                    f"version {version[0]}.{version[1]} of the npy format, only 1.0 is supported; numpy.savez writes it"
                )
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(cast(IO[bytes], stream))
            found = StoredArray(name, place(path, name), shape, dtype, is_fortran, info.compress_size, stream)
            _check(found, info, info.file_size - file.tell())
            yield found


def names(path: Path) -> list[str]:
    """The names of the arrays. Raises SweeperError if the file is not readable."""
    with _readable(path, "the file"), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def place(path: Path, name: str) -> str:
    """The place of an array in a message."""
    return f"{plain(path)}, {name}"


def _check(array: StoredArray, info: zipfile.ZipInfo, content: int) -> None:
    """Raises SweeperError if the content, of so many bytes, cannot be what the header says."""
    sizes = f"{' x '.join(map(str, array.shape))} of {array.dtype}"
    if any(type(size) is not int for size in array.shape):  # NumPy takes True for a size
        raise SweeperError(f"an array must have sizes that are whole numbers, got {sizes} ({array.place})")
    if array.dtype.hasobject:
        raise SweeperError(
            f"arrays must hold numbers or text, got objects, which are not unpickled ({array.place}); store text with "
            "numpy.array(NAMES, dtype=str), and images as one array of one size"
        )
    if min(array.shape, default=0) < 0 or not array.dtype.itemsize:
        # The product of such sizes can equal the size of the content.
        raise SweeperError(
            f"an array must have sizes that are not negative and a type that is not empty, got {sizes} ({array.place})"
        )
    n_bytes, most = array.dtype.itemsize * prod(array.shape), MOST_EXPANSION * info.compress_size + CHUNK
    if n_bytes != content or info.file_size > most:
        raise SweeperError(
            f"the header says {sizes}, {n_bytes:,} bytes, but the file holds {min(content, most):,} at most "
            f"({array.place})"
        )


@contextmanager
def _readable(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (SweeperError, MemoryError):
        raise
    except Exception as error:  # damaged bytes make zipfile, zlib and numpy raise exceptions of any type
        text = first_line(error)
        raise SweeperError(f"{name} must be readable as .npz data, got: {plain(text)} ({plain(path)})") from error
