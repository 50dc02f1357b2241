"""Reads each known data set from small files of its own format, from finding them to decoding them."""

import gzip
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweeper.data.known import catalog, locate
from sweeper.data.known.reader import decode
from sweeper.data.source import DataSource
from sweeper.data.training_set import load_training_set
from sweeper.errors import SweeperError
from tests.fake_data import fake_contents, put, with_contents
from tests.hostile import refused

NAMES = sorted(catalog.DATASETS)
every = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def known(name, monkeypatch):
    """The data set called `name` with small files, which are not on disk yet, and their contents."""
    dataset = catalog.get(name)
    contents = fake_contents(dataset)
    dataset = with_contents(dataset, contents)
    monkeypatch.setitem(catalog.DATASETS, name, dataset)
    return dataset, contents


def torchvision_part(dataset: catalog.Dataset, root: Path, train: bool):
    """Images (N, C, H, W) and labels from torchvision's reader, without its check of the hashes."""
    from torchvision import datasets

    theirs = getattr(datasets, dataset.torchvision)
    unchecked = {"_check_integrity": lambda self: True, "_load_meta": lambda self: None}
    reader = type(theirs.__name__, (theirs,), unchecked)
    if dataset.format in ("svhn", "stl10"):
        read = reader(str(root), split="train" if train else "test")
        return read.data, read.labels
    read = reader(str(root), train=train)
    if dataset.format == "idx":
        return read.data[:, None].numpy(), read.targets.numpy()
    return read.data.transpose(0, 3, 1, 2), np.array(read.targets)


@every
def test_both_parts_are_what_torchvision_reads_in_its_layout(name, known, tmp_path):
    dataset, contents = known
    folder = tmp_path / "work" / "data" / dataset.folder
    put(folder, contents)
    put(folder, {key.removesuffix(".gz"): gzip.decompress(c) for key, c in contents.items() if key.endswith(".gz")})
    for part in (dataset.training, dataset.test):
        found = locate.read(dataset, part, offline=True, notify=print)
        images, labels = torchvision_part(dataset, tmp_path / "work" / "data", train=part == dataset.training)
        if name == "cifar100_coarse":
            labels = labels // 5  # torchvision reads the fine labels; the fake files derive the coarse ones so
        ours = decode(dataset, found)
        np.testing.assert_array_equal(ours[0], images)
        np.testing.assert_array_equal(ours[1], labels)
        assert [array.dtype for array in ours] == [np.uint8, np.int64]
        assert found.folder == folder


@every
def test_arrays_are_contiguous_and_writable(name, known, tmp_path):
    dataset, contents = known
    put(tmp_path / "mine", contents)
    found = locate.read(dataset, dataset.training, data_dir=tmp_path / "mine", notify=print)
    for array in decode(dataset, found):
        assert array.flags.c_contiguous
        assert array.flags.writeable


@every
@pytest.mark.parametrize("layout", ["", "torchvision's"])
def test_data_dir_holds_the_files_directly_or_in_torchvisions_layout(name, known, tmp_path, layout):
    dataset, contents = known
    put(tmp_path / "mine" / (dataset.folder if layout else ""), contents)
    training_set = load_training_set(DataSource(name, data_dir=tmp_path / "mine", offline=True))
    assert len(training_set.images) == len(training_set.labels) > 0


opened: list[str] = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)


@every
def test_training_part_is_loaded_without_opening_the_test_part(name, known, tmp_path):
    dataset, contents = known
    put(tmp_path / "mine", contents)
    opened.clear()
    load_training_set(DataSource(name, data_dir=tmp_path / "mine"))
    read = {Path(path).name for path in opened if str(tmp_path / "mine") in path}
    assert read == {file.name for file in dataset.training}


@every
@pytest.mark.parametrize("change", ["flip", "cut", "more", "foreign", "empty"])
def test_damaged_file_is_refused_in_one_line_that_names_it(name, known, tmp_path, change):
    dataset, contents = known
    for file in (dataset.training[-1], dataset.training[0]):
        content = contents[file.name]
        spoilt = {
            "flip": content[:-1] + bytes((content[-1] ^ 1,)),
            "cut": content[: len(content) // 2],
            "more": content + b"x",
            "foreign": b"<html>",
            "empty": b"",
        }
        put(tmp_path / "mine", contents | {file.name: spoilt[change]})
        line = refused("data", "info", name, "--data-dir", tmp_path / "mine", codes=(1,))
        assert str(tmp_path / "mine" / file.name) in line
        rule = {"flip": "MD5 must be" if file.algorithm == "md5" else "SHA-256 must be", "more": "got more"}
        assert rule.get(change, "truncated") in line


@every
def test_content_of_another_format_is_refused_in_one_line_though_its_hash_matches(name, known, tmp_path, monkeypatch):
    dataset, contents = known
    for content in (b"", b"no data at all", b"\x80\x02}."):
        wrong = dict.fromkeys(contents, content)
        monkeypatch.setitem(catalog.DATASETS, name, with_contents(dataset, wrong))
        put(tmp_path / "mine", wrong)
        assert str(tmp_path / "mine") in refused("data", "info", name, "--data-dir", tmp_path / "mine", codes=(1,))


@every
def test_label_without_a_class_is_refused_by_file(name, known, tmp_path, monkeypatch):
    dataset, contents = known
    put(tmp_path / "mine", contents)
    largest = int(load_training_set(DataSource(name, data_dir=tmp_path / "mine")).labels.max())
    monkeypatch.setitem(catalog.DATASETS, name, replace(dataset, classes=dataset.classes[:largest]))
    with pytest.raises(
        SweeperError, match=rf"labels must be in 0..{largest - 1}, got {largest} for image \d+ \(.*mine"
    ):
        load_training_set(DataSource(name, data_dir=tmp_path / "mine"))


@every
def test_missing_files_give_one_message_with_every_place_and_what_to_do(name, known, tmp_path):
    dataset, _ = known
    with pytest.raises(SweeperError) as caught:
        load_training_set(DataSource(name, offline=True))
    message = str(caught.value)
    places = [tmp_path / "cache" / (dataset.cached_as or name), tmp_path / "work" / "data" / dataset.folder]
    for text in (*map(str, places), "the network: not tried", f"sweeper data fetch {name}", "--data-dir FOLDER"):
        assert text in message
    assert all(file.name in message for file in dataset.training)
    assert not any(file.name in message for file in dataset.test if file.name != "test")
    assert ("apt install" in message) == bool(dataset.debian_package)
    assert ("plain or as .gz" in message) == (name != "kmnist" and dataset.archive is None)
    with pytest.raises(SweeperError, match=rf"{dataset.training[-1].name} must be in the data folder.*\({tmp_path}"):
        load_training_set(DataSource(name, data_dir=tmp_path))


def test_coarse_labels_are_cached_with_the_fine_ones():
    assert locate.cache_folder(catalog.CIFAR100_COARSE) == locate.cache_folder(catalog.CIFAR100)


@pytest.mark.parametrize("name", ["cifar100"])
def test_fetch_into_a_folder_keeps_plain_names_apart(name, known, tmp_path):
    dataset, contents = known
    put(tmp_path / "cache" / "cifar100", contents)
    paths = locate.fetch(dataset, data_dir=tmp_path / "mine", offline=True, notify=print)
    assert paths == tuple(tmp_path / "mine" / "cifar-100-python" / part for part in ("train", "test"))


@pytest.mark.parametrize("name", ["kmnist"])
def test_only_the_compressed_file_is_used_if_only_its_hash_is_known(name, known, tmp_path):
    _, contents = known
    put(tmp_path / "mine", {key.removesuffix(".gz"): gzip.decompress(content) for key, content in contents.items()})
    with pytest.raises(SweeperError, match=r"train-labels-idx1-ubyte.gz must be in the data folder"):
        load_training_set(DataSource(name, data_dir=tmp_path / "mine"))


@pytest.mark.parametrize("name", ["kmnist"])
def test_compressed_bomb_whose_hash_matches_is_not_expanded(name, known, tmp_path, monkeypatch):
    dataset, contents = known
    wrong = dict.fromkeys(contents, gzip.compress(bytes(65_000_000), compresslevel=1))
    monkeypatch.setitem(catalog.DATASETS, name, with_contents(dataset, wrong))
    put(tmp_path / "mine", wrong)
    with pytest.raises(SweeperError, match=r"at most 64,000,000 bytes"):
        load_training_set(DataSource(name, data_dir=tmp_path / "mine"))
