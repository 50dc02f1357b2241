import tracemalloc

import numpy as np
import pytest

from sweeper.data.formats.idx import read_idx
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
