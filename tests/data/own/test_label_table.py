"""Tables of labels; the images are empty files."""

from pathlib import Path

import pandas as pd
import pytest

from sweeper.data.own.label_table import labelled_files, path_of_table
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
        ("picture,label\nz,x\n", r"the image column must be known, got picture, label .*--image-column"),
        ("image,kind,tone\na,x,y\n", r"the label column must be known, got image, kind, tone .*--label-column"),
        ("image,path,label\na,a,x\n", r"the image column must be known, got image, path .*--image-column"),
        (
            "image,label,split\na,x,7\n",
            r"column split must say train, val or test in each row, got 7 .*; write one of these there, or",
        ),
        ("image,label,split\na,x,\n", r"column split must say .*, got '' .*; write one of these there, or"),
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


@pytest.mark.parametrize("rows", ["0,x\n7,y\n", "0.0,x\n007,y\n12,x\n", "7,x\n0007,y\n"])
def test_names_that_lost_their_zeros_are_told_with_a_file_and_not_left_out(root, rows):
    tree(root, "images/0000.png", "images/0007.png", "images/0012.png")
    with pytest.raises(SweeperError, match=r"may have taken zeros from the names, as [07.]+ may be images/000[07].png"):
        labels(root, f"id,label\n{rows}")


@pytest.mark.parametrize("rows", ["gone,x\nlost,y\n", "a,x\nb,x\ngone,y\n"])
def test_leaving_out_rows_is_not_offered_if_no_two_classes_are_left(root, rows):
    with pytest.raises(SweeperError, match=r"without a file \((gone|gone, lost)\) .*; --image-column and --label-co"):
        labels(tree(root, *IMAGES), f"image,label\n{rows}")


def test_numbers_that_nearly_all_differ_are_no_classes_unless_options_choose(root):
    tree(root, *(f"{n}.png" for n in range(24)))
    for value in ("{0}.{0}", "{0}", "-{0},5", "1e{0}"):
        text = "image;age\n" + "".join(f"{n};{value.format(n % 20)}\n" for n in range(24))
        with pytest.raises(UsageError, match="regression data are not supported, got 20 different numbers in 24 rows"):
            labels(root, text, label_column="age")
        assert len(labels(root, text, label_column="age", min_per_class=2)) == 24
    assert len(labels(root, "image,age\n" + "".join(f"{n},{n % 10}\n" for n in range(12)), label_column="age")) == 12
    assert len(labels(root, "image,age\n" + "".join(f"{n},n{n}\n" for n in range(24)), label_column="age")) == 24


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


def parts(root, table, **options):
    """The names of the files and their classes by part."""
    found = labelled_files(root, root / table, DataOptions(**options))
    return {part: {file.name: file.class_name for file in files} for part, files in found.parts.items()}, found


def test_tables_in_the_folders_of_parts_are_read_together(root):
    tree(root, "train/1.png", "train/2.png", "valid/1.png", "test/1.png", "notes/1.png")
    for folder, text in (("train", "1,x\n2,y\n"), ("valid", "1,y\n"), ("test", "1,x\n")):
        (root / folder / "metadata.csv").write_text(f"file_name,label\n{text}")
    by_part, found = parts(root, "metadata.csv")
    assert by_part == {
        "train": {"train/1.png": "x", "train/2.png": "y"}, "val": {"valid/1.png": "y"}, "test": {"test/1.png": "x"},
    }  # fmt: skip
    assert (found.has_parts, found.n_unnamed) == (True, 1)
    assert path_of_table(str(root), Path("metadata.csv")) == "metadata.csv"
    with pytest.raises(UsageError, match=r"--labels must be a file that exists, got labels.csv"):
        path_of_table(str(root), Path("labels.csv"))


def test_parts_are_those_of_the_folders_if_the_table_says_none(root):
    tree(root, "train/1.png", "train/2.png", "test/3.png")
    (root / "t.csv").write_text("id,label\n1,x\n2,y\n3,x\n")
    by_part, found = parts(root, "t.csv")
    assert (by_part["test"], found.has_parts) == ({"test/3.png": "x"}, True)
    (root / "t.csv").write_text("id,label\n1,x\n2,y\n")
    assert not parts(root, "t.csv")[1].has_parts


@pytest.mark.parametrize("text", ["id,label,split\n1,x,train\n2,y,train\n3,,test\n9,x,test\n"])
def test_test_rows_without_labels_or_files_hinder_no_search(root, text):
    tree(root, "1.png", "2.png", "3.png")
    (root / "t.csv").write_text(text)
    by_part, found = parts(root, "t.csv")
    assert (by_part["train"], by_part["test"], found.n_unnamed) == ({"1.png": "x", "2.png": "y"}, {}, 0)
    assert "every row of the test part must have a label and a file: 1 without a label (3)" in found.unusable
    skipped = parts(root, "t.csv", skip_bad=True)[1]
    assert (skipped.unusable, skipped.left_out) == (
        "", "of the test part, 1 without a label (3); 1 without a file (9)"
    )  # fmt: skip


def test_unlabelled_files_of_a_test_folder_hinder_no_search(root):
    tree(root, "train/1.png", "train/2.png", "test/3.png")
    (root / "t.csv").write_text("id,label\n1,x\n2,y\n3,\n")
    assert "1 without a label (3)" in parts(root, "t.csv")[1].unusable


def test_several_boxes_of_an_image_are_detection_data(root):
    (root / "t.csv").write_text("image,class,xmin,ymin,xmax,ymax\na,x,0,0,9,9\na,x,0,0,5,5\n")
    with pytest.raises(UsageError, match=r"detection data are not supported, got several boxes for images/a.jpg"):
        parts(tree(root, *IMAGES), "t.csv")


def test_lists_of_labels_are_multi_label_unless_options_name_classes(root):
    (root / "t.csv").write_text("image,label\na,x\nb,y\nc,x|y\n")
    with pytest.raises(UsageError, match=r"multi-label data are not supported, got x\|y beside x and y"):
        parts(tree(root, *IMAGES), "t.csv")
    assert parts(root, "t.csv", classes=("x", "y"))[0]["train"]["images/c.png"] == "x|y"
    (root / "t.csv").write_text("image,label\na,x\nb,y\nc,x|z\n")
    assert parts(root, "t.csv")[0]["train"]["images/c.png"] == "x|z"


def test_two_spellings_of_a_label_are_one_class(root):
    (root / "t.csv").write_text("image,label\na,\u00e9\nb,e\u0301\n")
    assert set(parts(tree(root, *IMAGES), "t.csv")[0]["train"].values()) == {"\u00e9"}


@pytest.mark.parametrize("label", ["a\nError: run `rm -rf ~`", "\x1b[31mred\x07", "a\u202eb", "a\u2028b"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_label_that_could_pass_for_another_line_is_refused(root, label, ending):
    table = pd.DataFrame({"image": ["a", "b"], "label": [label, "x"]})
    getattr(table, f"to_{ending}")(tree(root, *IMAGES) / f"t.{ending}", index=False)
    with pytest.raises(UsageError, match=r"a class must have a printable name, got '.* for images/a.jpg") as refused:
        labelled_files(root, root / f"t.{ending}", DataOptions())
    assert str(refused.value).isprintable()
