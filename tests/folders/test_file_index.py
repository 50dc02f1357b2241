import pytest

from sweeper.folders.file_index import FileIndex
from tests.data.pictures import tree
from tests.hostile import within


@pytest.mark.parametrize(
    "name",
    [
        *("a.jpg", "a", "images/a.jpg", "./images/a", "images\\a.jpg", "pets/images/a.jpg"),
        *("C:\\data\\pets\\images\\a.jpg", "/kaggle/input/images/a.jpg", "A.JPG", "Images/A"),
    ],
)
def test_file_is_found_however_a_table_writes_it(root, name):
    assert FileIndex(tree(root, "images/a.jpg", "images/b.jpg")).named(name) == ["images/a.jpg"]


def test_name_in_another_folder_is_no_file(root):
    index = FileIndex(tree(root, "images/a.jpg"))
    assert index.named("other/a.jpg") == index.named("b.jpg") == index.named("") == []


def test_name_of_very_many_folders_is_looked_up_at_once(root):
    index = FileIndex(tree(root, "images/a.jpg"))
    with within(20):
        assert index.named("/b" * 100_000) == []
        assert index.named("/b" * 100_000 + "/images/a.jpg") == ["images/a.jpg"]


def test_of_several_files_the_nearest_to_the_table_is_meant(root):
    index = FileIndex(tree(root, "train/a.jpg", "test/a.jpg"))
    both = index.named("a.jpg")
    assert sorted(both) == ["test/a.jpg", "train/a.jpg"]
    assert index.nearest("a.jpg", root / "labels.csv") == both
    assert (
        index.nearest("a.jpg", root / "train.csv") == index.nearest("a", root / "train/labels.csv") == ["train/a.jpg"]
    )
