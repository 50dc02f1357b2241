from pathlib import Path

import pandas as pd
import pytest

from sweeper.errors import UsageError
from sweeper.folders.cells import OtherValue
from sweeper.folders.table_columns import class_in, columns_of
from sweeper.images.options import DataOptions

TABLE = Path("t.csv")


def columns(heads, *rows, **options):
    """The image column, the label columns and the split column; a value that ends with .png names a file."""
    table = pd.DataFrame([row.split(",") for row in rows], columns=heads.split(","))
    found = columns_of(table, DataOptions(**options), TABLE, lambda name: name.endswith(".png"))
    return found.image, list(found.labels), found.split


@pytest.mark.parametrize(
    ("heads", "rows", "found"),
    [
        (" Image-ID , LABEL ", ["a.png,x"], (" Image-ID ", [" LABEL "], None)),
        ("breed,id", ["x,a.png"], ("id", ["breed"], None)),
        ("picture,kind", ["a.png,x", "b.png,y"], ("picture", ["kind"], None)),
        ("Unnamed: 0,img,dx", ["0,a.png,x"], ("img", ["dx"], None)),
        ("filepaths,labels,data set", ["a.png,x,train", "b.png,y,test"], ("filepaths", ["labels"], "data set")),
        ("file,label,Usage", ["a.png,x,Training", "b.png,y,PublicTest"], ("file", ["label"], "Usage")),
        ("file,label,set", ["a.png,x,A", "b.png,y,B"], ("file", ["label"], None)),
        ("image,MEL,NV", ["a.png,1.0,0.0", "b.png,0.0,1.0"], ("image", ["MEL", "NV"], None)),
        ("image,label,class_name", ["a.png,0,x"], ("image", ["label"], None)),  # as before there were more names
    ],
)
def test_columns_are_found_by_their_names_and_content(heads, rows, found):
    assert columns(heads, *rows) == found


@pytest.mark.parametrize(
    ("heads", "rows", "message"),
    [
        ("a.png,x", ["b.png,y"], "a table must begin with a row of column names, got a.png, x"),
        (
            "one,two,label",
            ["a.png,b.png,x"],
            r"image column must be known, got one, two, label .*--image-column",
        ),
        ("image,position", ["a.png,1", "b.png,2"], "the label column must be known, got image, position"),
        ("image,labels,class_id", ["a.png,x,1"], "the label column must be known, got labels, class_id"),
        (",".join(["label", *(f"pixel{n}" for n in range(64))]), ["1" + ",0" * 64], "got one of pixels, in 65 columns"),
        (",".join(map(str, range(65))), ["1" + ",0" * 64], "got one of pixels.*numpy.savez"),
        ("emotion,pixels", ["1," + "0 " * 64], "got one of pixels"),
    ],
)
def test_unknown_columns_and_other_tables_are_refused(heads, rows, message):
    with pytest.raises(UsageError, match=message):
        columns(heads, *rows)


def test_many_classes_of_ones_and_zeros_are_no_pixels():
    names = [f"breed{n}" for n in range(120)]
    rows = [",".join([f"{n}.png", *("01"[n == place] for place in range(120))]) for n in range(120)]
    assert columns(",".join(["id", *names]), *rows) == ("id", names, None)


def test_row_of_several_ones_is_multi_label():
    table = pd.DataFrame([["a.png", "1", "1"], ["b.png", "0", "1"], ["c.png", "0", "0"]], columns=["image", "x", "y"])
    found = columns_of(table, DataOptions(), TABLE, lambda name: True)
    rows = table.to_dict("records")
    assert [class_in(row, found, TABLE) for row in rows[1:]] == ["y", ""]
    with pytest.raises(UsageError, match=r"multi-label data are not supported, got x, y for a.png .*--label-column"):
        class_in(rows[0], found, TABLE)


@pytest.mark.parametrize("name", ["image", "label", "split"])
def test_column_of_lists_is_refused_with_the_option_if_it_is_needed(name):
    cells = {"image": "a.png", "label": "x", "split": "train"} | {name: OtherValue("a list")}
    message = rf"column {name} must hold text, numbers or booleans, got a list \(t.csv\); --{name}-column names another"
    with pytest.raises(UsageError, match=message):
        columns_of(pd.DataFrame([cells]), DataOptions(), TABLE, lambda name: name.endswith(".png"))


def test_columns_of_lists_that_nothing_needs_hinder_nothing():
    lists = {name: OtherValue("a list") for name in ("set", "tags", "boxes")}
    table = pd.DataFrame([{"image": "a.png", "label": "x"} | lists])
    assert columns_of(table, DataOptions(), TABLE, lambda name: False).labels == ["label"]
