"""Decompresses gzip data up to a size limit."""

import gzip
import io
import zlib

from sweeper.errors import SweeperError

GZIP_MAGIC = b"\x1f\x8b"


# Deflate makes at most 1032 bytes of one (zlib's technical details); a header that claims more is not its content's.
MOST_EXPANSION = 1040


def decompress(data: bytes, place: str, limit: int) -> bytes:
    """Gunzip `data` if it is gzip (told by its first bytes, not its name), else return it as it is.

    Stops with SweeperError naming `place` when the gzip stream is damaged or holds more than `limit` bytes:
    at most `limit` + 1 bytes are ever expanded.
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
