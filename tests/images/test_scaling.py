import numpy as np
import pytest

from sweeper.images.scaling import n_outside, to_bytes
from sweeper.images.value_range import WIDEST, ValueRange

BYTES = np.arange(256)


@pytest.mark.parametrize(
    ("values", "value_range"),
    [
        (BYTES.astype(np.uint8), ValueRange(0, 255)),
        (BYTES.astype(">f4"), ValueRange(0, 255)),
        (BYTES.astype(np.float16) / np.float16(255), ValueRange(0, 1)),
        (BYTES.astype(np.float32) / 255, ValueRange(0, 1)),
        (BYTES / 127.5 - 1, ValueRange(-1, 1)),
        (BYTES.astype(np.uint16) * 257, ValueRange(0, 65535)),
        (BYTES.astype(np.uint64) * (2**64 // 255), ValueRange(0, 2**64 - 1)),
    ],
)
def test_bytes_stored_as_another_type_are_found_again(values, value_range):
    np.testing.assert_array_equal(to_bytes(values, value_range), BYTES)


def test_booleans_are_black_and_white():
    assert to_bytes(np.array([False, True]), ValueRange(0, 1)).tolist() == [0, 255]


def test_values_are_rounded_and_those_outside_clipped_and_counted():
    values = np.array([-300, -0.6, -0.4, 0.5, 1.4, 1.5, 255.4, 256, 9e9])
    assert to_bytes(values, ValueRange(0, 255)).tolist() == [0, 0, 0, 0, 1, 2, 255, 255, 255]
    assert n_outside(values, ValueRange(0, 255)) == 4


def test_widest_range_is_spread_like_any_other():
    values = np.array([0, WIDEST / 2, WIDEST])
    assert to_bytes(values, ValueRange(0, WIDEST)).tolist() == [0, 128, 255]
    with pytest.raises(ValueError, match=r"must not be wider than 7\.02224e\+305, got 0 to 1e\+308"):
        ValueRange(0, 1e308)
