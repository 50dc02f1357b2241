import gzip
import tracemalloc

import numpy as np
import pytest

from sweeper.data.formats.gzipped import decompress
from sweeper.errors import SweeperError


def test_plain_data_is_passed_through():
    assert decompress(b"\x00\x00\x08\x01", "here", limit=1) == b"\x00\x00\x08\x01"


def test_gzip_is_expanded_up_to_the_limit():
    assert decompress(gzip.compress(bytes(100)), "here", limit=100) == bytes(100)


def test_gzip_bomb_is_not_expanded():
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(SweeperError, match=r"at most 1,000 bytes.*\(some/file\)"):
            decompress(bomb, "some/file", limit=1000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def _noise() -> bytes:
    return np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes()


@pytest.mark.parametrize("length", [2, 5, 11, 2000, -8, -1])
def test_truncated_gzip_is_named(length):
    with pytest.raises(SweeperError, match=r"truncated after .* bytes \(some/file\)"):
        decompress(gzip.compress(_noise())[:length], "some/file", limit=5000)


@pytest.mark.parametrize("at", [2, 10, 2000, -8, -1])  # method, first block, data, checksum, length
def test_corrupt_gzip_is_named(at):
    data = bytearray(gzip.compress(_noise()))
    data[at] ^= 0xFF
    with pytest.raises(SweeperError, match=r"gzip data must be .*\(some/file\)"):
        decompress(bytes(data), "some/file", limit=5000)
