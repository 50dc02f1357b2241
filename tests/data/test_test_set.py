import numpy as np
import pytest

from sweeper.data import test_set
from sweeper.data.source import DataSource
from sweeper.data.test_set import find_test_set, load_test_set
from sweeper.data.training_set import load_training_set
from sweeper.errors import SweeperError
from sweeper.images.image_set import PixelFormat
from sweeper.images.options import DataOptions
from tests.data.pictures import write_folder
from tests.fake_data import fake_images

FORMAT = PixelFormat((1, 28, 28))


def test_test_set_holds_the_test_files(dataset, tmp_path):
    test = load_test_set(DataSource("tiny", data_dir=tmp_path / "data"), pixel_format=FORMAT)
    images, labels = fake_images(20, classes=10, size=28, seed=1)
    np.testing.assert_array_equal(test.images, images[:, None])
    np.testing.assert_array_equal(test.labels, labels)
    assert (test.name, test.classes, test.source) == ("tiny", dataset.classes, str(tmp_path / "data"))


def test_hash_differs_from_that_of_the_training_set(dataset, tmp_path):
    folder = tmp_path / "data"
    test = load_test_set(DataSource("tiny", data_dir=folder), pixel_format=FORMAT)
    assert test.sha256 != load_training_set(DataSource("tiny", data_dir=folder)).sha256


def test_absent_test_set_is_an_error_to_load_and_none_to_find(dataset, tmp_path):
    assert find_test_set(DataSource("tiny", data_dir=tmp_path / "data"), pixel_format=FORMAT) is not None
    (tmp_path / "data" / "t10k-labels-idx1-ubyte").unlink()
    assert find_test_set(DataSource("tiny", data_dir=tmp_path / "data"), pixel_format=FORMAT) is None
    with pytest.raises(SweeperError, match="t10k-labels-idx1-ubyte"):
        load_test_set(DataSource("tiny", data_dir=tmp_path / "data"), pixel_format=FORMAT)


def test_altered_test_file_in_data_dir_is_refused_by_name(dataset, tmp_path):
    path = tmp_path / "data" / "t10k-labels-idx1-ubyte"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(SweeperError, match=r"SHA-256 must be .*t10k-labels-idx1-ubyte"):
        find_test_set(DataSource("tiny", data_dir=tmp_path / "data"), pixel_format=FORMAT)


def test_options_change_the_images_but_not_the_hash(dataset, tmp_path):
    options = DataOptions(("class 7", "class 2"), resize=14)
    source, resized = DataSource("tiny", options=options, data_dir=tmp_path / "data"), PixelFormat((1, 14, 14))
    test = load_test_set(source, pixel_format=resized)
    assert (test.images.shape, test.classes, test.labels.tolist()) == ((4, 1, 14, 14), options.classes, [1, 0, 1, 0])
    assert test.sha256 == test_set.test_sha256(DataSource("tiny"))
    found = find_test_set(source, pixel_format=resized)
    np.testing.assert_array_equal(found.images, test.images)


def test_hash_is_computed_without_decoding(tmp_path):
    contents = {f"{part}/{name}/1.png": b"no image" for part in ("train", "test") for name in "ab"}
    root = str(write_folder(tmp_path / "pets", contents))
    assert len(test_set.test_sha256(DataSource(root))) == 64
    with pytest.raises(SweeperError, match=r"test/a/1.png, test/b/1.png: text, not an image"):
        load_test_set(DataSource(root), pixel_format=PixelFormat((1, 4, 4)))
