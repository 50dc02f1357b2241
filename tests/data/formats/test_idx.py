import gzip
import tracemalloc

import numpy as np
import pytest

from sweeper.data.formats.gzipped import decompress
from sweeper.data.formats.idx import read_idx
from sweeper.data.formats.stl10 import read_stl10
from sweeper.errors import SweeperError
from tests.fake_data import idx_bytes


@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 2, 3)])
def test_idx_is_read_back_as_written(shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    read = read_idx(idx_bytes(array), "here", ndim=len(shape))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


def test_idx_array_is_writable():
    read_idx(idx_bytes(np.zeros(3)), "here", ndim=1)[0] = 7


def test_sizes_are_big_endian():
    data = bytes((0, 0, 8, 1, 0, 0, 1, 2)) + bytes(258)
    assert read_idx(data, "here", ndim=1).shape == (258,)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "magic number must be 00000803, got no bytes"),
        (b"\x00\x00", "magic number must be 00000803, got 0000"),
        (b"<html>not found</html>", "magic number must be 00000803, got 3c68746d"),
        (bytes((0, 0, 8, 1, 0, 0, 0, 0)), "magic number must be 00000803, got 00000801"),
        (bytes((0, 0, 9, 3)) + bytes(12), "magic number must be 00000803, got 00000903"),
        (bytes((0, 0, 8, 3)) + bytes(11), "header must be 16 bytes long, got 15"),
        (idx_bytes(np.zeros((2, 3, 4)))[:-1], "header says 2 x 3 x 4 = 24 bytes, got 23 bytes"),
        (idx_bytes(np.zeros((2, 3, 4))) + b"\x00", "header says 2 x 3 x 4 = 24 bytes, got 25 bytes"),
    ],
)
def test_bad_idx_is_refused_with_rule_value_and_place(data, rule):
    with pytest.raises(SweeperError) as caught:
        read_idx(data, "some/file", ndim=3)
    assert rule in str(caught.value)
    assert "(some/file)" in str(caught.value)


@pytest.mark.parametrize("sizes", [b"\xff" * 12, b"\x00\x01\x00\x00" * 3, b"\x40\x00\x00\x00\x00\x00\x00\x04" * 2])
def test_absurd_header_is_refused_before_anything_is_allocated(sizes):
    # The last two products are powers of two that would wrap to a small number in 32 or 64 bits.
    data = bytes((0, 0, 8, len(sizes) // 4)) + sizes
    tracemalloc.start()
    try:
        with pytest.raises(SweeperError, match="header says"):
            read_idx(data, "here", ndim=len(sizes) // 4)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


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


def test_stl10_is_read_column_by_column_and_its_labels_count_from_one():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 96, 96), dtype=np.uint8)
    columns = b"".join(images[n, c, :, x].tobytes() for n in range(2) for c in range(3) for x in range(96))
    read, labels = read_stl10(columns, b"\x01\x0a", "images", "labels")
    np.testing.assert_array_equal(read, images)
    assert (labels.tolist(), labels.dtype) == ([0, 9], np.int64)


@pytest.mark.parametrize(
    ("n_bytes", "labels", "message"),
    [
        (27_647, b"\x01", r"27,648 bytes per image, got 27,647 in all \(some/images\)"),
        (27_648, b"\x01\x00", r"must count from 1, got 0 for image 1 \(some/labels\)"),
    ],
)
def test_bad_stl10_is_refused_with_rule_value_and_place(n_bytes, labels, message):
    with pytest.raises(SweeperError, match=message):
        read_stl10(bytes(n_bytes), labels, "some/images", "some/labels")
