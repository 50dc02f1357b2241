import io
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from scipy.io import savemat

from sweeper.data.formats.svhn import read_svhn
from sweeper.errors import SweeperError
from tests.data.damage import assert_one_line, damaged
from tests.fake_data import svhn_file
from tests.hostile import examples, within

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 6), dtype=np.uint8)
FILE = svhn_file(IMAGES, [0, 1, 9, 0])


def mat(compressed=True, **arrays):
    stream = io.BytesIO()
    savemat(stream, arrays, do_compression=compressed)
    return stream.getvalue()


X = np.zeros((5, 6, 3, 4), np.uint8)
Y = np.ones((4, 1), np.uint8)


def test_file_is_read_back_as_written_and_ten_is_the_digit_zero():
    images, labels = read_svhn(FILE, "here")
    np.testing.assert_array_equal(images, IMAGES)
    assert (labels.tolist(), labels.dtype) == ([0, 1, 9, 0], np.int64)
    assert images.flags.c_contiguous


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "must be a MATLAB 5 file"),
        (b"<html>not found</html>", "must be a MATLAB 5 file"),
        (FILE[:-20], "must be a MATLAB 5 file"),
        (mat(X=X), "y must have 2 dimensions and type uint8, got nothing"),
        (mat(X=X.astype(float), y=Y), "X must have 4 dimensions and type uint8, got 5 x 6 x 3 x 4 of double"),
        (mat(X=X[0], y=Y), "X must have 4 dimensions and type uint8, got 6 x 3 x 4 of uint8"),
        (mat(X=X, y=Y[:3]), "got 5 x 6 x 3 x 4 and 3 x 1"),
        (mat(X=X, y=Y.T), "got 5 x 6 x 3 x 4 and 1 x 4"),
        (mat(X=X[:, :, :2], y=Y), "got 5 x 6 x 2 x 4 and 4 x 1"),
        (mat(X={"field": X}, y=Y), "X must have 4 dimensions and type uint8"),
    ],
)
def test_wrong_content_is_refused_with_rule_and_place(content, rule):
    with pytest.raises(SweeperError) as caught:
        read_svhn(content, "some/file")
    assert rule in str(caught.value)
    assert_one_line(caught.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_absurd_claim_is_refused_before_anything_is_allocated(compressed):
    content = bytearray(mat(compressed=False, X=X, y=Y))
    for shape, claimed in ((X.shape, (5000, 6000, 3, 4000)), (Y.shape, (4000, 1))):
        sizes, claims = (np.array(sizes, "<i4").tobytes() for sizes in (shape, claimed))
        at = content.index(sizes)
        content[at : at + len(sizes)] = claims
    if compressed:
        elements, content[128:] = bytes(content[128:]), b""
        while elements:
            size = 8 + int.from_bytes(elements[4:8], "little")
            body = zlib.compress(elements[:size])
            content += b"\x0f\0\0\0" + len(body).to_bytes(4, "little") + body
            elements = elements[size:]
    tracemalloc.start()
    try:
        with within(), pytest.raises(SweeperError, match="got 5000 x 6000 x 3 x 4000 and 4000 x 1"):
            read_svhn(bytes(content), "some/file")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@examples(50)
@given(damaged(FILE))
@example(FILE)
def test_any_bytes_give_as_many_images_as_labels_or_one_line(content):
    try:
        with within():
            images, labels = read_svhn(content, "some/file")
        assert len(images) == len(labels)
    except SweeperError as error:
        assert_one_line(error)
