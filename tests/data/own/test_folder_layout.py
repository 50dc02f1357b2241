"""How folders are understood, by their names alone: the files in them are empty."""

import unicodedata

import pytest

from sweeper.data.own.folder_layout import layout_of
from sweeper.errors import UsageError
from sweeper.images.options import DataOptions
from tests.data.pictures import tree

CATS_AND_DOGS = ("cat/1.png", "dog/1.png")


def within(*folders, files=CATS_AND_DOGS):
    return [f"{folder}/{name}" for folder in folders for name in files]


def read(root, **options):
    """The folders of train, val and test, as paths from `root`, and the classes."""
    layout = layout_of(root, DataOptions(**options))
    parts = [part and part.folder.relative_to(root).as_posix() for part in (layout.train, layout.val, layout.test)]
    return (*parts, layout.classes)


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("train", "valid", "test"),
        ("Train", "Valid", "Test"),
        ("Training", None, "Testing"),
        ("training_set", "dev_set", "test_set"),
        ("train_images", "validation_images", "eval_images"),
        ("seg-train", None, "seg-holdout"),
        ("My Training Data", "my validation data", "My Evaluation Data"),
        ("train.v2", None, None),
        ("TRAIN", "DEV", None),
    ],
)
def test_folder_is_the_part_that_a_word_of_its_name_says(root, train, val, test):
    tree(root, *within(*filter(None, (train, val, test))))
    assert read(root) == (train, val, test, ("cat", "dog"))


@pytest.mark.parametrize("name", ["constraint", "strain", "latest", "devil", "valley", "contest", "trains"])
def test_word_within_another_word_says_nothing(root, name):
    assert read(tree(root, *CATS_AND_DOGS, f"{name}/1.png")) == (
        ".",
        None,
        None,
        tuple(sorted(["cat", "dog", name])),
    )


@pytest.mark.parametrize(
    "name",
    ["@eaDir", "#recycle", "@Recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", ".Trash-1000"],
)
def test_folders_that_systems_make_are_neither_classes_nor_hold_images(root, name):
    tree(root, *CATS_AND_DOGS, f"{name}/1.png", f"cat/{name}/1.png/thumb.jpg", f"{name}/cat/2.png")
    layout = layout_of(root, DataOptions())
    assert layout.classes == ("cat", "dog")
    assert [path.name for path in layout.train.files("cat")] == ["1.png"]


def test_class_whose_name_is_a_word_for_waste_stays_one(root):
    assert read(tree(root, "recycled/1.png", "recycle/1.png", "trash/1.png"))[3] == ("recycle", "recycled", "trash")


@pytest.mark.parametrize("outer", [("fold1", "fold2", "fold3"), ("Trainingsdaten", "Testdaten"), ("my photos", "web")])
def test_folders_of_the_same_classes_may_be_parts_or_pieces_of_one_and_both_are_offered(root, outer):
    tree(root, *within(*outer))
    first, *_, last = sorted(outer)
    with pytest.raises(
        UsageError, match=r"--depth 1\) or .* or cat, dog: --train-dir FOLDER --test-dir FOL"
    ) as refused:
        read(root)
    assert f'--depth 2 --map FILE with lines like "cat" = ["{first}/cat", "{last}/cat"]' in str(refused.value)
    assert read(root, train_dir=first, test_dir=last) == (first, None, last, ("cat", "dog"))


def test_folder_that_holds_nothing_but_another_is_entered(root):
    tree(root, *within("archive/pets/train/images", "archive/pets/test"), "README.md", "archive/LICENSE")
    assert read(root)[:3] == ("archive/pets/train/images", None, "archive/pets/test")


def test_part_that_holds_its_own_name_again_is_entered(root):
    tree(root, *within("seg_train/seg_train", "seg_test/seg_test"))
    assert read(root)[:3] == ("seg_train/seg_train", None, "seg_test/seg_test")


def test_single_part_is_not_entered_as_if_it_were_all(root):
    layout = layout_of(tree(root, *within("train")), DataOptions())
    assert (layout.train.folder, layout.is_single) == (root / "train", False)


def test_what_systems_and_tools_leave_behind_is_passed_over(root):
    litter = [".DS_Store", "Thumbs.db", "desktop.ini", "__init__.py", "labels.csv", "notes.txt", "1.xml", "1.json"]
    tree(
        root,
        *CATS_AND_DOGS,
        *(f"cat/{name}" for name in litter),
        "__MACOSX/cat/._1.png",
        ".ipynb_checkpoints/1.png",
        "cat/.ipynb_checkpoints/1.png",
        "checkpoints/",
    )
    layout = layout_of(root, DataOptions())
    assert layout.classes == ("cat", "dog")
    assert list(layout.train.files("cat")) == [root / "cat/1.png"]


def test_folders_beside_the_parts_are_ignored_and_named(root):
    layout = layout_of(tree(root, *within("train"), "docs/1.png", "masks/cat/1.png"), DataOptions())
    assert layout.ignored == ("docs", "masks")


def test_options_name_the_parts_where_names_do_not(root):
    tree(root, *within("a", "b/c", "val", "test"))
    assert read(root, train_dir="a", val_dir="b/c") == ("a", "b/c", "test", ("cat", "dog"))


@pytest.mark.parametrize("name", ["nowhere", "..", ".", "/etc", "cat.txt"])
def test_option_must_name_a_folder_of_the_data(root, name):
    with pytest.raises(UsageError, match="--test-dir must name a folder in"):
        read(tree(root, *within("train"), "cat.txt"), test_dir=name)


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_two_folders_for_one_part_are_refused_with_both(root, part):
    tree(root, *within("train", f"{part}_a", f"{part}_b"))
    with pytest.raises(
        UsageError, match=rf"one folder must hold the {part} part, got .*{part}_a and {part}_b.*--{part}-dir"
    ):
        read(root)
    assert f"{part}_b" in read(root, **{"train_dir": "train", f"{part}_dir": f"{part}_b"})


@pytest.mark.parametrize("beside", [[], ["notes/1.txt"]])
def test_parts_without_training_images_are_refused(root, beside):
    with pytest.raises(UsageError, match=r"a folder of training images beside valid, test, got none .*--train-dir"):
        read(tree(root, *within("test", "valid"), *beside))


def test_class_that_is_named_like_a_part_is_refused_with_both_readings(root):
    tree(root, *(f"{name}/1.png" for name in ("bus", "train", "ship")))
    with pytest.raises(
        UsageError, match=r"train may be a class or the train part .*--classes bus,ship,train .*--train-dir train"
    ):
        read(root)
    assert read(root, classes=("bus", "ship", "train")) == (".", None, None, ("bus", "ship", "train"))


def test_unlabelled_test_images_among_the_classes_are_refused_with_both_readings(root):
    tree(root, *CATS_AND_DOGS, "test/1.png")
    with pytest.raises(UsageError, match=r"test may be a class or the test part .*--classes cat,dog leaves it out"):
        read(root)
    assert read(root, classes=("cat", "dog"))[3] == ("cat", "dog", "test")  # of which the options choose two


def test_class_of_a_part_may_be_named_like_a_part(root):
    tree(root, *within("train", "test", files=("bus/1.png", "train/1.png")))
    assert read(root) == ("train", None, "test", ("bus", "train"))
    assert read(root, classes=("bus", "train"))[0] == "train"


def test_classes_that_may_be_nested_are_refused_with_both_readings(root):
    tree(root, *(f"{name}/1.png" for name in ("apple/scab", "apple/healthy", "corn/rust")))
    with pytest.raises(
        UsageError, match=r"apple, corn \(--depth 1\) or apple/healthy, apple/scab, corn/rust \(--depth 2\)"
    ):
        read(root)
    assert read(root, depth=1)[3] == ("apple", "corn")
    assert read(root, depth=2)[3] == ("apple/healthy", "apple/scab", "corn/rust")


def test_images_beside_masks_can_be_chosen(root):
    tree(root, *within("COVID", "Normal", files=("images/1.png", "masks/1.png")))
    with pytest.raises(
        UsageError, match=r"COVID/images,Normal/images \(--depth 2 --classes\): give one of the options"
    ):
        read(root)
    assert read(root, depth=2)[3] == ("COVID/images", "COVID/masks", "Normal/images", "Normal/masks")


@pytest.mark.parametrize(
    "files",
    [
        within("cat", "dog", files=["images/1.png"]),  # the same folder in each: it says nothing
        ["cat/2019/1.png", "cat/2020/1.png", "dog/1.png"],  # some lie directly in their class
        ["cat/1.png", "cat/old/1.png", "dog/old/1.png", "dog/1.png"],
    ],
)
def test_folders_within_a_class_belong_to_it(root, files):
    assert read(tree(root, *files))[3] == ("cat", "dog")


def test_parts_within_other_folders_are_refused_with_the_place(root):
    tree(root, "images/train/1.jpg", "images/val/1.jpg", "labels/train/1.txt", "labels/val/1.txt")
    with pytest.raises(UsageError, match=r"got train, val in images .*give the path"):
        read(root)


def test_class_without_training_images_is_refused_only_if_another_part_has_some(root):
    tree(root, *within("train", "test"), "train/emu/")
    assert read(root)[3] == ("cat", "dog")
    tree(root, "test/emu/1.png")
    with pytest.raises(
        UsageError, match=r"class emu must have training images, got some in .*test and none in .*train"
    ):
        read(root)
    assert read(root, classes=("cat", "dog"))[3] == ("cat", "dog")


def test_class_of_val_that_train_lacks_is_refused(root):
    tree(root, *within("train", "val"), "val/Emu/1.png")
    with pytest.raises(UsageError, match=r"class Emu of .*val must be in .*train too; --classes"):
        read(root)
    assert read(root, classes=("cat", "dog"))[1] == "val"
    tree(root, "train/emu/1.png")
    with pytest.raises(
        UsageError, match=r"Emu differs from emu only by case: lines like \"emu\" = \[\"emu\", \"Emu\"\] .*--map"
    ):
        read(root)


def test_class_of_test_that_train_lacks_hinders_no_search(root):
    assert read(tree(root, *within("train", "test"), "test/emu/1.png"))[2] == "test"


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("10", "2", "1"), ("1", "2", "10")),
        (("10", "02", "2"), ("02", "2", "10")),
        (("10", "2", "one"), ("10", "2", "one")),
        (("-1", "10", "2"), ("-1", "10", "2")),
    ],
)
def test_classes_that_are_numbers_are_sorted_as_numbers(root, names, order):
    assert read(tree(root, *(f"{name}/1.png" for name in names)))[3] == order


def test_names_that_differ_by_case_are_refused_with_both(root):
    with pytest.raises(
        UsageError, match=r"must differ by more than case and spaces, got 'Cat' and 'cat' .*; rename or join"
    ):
        read(tree(root, *CATS_AND_DOGS, "Cat/1.png"))


def test_two_spellings_of_a_name_are_one_class(root):
    composed, decomposed = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    tree(root, f"train/{composed}/1.png", f"train/{decomposed}/2.png", "train/tea/1.png", f"val/{decomposed}/3.png")
    layout = layout_of(root, DataOptions())
    assert layout.classes == (composed, "tea")
    assert sorted(path.name for path in layout.train.files(composed)) == ["1.png", "2.png"]
    assert [path.name for path in layout.val.files(composed)] == ["3.png"]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["cat/1.png"], "only cat"),
        (["1.png", "2.png"], "none and 2 images outside"),
        (["train/1.png", "train/2.png", "test/1.png"], "none and 2 images outside"),
        (["notes.txt"], "none"),
    ],
)
def test_fewer_than_two_classes_are_refused(root, files, found):
    with pytest.raises(UsageError, match=f"at least two folders of classes, got {found}"):
        read(tree(root, *files))


def test_class_whose_name_cannot_be_printed_is_refused(root):
    with pytest.raises(UsageError, match=r"a class must have a printable name, got 'a\\nb' \("):
        read(tree(root, *CATS_AND_DOGS, "a\nb/1.png"))


def test_link_to_a_folder_in_a_class_is_followed_unless_it_leads_back(root):
    tree(root, *CATS_AND_DOGS)
    tree(root.parent / "elsewhere", "2.png", "deep/3.png")
    (root / "cat" / "more").symlink_to(root.parent / "elsewhere")
    (root.parent / "elsewhere" / "deep" / "back").symlink_to(root.parent / "elsewhere")
    found = [path.relative_to(root).as_posix() for path in layout_of(root, DataOptions()).train.files("cat")]
    assert found == ["cat/1.png", "cat/more/2.png", "cat/more/deep/3.png", "cat/more/deep/back"]
    # Through a parent, a class would hold all others, and the test images.
    (root / "dog" / "all").symlink_to(root)
    assert list(layout_of(root, DataOptions()).train.files("dog")) == [root / "dog/1.png", root / "dog/all"]


def test_parts_may_lie_within_the_classes(root):
    tree(root, *within("cat", "dog", files=("train/1.png", "Test/2.png")), "cat/val/3.png")
    found = layout_of(root, DataOptions())
    assert (found.classes, found.is_single) == (("cat", "dog"), False)
    cats = [list(part.files("cat")) for part in (found.train, found.val, found.test)]
    assert cats == [[root / "cat/train/1.png"], [root / "cat/val/3.png"], [root / "cat/Test/2.png"]]
    tree(root, "emu/other/1.png")
    with pytest.raises(UsageError, match=r"got Test, train, val in cat .*, or make the same parts in each class"):
        read(root)


def test_validation_images_without_classes_are_refused_or_left_out_with_a_note(root):
    tree(root, *within("train", files=CATS_AND_DOGS), "val/1.png", "val/2.png")
    with pytest.raises(UsageError, match=r"must lie in folders of classes, got 2 without .*--resplit leaves them out"):
        read(root)
    (note,) = layout_of(root, DataOptions(resplit=True)).notes
    assert note.startswith("ignored 2 images that are in no folder of a class (")


def test_images_beside_the_classes_are_told(root):
    assert (
        layout_of(tree(root, *CATS_AND_DOGS, "1.png", "x.txt"), DataOptions())
        .notes[0]
        .startswith("ignored 1 image that is")
    )


def test_names_that_differ_by_spaces_are_refused_unless_a_map_joins_them(root):
    tree(root, *CATS_AND_DOGS, "cat /1.png")
    with pytest.raises(UsageError, match=r"got 'cat' and 'cat ' .*--map"):
        read(root)
    options = {"map": (("cat", ("cat", "cat ")), ("dog", ("dog",)))}
    assert read(root, **options)[3] == ("cat", "cat ", "dog")


def test_folders_named_like_coco_and_in_one_word_are_parts(root):
    tree(root, *within("train2017", "testSet", files=CATS_AND_DOGS))
    assert read(root)[:3] == ("train2017", None, "testSet")
