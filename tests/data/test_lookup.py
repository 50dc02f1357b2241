import os

import numpy as np
import pytest

from sweeper.data import lookup
from sweeper.data.known import catalog
from sweeper.data.source import DataSource
from sweeper.data.training_set import load_training_set
from sweeper.errors import UsageError
from sweeper.images.options import DataOptions
from sweeper.tracking.ledger import EXPERIMENT
from tests.data.pictures import picture, write_folder, write_npz

PETS = {"train/dog/1.png": picture(1, (6, 4)), "train/cat/1.png": picture(2, (6, 4))}
NPZ = {"train_images": np.zeros((2, 4, 6, 3), np.uint8), "train_labels": np.array([0, 1])}


def test_known_name_is_never_a_path(tmp_path, monkeypatch):
    write_folder(tmp_path / "mnist", PETS)
    monkeypatch.chdir(tmp_path)
    assert lookup.path_of("mnist") is None
    assert lookup.name_of("mnist") == "mnist"
    assert str(lookup.path_of("./mnist")) == "mnist"
    assert load_training_set(DataSource("./mnist")).name == "mnist-folder"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("pets", "pets"),
        ("pets.npz", "pets"),
        ("my pets (2024)", "my-pets-2024"),
        ("v1.2", "v1.2"),
        ("...", "folder"),
        ("猫", "folder"),
        ("...npz", "npz"),
        ("cifar10.npz", "cifar10-npz"),
        ("svhn", "svhn-folder"),
        ("MNIST", "MNIST-folder"),
        ("Default", "Default-folder"),
        (EXPERIMENT, f"{EXPERIMENT}-folder"),
        ("x" * 200, "x" * 50),
    ],
)
def test_name_is_made_of_the_paths_last_part(tmp_path, place, name):
    path = tmp_path / place
    write_npz(path, NPZ) if place.endswith(".npz") else write_folder(path, PETS)
    assert lookup.name_of(str(path)) == name


def test_current_folder_is_called_by_its_name(tmp_path, monkeypatch):
    write_folder(tmp_path / "pets", PETS)
    monkeypatch.chdir(tmp_path / "pets")
    assert lookup.name_of(".") == "pets"


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("", "unknown data set ''"),
        ("cifar1O", "unknown data set 'cifar1O': did you mean cifar10?"),
        ("photos/pets", "must be a known name, or a folder or file that exists, got photos/pets$"),
        ("pets.npz", "must be a known name, or a folder or file that exists, got pets.npz$"),
        ("x" * 5000, "unknown data set"),
        ("a\0b", r"unknown data set 'a\\x00b'"),
    ],
)
def test_anything_but_a_data_set_is_refused(dataset, message):
    with pytest.raises(UsageError, match=message):
        lookup.path_of(dataset)


def test_other_files_pipes_and_unprintable_paths_are_refused(tmp_path):
    (tmp_path / "pets.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"or an .npz file, got file .*/pets.zip$"):
        lookup.path_of(str(tmp_path / "pets.zip"))
    (tmp_path / "pets.tar").write_bytes(b"PK\3\4")
    (tmp_path / "labels.csv").write_text("id,label\n")
    for name, remedy in (
        ("pets.tar", ", an archive: unpack it$"),
        ("labels.csv", "; for a table of labels, give the fo"),
    ):
        with pytest.raises(UsageError, match=f"got file .*/{name}{remedy}"):
            lookup.path_of(str(tmp_path / name))
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(UsageError, match=r"a folder or file that exists, got .*/pipe.npz"):
        lookup.path_of(str(tmp_path / "pipe.npz"))
    write_folder(tmp_path / "a\nb", PETS)
    with pytest.raises(UsageError, match=r"path must be printable, got '.*/a\\nb'$"):
        lookup.path_of(str(tmp_path / "a\nb"))


@pytest.mark.parametrize("kind", ["folder", "npz"])
@pytest.mark.parametrize(
    "options",
    [
        DataOptions(),
        DataOptions(resize=3),
        DataOptions(grayscale=True),
        DataOptions(("dog", "cat"), 2, grayscale=True, skip_bad=True),
    ],
)
def test_input_shape_is_that_of_the_training_set_and_decodes_nothing(tmp_path, kind, options):
    if kind == "npz":
        path = write_npz(tmp_path / "pets.npz", NPZ | {"classes": np.array(["cat", "dog"])})
    else:
        path = write_folder(tmp_path / "pets", PETS | {"train/cat/2.png": picture((1, 2, 3), (6, 4), "RGB")})
    shape = lookup.input_shape(str(path), options)
    assert not (tmp_path / "cache" / "decoded").exists()
    assert shape == load_training_set(DataSource(str(path), options=options)).input_shape


def test_data_folder_that_a_path_does_not_need_is_reported(tmp_path, notes):
    root = str(write_folder(tmp_path / "pets", PETS))
    load_training_set(DataSource(root, data_dir=tmp_path), notify=notes.append)
    assert notes[0] == f"ignored the data folder {tmp_path}: {root} is a path, not a known data set"


def test_input_shape_of_a_known_data_set_needs_no_files():
    assert lookup.input_shape("cifar10", DataOptions()) == catalog.get("cifar10").input_shape
    assert lookup.input_shape("cifar10", DataOptions(resize=16, grayscale=True)) == (1, 16, 16)


def test_ending_of_an_npz_file_may_be_in_capitals(tmp_path):
    images = np.arange(4 * 16, dtype=np.uint8).reshape(4, 4, 4)
    write_npz(tmp_path / "SET.NPZ", {"train_images": images, "train_labels": np.array([0, 1, 0, 1])})
    assert lookup.name_of(str(tmp_path / "SET.NPZ")) == "SET"
    assert lookup.input_shape(str(tmp_path / "SET.NPZ"), DataOptions()) == (1, 4, 4)
