"""Tables of labels; the images are empty files."""

import pandas as pd
import pytest

from sweeper.data.own.label_table import labelled_files, usual_table
from sweeper.errors import SweeperError, UsageError
from sweeper.images.options import DataOptions
from tests.data.pictures import tree

IMAGES = ("images/a.jpg", "images/b.jpg", "images/c.png")


def labels(root, text, name="labels.csv", **options):
    """The class of each file by its name, for a table of this text."""
    (root / name).write_text(text)
    found = labelled_files(root, root / name, DataOptions(**options))
    return {file.name: file.class_name for files in found.parts.values() for file in files}


@pytest.mark.parametrize(
    "head", ["image,label", "image_id,class", "filename,target", "file_name,category", "path,articleType", "ID,Label"]
)
def test_columns_are_known_by_their_names(root, head):
    tree(root, *IMAGES)
    assert labels(root, f"other,{head}\n1,a.jpg,x\n2,b.jpg,y\n") == {"images/a.jpg": "x", "images/b.jpg": "y"}


def test_identifier_is_no_file_name_if_there_is_one(root):
    assert labels(tree(root, *IMAGES), "id,file_name,label\n1,a.jpg,x\n") == {"images/a.jpg": "x"}


@pytest.mark.parametrize(
    "name", ["a.jpg", "a", "images/a.jpg", "images/a", "./images/a.jpg", "images\\a.jpg", " a.jpg "]
)
def test_file_is_found_with_or_without_its_ending_and_folders(root, name):
    assert labels(tree(root, *IMAGES), f"image,label\n{name},x\n") == {"images/a.jpg": "x"}


def test_values_are_text(root):
    tree(root, "007.png", "1.0.png", "NA.png")
    assert labels(root, "id,label\n007,NA\n1.0,01\nNA,None\n") == {"007.png": "NA", "1.0.png": "01", "NA.png": "None"}


def test_tsv_parquet_and_a_byte_order_mark_are_read(root):
    tree(root, *IMAGES)
    assert labels(root, "\ufeffimage\tlabel\na\tx, y\n", "labels.tsv") == {"images/a.jpg": "x, y"}
    pd.DataFrame({"image": ["a", "b"], "label": [1, 2]}).to_parquet(root / "labels.parquet")
    found = labelled_files(root, root / "labels.parquet", DataOptions())
    assert [file.class_name for file in found.parts["train"]] == ["1", "2"]


def test_options_name_the_columns(root):
    tree(root, *IMAGES)
    text = "image,id_code,label,diagnosis,fold\nx,a,1,sick,valid\ny,b,1,well,train\n"
    columns = {"image_column": "id_code", "label_column": "diagnosis", "split_column": "fold"}
    (root / "t.csv").write_text(text)
    found = labelled_files(root, root / "t.csv", DataOptions(**columns))
    assert {part: [file.class_name for file in files] for part, files in found.parts.items()} == {
        "train": ["well"], "val": ["sick"], "test": [],
    }  # fmt: skip
    assert found.has_parts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,label\na,x\n", r"the image column must be known, got only picture, label .*--image-column"),
        ("image,kind\na,x\n", r"the label column must be known, got only image, kind .*--label-column"),
        ("image,path,label\na,a,x\n", r"the image column must be known, got image, path .*--image-column"),
        ("image,label,split\na,x,7\n", r"column split must say train, val or test in each row, got 7 "),
        ("image,label\na,x\na,y\n", r"one label and one part, got x and y for images/a.jpg .*several labels"),
        ("image,label,split\na,x,train\na,x,test\n", r"one label and one part, got train and test for images/a.jpg"),
    ],
)
def test_what_cannot_be_known_is_refused_with_the_option(root, text, message):
    with pytest.raises(UsageError, match=message):
        labels(tree(root, *IMAGES), text)


def test_name_of_two_files_is_refused_unless_the_folder_is_given(root):
    tree(root, "images/a.png", "masks/a.png")
    with pytest.raises(UsageError, match=r"one file, got a for images/a.png and masks/a.png .*folder before the name"):
        labels(root, "image,label\na,x\n")
    assert labels(root, "image,label\nmasks/a,x\n") == {"masks/a.png": "x"}


def test_rows_without_a_label_or_a_file_are_counted_and_left_out_only_if_asked_for(root):
    text = "image,label\na,x\nb,\n,y\ngone,y\nlost,y\nc,y\n"
    with pytest.raises(
        SweeperError,
        match=r"1 without a label \(b\); 1 without a file name \(row 3\); 2 without a file \(gone, lost\) .*--skip-bad",
    ):
        labels(tree(root, *IMAGES), text)
    (root / "labels.csv").write_text(text)
    found = labelled_files(root, root / "labels.csv", DataOptions(skip_bad=True))
    assert [file.name for file in found.parts["train"]] == ["images/a.jpg", "images/c.png"]
    assert found.left_out.startswith("1 without a label (b); ")


def test_line_with_too_many_columns_is_refused_or_counted(root):
    text = "image,label\na,x\nb,y,z\n"
    with pytest.raises(SweeperError, match=r"a table of labels must be readable, got: .*line 3"):
        labels(tree(root, *IMAGES), text)
    assert labels(root, text, skip_bad=True) == {"images/a.jpg": "x"}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"PAR1"])
@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv", "labels.parquet"])
def test_file_that_is_no_table_is_one_line(root, name, content):
    (root / name).write_bytes(content)
    with pytest.raises(
        (SweeperError, UsageError), match=r"^(a table of labels|the image column) must be .*labels"
    ) as error:
        labelled_files(root, root / name, DataOptions())
    assert "\n" not in str(error.value)


def test_label_belongs_to_the_identity_of_a_file(root):
    (root / "t.csv").write_text("image,label\na,x\n")
    (file,) = labelled_files(tree(root, *IMAGES), root / "t.csv", DataOptions()).parts["train"]
    assert file.identity == "images/a.jpg x"


def test_images_that_no_row_names_are_counted(root):
    (root / "t.csv").write_text("image,label\na,x\n")
    assert labelled_files(tree(root, *IMAGES), root / "t.csv", DataOptions()).n_unnamed == 2


def test_usual_table_is_found(root):
    assert usual_table(tree(root, *IMAGES, "notes.csv")) is None
    assert usual_table(tree(root, "train.csv")) == root / "train.csv"
