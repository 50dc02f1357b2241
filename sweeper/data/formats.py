"""Bytes to arrays: gzip within a bound, the idx format of the MNIST family, and the binary files of STL-10."""

import gzip
import io
import math
import zlib

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError

GZIP_MAGIC = b"\x1f\x8b"
IDX_UINT8 = 0x08
# Deflate makes at most 1032 bytes of one (zlib's technical details); a header that claims more is not its content's.
MOST_EXPANSION = 1040
STL10_IMAGE = (3, 96, 96)


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


def read_idx(data: bytes, place: str, ndim: int) -> NDArray[np.uint8]:
    """The writable uint8 array of an idx file with `ndim` dimensions.

    Layout (Y. LeCun, "The MNIST database"): two zero bytes, the element type, the number of dimensions, each
    size as a big-endian 32-bit integer, then the values, last dimension fastest. The header is checked
    against the actual length before anything is allocated. SweeperError names `place`.
    """
    magic = bytes((0, 0, IDX_UINT8, ndim))
    if data[:4] != magic:
        raise SweeperError(f"idx magic number must be {magic.hex()}, got {data[:4].hex() or 'no bytes'} ({place})")
    start = 4 + 4 * ndim
    if len(data) < start:
        raise SweeperError(f"idx header must be {start} bytes long, got {len(data)} ({place})")
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4))
    if math.prod(shape) != len(data) - start:
        sizes = " x ".join(str(size) for size in shape)
        raise SweeperError(
            f"idx header says {sizes} = {math.prod(shape):,} bytes, got {len(data) - start:,} bytes ({place})"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape).copy()


def read_stl10(
    images: bytes, labels: bytes, images_place: str, labels_place: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images (N, 3, 96, 96) and labels (N,) of a pair of STL-10's binary files.

    Layout (A. Coates et al., "STL-10 dataset"): a byte a pixel, channel by channel, each by its columns; a byte a
    label, counted from 1. SweeperError names the place.
    """
    size = math.prod(STL10_IMAGE)
    if len(images) % size:
        raise SweeperError(f"there must be {size:,} bytes an image, got {len(images):,} in all ({images_place})")
    pixels = np.frombuffer(images, np.uint8).reshape(-1, *STL10_IMAGE).transpose(0, 1, 3, 2)
    numbers = np.frombuffer(labels, np.uint8).astype(np.int64)
    if 0 in numbers:
        raise SweeperError(f"labels must count from 1, got 0 for image {np.argmin(numbers)} ({labels_place})")
    return np.ascontiguousarray(pixels), numbers - 1
