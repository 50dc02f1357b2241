"""Reads the idx format of the MNIST family."""

import math

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError

IDX_UINT8 = 0x08


def read_idx(data: bytes, place: str, ndim: int) -> NDArray[np.uint8]:
    """The writable uint8 array of an idx file with `ndim` dimensions.

    Layout (Y. LeCun, "The MNIST database"): two zero bytes, the element type, the number of dimensions, each
    size as a big-endian 32-bit integer, then the values, last dimension fastest. The header is checked
    against the actual length before anything is allocated. Raises SweeperError that names `place`.
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
