from dataclasses import replace

import numpy as np
import pytest

from sweeper.data.known import catalog
from sweeper.data.known.locate import LocatedFiles
from sweeper.data.known.reader import combined_sha256, decode
from sweeper.errors import SweeperError
from tests.fake_data import idx_bytes


def found_in(folder, contents):
    return LocatedFiles(contents, (folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte"))


@pytest.mark.parametrize(
    ("images", "labels", "rule", "file"),
    [
        (np.zeros((2, 28, 28)), [0, 1, 2], "one label per image, got 2 images and 3 labels", "train-labels"),
        (np.zeros((2, 28, 28)), [0, 10], "labels must be in 0..9, got 10 for image 1", "train-labels"),
        (np.zeros((2, 28, 27)), [0, 1], "images must be 1 x 28 x 28, got 1 x 28 x 27", "train-images"),
        (np.zeros((0, 28, 28)), [], "at least one image", "train-images"),
        (np.zeros((2, 28)), [0, 1], "magic number", "train-images"),
        (np.zeros((2, 28, 28)), [[0, 1]], "magic number", "train-labels"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_file(dataset, tmp_path, images, labels, rule, file):
    contents = (idx_bytes(np.asarray(images)), idx_bytes(np.asarray(labels)))
    with pytest.raises(SweeperError) as caught:
        decode(dataset, found_in(tmp_path, contents))
    assert rule in str(caught.value)
    assert f"({tmp_path / file}" in str(caught.value)


def test_largest_label_is_allowed(dataset, tmp_path):
    contents = (idx_bytes(np.zeros((2, 28, 28))), idx_bytes(np.array([0, 9])))
    images, labels = decode(dataset, found_in(tmp_path, contents))
    assert (images.shape, images.dtype) == ((2, 1, 28, 28), np.uint8)
    assert (labels.tolist(), labels.dtype) == ([0, 9], np.int64)


def test_combined_hash_depends_on_both_files_and_their_order(dataset):
    images, labels = dataset.training
    other = replace(labels, digest="0" * 64)
    hashes = {combined_sha256(part) for part in ((images, labels), (labels, images), (images, other))}
    assert len(hashes) == 3


def test_combined_hashes_that_stand_in_stores_do_not_change():
    parts = (catalog.FASHION_MNIST.training, catalog.FASHION_MNIST.test)
    assert [combined_sha256(part) for part in parts] == [
        "a7137ef675adff4f5b55826aa3a24b1a34af15708972b5b3a594fc8be8f218f9",
        "1448eb4c408269d8d05d0deb8bbb561b199c36c0e0c09e18822f7d4641793a7d",
    ]


def test_fine_and_coarse_labels_of_the_same_file_are_different_data():
    fine, coarse = catalog.CIFAR100.training, catalog.CIFAR100_COARSE.training
    assert fine[0].digest == coarse[0].digest
    assert combined_sha256(fine) != combined_sha256(coarse)
