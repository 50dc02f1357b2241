"""Folders of other data than classes of images."""

import re

import pytest

from sweeper.errors import UsageError
from sweeper.folders.other_data import other_files, refuse_other_kinds
from tests.data.pictures import tree, write_folder


@pytest.mark.parametrize(
    "files",
    [
        ["images/train/1.jpg", "labels/train/1.txt"],
        ["train/images/1.jpg", "train/labels/1.txt", "data.yaml"],
        ["JPEGImages/1.jpg", "Annotations/1.xml"],
        ["train2017/1.jpg", "annotations/instances_train2017.json"],
        ["train/1.jpg", "train/_annotations.coco.json"],
    ],
)
def test_detection_data_are_refused_by_that_name(root, files):
    with pytest.raises(UsageError, match=r"detection data are not supported, got boxes in .*; cut the boxes out"):
        refuse_other_kinds(tree(root, *files))


@pytest.mark.parametrize(
    "name_and_text", [("1.txt", b"0 .5 .5 .2 .2\n"), ("1.xml", b"<annotation><bndbox/></annotation><bndbox>")]
)
def test_texts_of_boxes_beside_the_images_are_detection_data(root, name_and_text):
    name, content = name_and_text
    write_folder(root, {"train/1.jpg": b"", f"train/{name}": content})
    with pytest.raises(UsageError, match="got boxes in the texts beside the images"):
        refuse_other_kinds(root)


@pytest.mark.parametrize(
    "files",
    [
        ["images/1.jpg", "labels/1.jpg"],  # two classes, whatever their names
        ["cat/1.jpg", "labels/1.txt"],
        ["cat/1.jpg", "cat/1.txt", "dog/1.jpg"],
        ["with_mask/1.jpg", "without_mask/1.jpg"],
        ["images/1.jpg", "labels.csv"],
    ],
)
def test_classes_and_captions_are_no_other_kind(root, files):
    refuse_other_kinds(tree(root, *files))


def test_masks_beside_images_are_segmentation_data(root):
    tree(root, "train/images/1.png", "train/masks/1.png")
    with pytest.raises(UsageError, match="segmentation data are not supported, got masks beside images"):
        refuse_other_kinds(root)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("SET.NPZ", b"PK\3\4", "give the file: .*/SET.NPZ"),
        ("images.npy", b"\x93NUMPY", "images.npy is a NumPy array: "),
        ("train.h5", b"\x89HDF\r\n\x1a\n", "train.h5 is an HDF5 file: "),
        ("data/train.parquet", b"PAR1", "train.parquet holds the encoded images themselves, as Hugging Face's"),
        ("pets.zip", b"PK\3\4", "pets.zip is an archive: unpack it"),
        ("train-images-idx3-ubyte.gz", b"\x1f\x8b", "files of a known data set, .*--data-dir"),
        ("notes.txt", b"hello", "^$"),
        ("1.png", b"\x89PNG", "^$"),
    ],
)
def test_what_a_folder_without_images_holds_is_told(root, name, content, told):

    assert re.search(told, other_files(write_folder(root, {name: content})))
