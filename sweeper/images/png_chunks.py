"""Walks the chunks of a PNG file, in which Pillow takes as long for an empty one as for a row of pixels."""

import os
from collections.abc import Iterator
from typing import IO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# A file has a few small chunks, and pixels in chunks of 8 kB and more.
SMALL, MOST_SMALL = 1_000, 100_000


def check_chunks(stream: IO[bytes]) -> None:
    """Raises ValueError for a PNG file of far more small chunks than programs write; goes back to its beginning."""
    stream.seek(0)
    n_small = 0
    for _, size in _chunks(stream) if stream.read(len(SIGNATURE)) == SIGNATURE else ():
        n_small += size < SMALL
        if n_small > MOST_SMALL:
            raise ValueError(f"more than {MOST_SMALL:,} small chunks in a PNG file: save it again as PNG")
    stream.seek(0)


def late_exif(stream: IO[bytes]) -> bytes | None:
    """The EXIF block of a PNG file that stands behind the pixels, as some programs write it; None if there is none."""
    place = stream.tell()
    try:
        stream.seek(len(SIGNATURE))
        for name, size in _chunks(stream):
            if name == b"eXIf":
                start = stream.tell()
                left = stream.seek(0, os.SEEK_END) - start
                stream.seek(start)
                return stream.read(min(size, left))  # a file may claim gigabytes
        return None
    finally:
        stream.seek(place)


def _chunks(stream: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """The name and the size of each chunk from here to the last, with the stream at its content."""
    while len(head := stream.read(8)) == 8 and head[4:] != b"IEND":
        size, start = int.from_bytes(head[:4], "big"), stream.tell()
        yield head[4:], size
        stream.seek(start + size + 4)
