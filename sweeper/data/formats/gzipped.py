"""Decompresses gzip data up to a size limit."""

import gzip
import io
import zlib

from sweeper.errors import SweeperError

GZIP_MAGIC = b"\x1f\x8b"


# Deflate expands one byte to at most 1032 (zlib's technical details), so a header that claims more must be false.
MOST_EXPANSION = 1040


def decompress(data: bytes, place: str, limit: int) -> bytes:
    """Decompresses `data` if its first bytes, not its name, say that it is gzip; else returns it unchanged.

    Raises SweeperError that names `place` if the gzip stream is damaged or holds more than `limit` bytes. Never expands
    more than `limit` + 1 bytes.
    """
    if not data.startswith(GZIP_MAGIC):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            content = stream.read(limit + 1)
    except EOFError:
        raise SweeperError(f"gzip data must be complete, it is truncated after {len(data):,} bytes ({place})") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise SweeperError(f"gzip data must be intact, got: {error} ({place})") from None
    if len(content) > limit:
        raise SweeperError(f"gzip data must hold at most {limit:,} bytes, it holds more ({place})")
    return content
