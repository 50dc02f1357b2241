import sys

import numpy as np
import pytest

from sweeper.data.known import catalog
from sweeper.data.source import DataSource
from sweeper.data.test_set import load_test_set
from sweeper.data.training_set import is_here, load_training_set
from sweeper.errors import SweeperError, UsageError
from sweeper.images.image_set import PixelFormat
from sweeper.images.options import DataOptions
from tests.data.pictures import write_folder
from tests.fake_data import fake_images, write_fake_dataset


def test_training_set_holds_the_training_files(dataset, tmp_path):
    training_set = load_training_set(DataSource("tiny", data_dir=tmp_path / "data"))
    images, labels = fake_images(60, classes=10, size=28, seed=0)
    np.testing.assert_array_equal(training_set.images, images[:, None])
    np.testing.assert_array_equal(training_set.labels, labels)
    assert (training_set.images.dtype, training_set.labels.dtype) == (np.uint8, np.int64)
    assert (training_set.name, training_set.classes, training_set.source) == (
        "tiny",
        dataset.classes,
        str(tmp_path / "data"),
    )


def test_hash_is_that_of_the_training_content_wherever_it_is(dataset, tmp_path, monkeypatch):
    training_set = load_training_set(DataSource("tiny", data_dir=tmp_path / "data"))
    same = write_fake_dataset(tmp_path / "zipped", test=40, compress=True)
    assert same.test != dataset.test
    monkeypatch.setitem(catalog.DATASETS, "tiny", same)
    assert load_training_set(DataSource("tiny", data_dir=tmp_path / "zipped")).sha256 == training_set.sha256
    other = write_fake_dataset(tmp_path / "other", training=70)
    monkeypatch.setitem(catalog.DATASETS, "tiny", other)
    assert load_training_set(DataSource("tiny", data_dir=tmp_path / "other")).sha256 != training_set.sha256


opened: list[str] = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)


def test_test_files_are_not_opened(dataset, tmp_path):
    opened.clear()
    load_training_set(DataSource("tiny", data_dir=tmp_path / "data"))
    assert str(tmp_path / "data" / "train-labels-idx1-ubyte") in opened
    assert not [path for path in opened if "t10k" in path]


@pytest.mark.parametrize("change", ["absent", "spoilt"])
def test_training_set_does_not_depend_on_the_test_files(dataset, tmp_path, change):
    before = load_training_set(DataSource("tiny", data_dir=tmp_path / "data"))
    for file in dataset.test:
        (tmp_path / "data" / file.name).unlink()
        if change == "spoilt":
            (tmp_path / "data" / file.name).write_bytes(b"spoilt")
    after = load_training_set(DataSource("tiny", data_dir=tmp_path / "data"))
    assert after.sha256 == before.sha256
    np.testing.assert_array_equal(after.images, before.images)


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_truncated_training_file_is_refused_by_name(dataset, tmp_path, name):
    path = tmp_path / "data" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SweeperError, match=f"truncated.*{path}"):
        load_training_set(DataSource("tiny", data_dir=tmp_path / "data"))


def test_folder_that_has_the_name_of_a_known_data_set_is_told(dataset, tmp_path, notes, monkeypatch):
    source = DataSource(dataset.name, data_dir=tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    load_training_set(source, notify=notes.append)
    assert notes == []
    (tmp_path / dataset.name).mkdir()
    load_training_set(source, notify=notes.append)
    assert notes == [
        f"{dataset.name} is the known data set, not the folder of this name here: ./{dataset.name} names the folder"
    ]


def test_skipped_bad_file_is_reported(dataset, tmp_path, notes):
    (tmp_path / "cache" / "tiny").mkdir()
    (tmp_path / "cache" / "tiny" / "train-images-idx3-ubyte").write_bytes(b"spoilt")
    with pytest.raises(SweeperError):
        load_training_set(DataSource("tiny", offline=True), notify=notes.append)
    assert len(notes) == 1


def test_unknown_name_is_a_usage_error():
    with pytest.raises(UsageError, match="unknown data set 'nothing'"):
        load_training_set(DataSource("nothing"))


def test_options_change_the_images_but_not_the_hash(dataset, tmp_path):
    whole = load_training_set(DataSource("tiny", data_dir=tmp_path / "data"))
    options = DataOptions(("class 7", "class 2"), resize=14)
    training_set = load_training_set(DataSource("tiny", options=options, data_dir=tmp_path / "data"))
    assert (training_set.classes, training_set.input_shape, training_set.sha256) == (
        ("class 7", "class 2"),
        (1, 14, 14),
        whole.sha256,
    )
    assert training_set.labels.tolist() == [0 if label == 7 else 1 for label in whole.labels if label in (7, 2)]


def test_unknown_class_of_a_known_data_set_is_named(dataset, tmp_path):
    with pytest.raises(UsageError, match=r"unknown class class7; did you mean class 7\?"):
        load_training_set(DataSource("tiny", options=DataOptions(("class7", "class 1")), data_dir=tmp_path / "data"))


def test_the_users_own_files_are_always_here(dataset, tmp_path):
    root = write_folder(tmp_path / "pets", {"a/1.png": 1, "b/1.png": 2})
    assert is_here(DataSource(str(root)), notify=lambda note: None)
    assert not is_here(DataSource("tiny"), notify=lambda note: None)
    assert is_here(DataSource("tiny", data_dir=tmp_path / "data"), notify=lambda note: None)
    with pytest.raises(UsageError, match="unknown data set 'nothing'"):
        is_here(DataSource("nothing"), notify=lambda note: None)


@pytest.mark.parametrize("single", [True, False])
def test_test_images_of_a_folder_are_not_opened(tmp_path, single):
    contents = {f"{name}/{number}.png": number for name in "ab" for number in range(20)}
    parts = (
        contents
        if single
        else {f"{part}/{name}": grey for part in ("train", "test") for name, grey in contents.items()}
    )
    root = write_folder(tmp_path / "pets", parts)
    opened.clear()
    load_training_set(DataSource(str(root)))
    trained = {path for path in opened if path.endswith(".png")}
    opened.clear()
    load_test_set(DataSource(str(root)), pixel_format=PixelFormat((1, 4, 4)))
    tested = {path for path in opened if path.endswith(".png")}
    assert trained
    assert tested
    assert not trained & tested
