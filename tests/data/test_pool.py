import sys

import numpy as np
import pytest

from sweeper.data import catalog
from sweeper.data.pool import load_training_pool
from sweeper.errors import SweeperError, UsageError
from tests.fake_data import fake_images, write_fake_dataset


def test_pool_holds_the_training_files(dataset, tmp_path):
    pool = load_training_pool("tiny", data_dir=tmp_path / "data")
    images, labels = fake_images(60, classes=10, size=28, seed=0)
    np.testing.assert_array_equal(pool.images, images[:, None])
    np.testing.assert_array_equal(pool.labels, labels)
    assert (pool.images.dtype, pool.labels.dtype) == (np.uint8, np.int64)
    assert (pool.name, pool.classes, pool.source) == ("tiny", dataset.classes, str(tmp_path / "data"))


def test_hash_is_that_of_the_training_content_wherever_it_stands(dataset, tmp_path, monkeypatch):
    pool = load_training_pool("tiny", data_dir=tmp_path / "data")
    same = write_fake_dataset(tmp_path / "zipped", test=40, compress=True)
    assert same.test != dataset.test
    monkeypatch.setitem(catalog.DATASETS, "tiny", same)
    assert load_training_pool("tiny", data_dir=tmp_path / "zipped").sha256 == pool.sha256
    other = write_fake_dataset(tmp_path / "other", training=70)
    monkeypatch.setitem(catalog.DATASETS, "tiny", other)
    assert load_training_pool("tiny", data_dir=tmp_path / "other").sha256 != pool.sha256


opened: list[str] = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)


def test_test_files_are_not_opened(dataset, tmp_path):
    opened.clear()
    load_training_pool("tiny", data_dir=tmp_path / "data")
    assert str(tmp_path / "data" / "train-labels-idx1-ubyte") in opened
    assert not [path for path in opened if "t10k" in path]


@pytest.mark.parametrize("change", ["absent", "spoilt"])
def test_pool_is_the_same_whatever_became_of_the_test_files(dataset, tmp_path, change):
    before = load_training_pool("tiny", data_dir=tmp_path / "data")
    for file in dataset.test:
        (tmp_path / "data" / file.name).unlink()
        if change == "spoilt":
            (tmp_path / "data" / file.name).write_bytes(b"spoilt")
    after = load_training_pool("tiny", data_dir=tmp_path / "data")
    assert after.sha256 == before.sha256
    np.testing.assert_array_equal(after.images, before.images)


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_truncated_training_file_is_refused_by_name(dataset, tmp_path, name):
    path = tmp_path / "data" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SweeperError, match=f"truncated.*{path}"):
        load_training_pool("tiny", data_dir=tmp_path / "data")


def test_bad_file_passed_over_is_told(dataset, tmp_path, notes):
    (tmp_path / "cache" / "tiny").mkdir()
    (tmp_path / "cache" / "tiny" / "train-images-idx3-ubyte").write_bytes(b"spoilt")
    with pytest.raises(SweeperError):
        load_training_pool("tiny", offline=True, notify=notes.append)
    assert len(notes) == 1


def test_unknown_name_is_a_usage_error():
    with pytest.raises(UsageError, match="unknown data set 'nothing'"):
        load_training_pool("nothing")
