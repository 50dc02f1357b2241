import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given

from sweeper.data.formats.cifar import IMAGE_SIZE, read_batch
from sweeper.errors import SweeperError
from tests.data.damage import assert_one_line, damaged
from tests.fake_data import cifar_batch
from tests.hostile import within

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
BATCH = cifar_batch(IMAGES, {"labels": [7, 0, 255]})
# Pickle operations: T is a string with a length of four bytes, X is text, B and \x8e are bytes, \x8b is an integer.
ABSURD = [
    BATCH.replace(b"T" + (3 * IMAGE_SIZE).to_bytes(4, "little"), b"T" + b"\xff\xff\xff\x7f"),
    BATCH.replace(b"T" + (3 * IMAGE_SIZE).to_bytes(4, "little"), b"T" + b"\xff\xff\xff\xff"),
    *(b"\x80\x02}(U\x04data" + claim for claim in (b"X\xff\xff\xff\xff", b"B\xff\xff\xff\xff", b"\x8e" + b"\xff" * 8)),
    b"\x80\x02}(U\x06labels\x8b\xff\xff\xff\x7f",
    b"\x80\x04\x95" + b"\xff" * 8,
]


@pytest.mark.parametrize("fortran", [False, True])
def test_batch_is_read_back_as_written(fortran):
    images, labels = read_batch(cifar_batch(IMAGES, {"labels": [7, 0, 255]}, fortran), "here", "labels")
    np.testing.assert_array_equal(images, IMAGES)
    assert (labels.tolist(), labels.dtype) == ([7, 0, 255], np.int64)


def test_fine_and_coarse_labels_are_told_apart_wherever_they_stand():
    keys = {"coarse_labels": [1, 2, 3], "fine_labels": [4, 5, 6]}
    for order in (keys, dict(reversed(keys.items()))):
        batch = cifar_batch(IMAGES, order)
        for key, expected in keys.items():
            assert read_batch(batch, "here", key)[1].tolist() == expected


def test_labels_in_several_pieces_are_all_read():
    images = np.zeros((2001, 3, 32, 32), np.uint8)
    expected = [n % 10 for n in range(2001)]
    batch = cifar_batch(images, {"labels": expected})
    assert batch.count(b"e(K") == 2
    assert read_batch(batch, "here", "labels")[1].tolist() == expected


@pytest.mark.parametrize("fortran", [False, True])
def test_fake_batches_are_real_pickles(fortran):
    """Python's pickle reads the same values from a batch of these tests as read_batch does."""
    entries = pickle.loads(cifar_batch(IMAGES, {"labels": [7, 0, 255]}, fortran), encoding="latin1")
    np.testing.assert_array_equal(entries["data"], IMAGES.reshape(3, -1))
    assert (entries["labels"], len(entries["filenames"])) == ([7, 0, 255], 3)


@pytest.mark.parametrize(
    ("batch", "rule"),
    [
        (b"", "must be a pickle as Python 2 wrote it, got: pickle exhausted before seeing STOP"),
        (b"<html>not found</html>", "must be a pickle as Python 2 wrote it"),
        (BATCH[:-100], "must be a pickle as Python 2 wrote it"),
        (cifar_batch(IMAGES, {"fine_labels": [1, 2, 3]}), "must hold a list labels of small integers, got none"),
        (cifar_batch(IMAGES, {"labels": [1, 2]}), "3,072 bytes per image, got 9,216 bytes and 2 labels"),
        (cifar_batch(IMAGES[:, :, :31], {"labels": [1, 2, 3]}), "3,072 bytes per image, got 8,928 bytes and 3 labels"),
        (pickle.dumps({"labels": [1, 2, 3], "data": IMAGES}, protocol=4), "a list labels of small integers, got none"),
        (pickle.dumps({"labels": [1, 2, 3], "data": b""}, protocol=2), "a list labels of small integers, got none"),
    ],
)
def test_content_that_is_not_a_batch_is_refused_with_rule_and_place(batch, rule):
    with pytest.raises(SweeperError) as caught:
        read_batch(batch, "some/file", "labels")
    assert rule in str(caught.value)
    assert_one_line(caught.value)


@pytest.mark.parametrize("batch", ABSURD)
def test_absurd_length_is_refused_before_anything_is_allocated(batch):
    tracemalloc.start()
    try:
        with within(), pytest.raises(SweeperError, match="as Python 2 wrote it"):
            read_batch(batch, "some/file", "labels")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_payload_in_a_batch_is_not_run(tmp_path):
    path = tmp_path / "touched"
    argument = b"cpathlib\nPosixPath\n(U" + bytes((len(str(path)),)) + str(path).encode() + b"tR"
    batch = b"\x80\x04\x8c\x07pathlib\x8c\x0fPosixPath.touch\x93" + argument + b"\x85R0" + BATCH[2:]
    pickle.loads(batch, encoding="latin1")
    path.unlink()  # fails unless the payload was run
    assert read_batch(batch, "here", "labels")[1].tolist() == [7, 0, 255]
    assert not path.exists()


@given(damaged(BATCH))
@example(BATCH)
def test_any_bytes_give_as_many_images_as_labels_or_one_line(batch):
    try:
        with within():
            images, labels = read_batch(batch, "some/file", "labels")
        assert images.shape == (len(labels), 3, 32, 32)
    except SweeperError as error:
        assert_one_line(error)
