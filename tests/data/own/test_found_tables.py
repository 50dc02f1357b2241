import re
import shlex

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.data.own.file_parts import parts_of
from sweeper.errors import UsageError
from sweeper.images.options import DataOptions
from tests.data.pictures import tree, write_folder

TABLE = b"id,breed\n" + b"".join(b"%d,%s\n" % (n, (b"cat", b"dog")[n % 2]) for n in range(40))


def pictures(folder, start=0):
    return {f"{folder}/{n}.png": 1 + n for n in range(start, start + 40)}


@pytest.mark.parametrize(
    ("contents", "option"),
    [
        (pictures("images") | {"labels.csv": TABLE}, "labels.csv"),
        (pictures("my train") | {"my train.csv": TABLE}, "my train.csv"),
        (pictures("train") | pictures("test") | {"train.csv": TABLE, "test.csv": b"id\n1\n"}, "train.csv"),
        (pictures("train") | pictures("test", 90) | {"train/metadata.csv": TABLE, "test/metadata.csv": TABLE[:0]}, ""),
    ],
)
def test_command_that_is_printed_reads_the_table(root, contents, option):
    write_folder(root, contents)
    if not option:
        (root / "test/metadata.csv").write_text("id,breed\n90,cat\n91,dog\n")
    with pytest.raises(UsageError, match=r"holds the labels: `sweeper data info ") as refused:
        parts_of(root, DataOptions())
    _, *words = shlex.split(re.search("`(.*)`", str(refused.value))[1])
    assert words[-1] == (str(root / option) if option else "metadata.csv")
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "2 classes" in done.output


def test_columns_that_are_not_known_are_told_with_the_command(root):
    write_folder(root, pictures("images") | {"labels.csv": b"id,kind,tone\n1,x,y\n"})
    with pytest.raises(
        UsageError,
        match=r"`sweeper data info .* --labels .*`, with its columns: the label column",
    ):
        parts_of(root, DataOptions())


def test_table_that_gives_other_classes_than_the_folders_is_refused_with_both_readings(root):
    write_folder(root, pictures("part_1") | pictures("part_2", 100) | {"labels.csv": TABLE})
    with pytest.raises(UsageError, match=r"--depth 1 takes the folders, --labels .*labels.csv the table"):
        parts_of(root, DataOptions())
    assert parts_of(root, DataOptions(depth=1)).classes == ("part_1", "part_2")
    assert parts_of(root, DataOptions(labels="labels.csv")).classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("columns", "row", "options"),
    [
        ("lesion,image_id,dx,sex", "{0},{0},{1},{2}", {"label_column": "dx"}),
        (
            "Image Index,Finding Labels,Follow-up #",
            "{0}.png,{1},0",
            {"image_column": "Image Index", "label_column": "Finding Labels"},
        ),
        ("image,image_id,dx", "{0}.png,{0},{1}", {"image_column": "image", "label_column": "dx"}),
        ("image,mel,nv,hair", "{0},{2},{3},1", {"label_column": "mel"}),
    ],
)
def test_table_whose_labels_have_a_name_of_their_own_is_asked_about_with_the_options_to_type(
    root, columns, row, options
):
    lines = [row.format(n, ("cat", "dog")[n % 2], n % 2, n % 3 // 2) for n in range(70)]
    write_folder(root, pictures("part_1") | pictures("part_2", 40))
    (root / "info.csv").write_text("\n".join([columns, *lines]))
    with pytest.raises(UsageError, match=r"--depth 1 takes the folders, --labels .*info.csv .* the table") as refused:
        parts_of(root, DataOptions())
    for option, value in options.items():
        assert f"--{option.replace('_', '-')} {shlex.quote(value)}" in str(refused.value)
    assert parts_of(root, DataOptions(depth=1)).classes == ("part_1", "part_2")
    assert len(parts_of(root, DataOptions(labels="info.csv", skip_bad=True, **options)).classes) == 2


@pytest.mark.parametrize("row", ["{0},{1},{2},9", "{0},{1},{1},3"])
def test_table_with_a_column_that_agrees_with_the_folders_hinders_nothing(root, row):
    write_folder(root, pictures("cat") | pictures("dog", 40))
    lines = [row.format(n, ("c", "d")[n // 40], ("x", "y")[n % 2]) for n in range(80)]
    (root / "info.csv").write_text("\n".join(["image,animal,seen by,legs", *lines]))
    assert parts_of(root, DataOptions()).classes == ("cat", "dog")


@pytest.mark.parametrize("row", ["{0},{1},{1}", "{0}.jpg,{1},9"])
def test_table_of_sizes_or_of_other_images_hinders_nothing(root, row):
    write_folder(root, pictures("cat") | pictures("dog", 40))
    lines = [row.format(n + 900 * (".jpg" in row), 8 + n % 2) for n in range(80)]
    (root / "info.csv").write_text("\n".join(["image,width,height", *lines]))
    assert parts_of(root, DataOptions()).classes == ("cat", "dog")


def test_table_that_agrees_with_the_folders_or_speaks_of_something_else_hinders_nothing(root):
    tree(root, "cat/1.png", "cat/2.png", "dog/3.png")
    for text in ("id,label\n1,0\n2,0\n3,1\n", "id,age\n1,7\n2,8\n", "nothing", "id,label\n9,0\n"):
        (root / "labels.csv").write_text(text)
        assert parts_of(root, DataOptions()).classes == ("cat", "dog")
