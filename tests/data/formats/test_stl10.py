import numpy as np
import pytest

from sweeper.data.formats.stl10 import read_stl10
from sweeper.errors import SweeperError


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
