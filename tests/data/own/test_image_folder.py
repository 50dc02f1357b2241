import os
import re

import numpy as np
import pytest
from PIL import Image

from sweeper.data import test_set
from sweeper.data.own.image_folder import training_format
from sweeper.data.source import DataSource
from sweeper.data.test_set import find_test_set, load_test_set
from sweeper.data.training_set import load_training_set
from sweeper.errors import SweeperError, UsageError
from sweeper.images import bounds
from sweeper.images.image_set import PixelFormat, UnusableTestImages
from sweeper.images.options import DataOptions
from tests.data.pictures import encoded, picture, write_folder

FORMAT = PixelFormat((1, 4, 4))
PETS = {"train/dog/1.png": 10, "train/cat/1.png": 20, "train/cat/2.png": 30, "test/cat/1.png": 40}


def many(n_images, classes=("cat", "dog")):
    """A single folder of classes."""
    return {
        f"{name}/{number:03}.png": 1 + number + 100 * label
        for label, name in enumerate(classes)
        for number in range(n_images)
    }


def values(part):
    """The grey value of each image that write_folder wrote."""
    return part.images[:, 0, -1, -1].tolist()


def test_train_folder_is_the_training_set_with_classes_by_name(tmp_path):
    training_set = load_training_set(DataSource(str(write_folder(tmp_path / "pets", PETS))))
    assert (training_set.name, training_set.classes, training_set.source) == (
        "pets",
        ("cat", "dog"),
        str(tmp_path / "pets"),
    )
    assert (training_set.images.dtype, training_set.labels.dtype, training_set.input_shape) == (
        np.uint8,
        np.int64,
        (1, 4, 4),
    )
    assert (values(training_set), training_set.labels.tolist()) == ([20, 30, 10], [0, 0, 1])
    assert training_set.own_validation is None


def test_val_folder_is_the_training_sets_own_validation(tmp_path):
    contents = PETS | {"val/dog/1.png": 50, "val/cat/1.png": 60}
    training_set = load_training_set(DataSource(str(write_folder(tmp_path / "pets", contents))))
    assert values(training_set) == [20, 30, 10, 60, 50]
    assert training_set.own_validation.tolist() == [3, 4]
    assert training_set.labels[training_set.own_validation].tolist() == [0, 1]


def test_own_validation_does_not_count_files_that_are_left_out(tmp_path):
    contents = PETS | {"val/dog/1.png": 50, "val/cat/1.png": b"junk", "train/cat/3.png": b"junk"}
    root = str(write_folder(tmp_path / "pets", contents))
    training_set = load_training_set(DataSource(root, options=DataOptions(skip_bad=True)))
    assert values(training_set) == [20, 30, 10, 50]
    assert training_set.files == ("train/cat/1.png", "train/cat/2.png", "train/dog/1.png", "val/dog/1.png")
    assert training_set.own_validation.tolist() == [3]
    assert load_training_set(DataSource(root, options=DataOptions(("dog", "cat"), skip_bad=True))).labels.tolist() == [
        1,
        1,
        0,
        0,
    ]


def test_folders_beside_the_parts_are_reported(tmp_path, notes):
    root = write_folder(tmp_path / "pets", PETS | {"masks/cat/1.png": 7, "a\nb/1.png": 8, ".git/1": b"", "a": b""})
    assert values(load_training_set(DataSource(str(root)), notify=notes.append)) == [20, 30, 10]
    assert notes == [f"ignored the folders of {root} that are no part of the data: 'a\\nb', masks"]


def test_test_folder_is_the_test_set(tmp_path):
    root = str(write_folder(tmp_path / "pets", PETS))
    test = load_test_set(DataSource(root), pixel_format=FORMAT)
    assert (values(test), test.labels.tolist(), test.classes) == ([40], [0], ("cat", "dog"))
    assert test.files == ("test/cat/1.png",)
    assert (test.name, test.sha256) == ("pets", test_set.test_sha256(DataSource(root)))


def test_test_images_get_the_training_images_channels(tmp_path):
    root = write_folder(tmp_path / "grey", PETS | {"test/cat/2.png": picture((50, 60, 70), mode="RGB")})
    assert load_test_set(DataSource(str(root)), pixel_format=FORMAT).images.shape == (2, 1, 4, 4)
    colour = {"train/dog/1.png": picture((1, 2, 3), mode="RGB"), "train/cat/1.png": 20, "test/cat/1.png": 40}
    root = write_folder(tmp_path / "colour", colour)
    assert load_training_set(DataSource(str(root))).input_shape == (3, 4, 4)
    test = load_test_set(DataSource(str(root)), pixel_format=PixelFormat((3, 4, 4)))
    assert test.images[0, :, -1, -1].tolist() == [40, 40, 40]


def test_test_image_of_another_size_is_refused_unless_resized(tmp_path):
    root = write_folder(tmp_path / "pets", PETS | {"test/cat/2.png": picture(9, (6, 8))})
    with pytest.raises(UnusableTestImages, match=r"^test images must be 4x4 .*, got 8x6 \(1 image\), .*--resize 4"):
        load_test_set(DataSource(str(root)), pixel_format=FORMAT)
    resized = DataSource(str(root), options=DataOptions(resize=2))
    assert load_test_set(resized, pixel_format=PixelFormat((1, 2, 2))).images.shape == (2, 1, 2, 2)


def test_test_images_are_scaled_by_the_range_of_the_training_and_validation_images(tmp_path):
    def deep(value):
        return encoded(Image.fromarray(np.full((4, 4), value, np.uint16)))

    contents = {"train/dog/1.png": deep(0), "train/cat/1.png": deep(300), "val/cat/1.png": deep(1000)}
    root = write_folder(tmp_path / "pets", {**contents, "val/dog/1.png": deep(1), "test/cat/1.png": deep(5000)})
    source = DataSource(str(root))
    training_set = load_training_set(source)
    assert values(training_set) == [75, 0, 249, 0]
    assert training_set.conversions == ("values 0 to 1,023 to 8 bits",)
    test = load_test_set(source, pixel_format=training_set.pixel_format)
    assert values(test) == [255]
    assert test.conversions == ("values 0 to 1,023 to 8 bits, 16 outside clipped",)


@pytest.mark.parametrize("deep", [[300, 400], [-1, 1], [0.5, 1.0]])
def test_deep_test_images_beside_8_bit_training_images_hinder_only_a_test(tmp_path, notes, deep):
    dtype = np.float32 if deep[1] == 1.0 else np.int32 if deep[0] < 0 else np.uint16
    content = encoded(Image.fromarray(np.array([deep * 2] * 4, dtype)), "TIFF")
    source = DataSource(str(write_folder(tmp_path / "pets", PETS | {"test/cat/2.tif": content})))
    training_set = load_training_set(source)
    assert (values(training_set), training_set.conversions) == ([20, 30, 10], ())
    assert find_test_set(source, pixel_format=training_set.pixel_format, notify=notes.append) is None
    told = (
        "test images must have 8 bits a channel like the training images, got more in 1 of 2 files, such as "
        f"test/cat/2.tif ({source.dataset}/test/cat/2.tif); convert them to 8 bits as the training images were"
    )
    assert notes == [told]
    with pytest.raises(UnusableTestImages, match=re.escape(told)):
        load_test_set(source, pixel_format=training_set.pixel_format)


def test_test_images_on_another_scale_than_the_training_images_hinder_only_a_test(tmp_path, notes):
    def deep(value, dtype=np.uint16):
        return encoded(Image.fromarray(np.full((4, 4), value, dtype)), "TIFF")

    contents = {"train/dog/1.tif": deep(1000), "train/cat/1.tif": deep(4000), "test/cat/1.tif": deep(0.9, np.float32)}
    source = DataSource(str(write_folder(tmp_path / "pets", contents)))
    pixel_format = load_training_set(source).pixel_format
    assert find_test_set(source, pixel_format=pixel_format, notify=notes.append) is None
    assert notes[0].startswith(
        "test images must have values from 0 to 4,095 as the training images have, got none above 40.95 ("
    )
    write_folder(tmp_path / "pets", {"test/cat/1.tif": deep(1), "test/dog/1.tif": deep(2000)})
    assert values(load_test_set(source, pixel_format=pixel_format)) == [0, 125]


def test_too_many_test_images_for_the_memory_hinder_only_a_test(tmp_path, notes, monkeypatch):
    source = DataSource(str(write_folder(tmp_path / "pets", PETS)))
    load_training_set(source)
    monkeypatch.setattr(bounds, "available_memory", lambda: 10)
    assert find_test_set(source, pixel_format=FORMAT, notify=notes.append) is None
    assert notes[0].startswith("images must fit into the available memory")


def test_missing_test_part_cannot_be_loaded_or_found(tmp_path):
    contents = {name: grey for name, grey in PETS.items() if not name.startswith("test")}
    root = str(write_folder(tmp_path / "pets", contents))
    with pytest.raises(SweeperError, match=rf"there must be a test part, got none \({root}\)"):
        load_test_set(DataSource(root), pixel_format=FORMAT)
    assert find_test_set(DataSource(root), pixel_format=FORMAT) is None
    assert test_set.test_sha256(DataSource(root)) is None
    write_folder(tmp_path / "pets", {"test/cat/1.png": 40})
    others = DataOptions(("dog", "ox"))
    write_folder(tmp_path / "pets", {"train/ox/1.png": 50})
    with pytest.raises(SweeperError, match=r"must be a test part, got none of the classes asked for \("):
        load_test_set(DataSource(root, options=others), pixel_format=FORMAT)
    assert find_test_set(DataSource(root, options=others), pixel_format=FORMAT) is None
    (tmp_path / "pets" / "test" / "cat" / "1.png").unlink()
    with pytest.raises(SweeperError, match=r"must be a test part, got none \("):
        load_test_set(DataSource(root), pixel_format=FORMAT)


def test_single_folder_has_a_test_part_split_off_and_reported(tmp_path, notes):
    root = str(write_folder(tmp_path / "pets", many(60)))
    training_set = load_training_set(DataSource(root), notify=notes.append)
    test = load_test_set(DataSource(root), pixel_format=FORMAT)
    assert sorted(values(training_set) + values(test)) == sorted(many(60).values())
    assert 8 <= len(test.labels) <= 28  # 18 of 120 on average
    assert set(test.labels.tolist()) == {0, 1}
    assert notes == [
        f"{root} has no train folder: {len(test.labels)} of its 120 files, picked by the hash of their names, are set "
        "aside as the test part"
    ]


def test_files_added_later_move_no_other_file_to_another_part(tmp_path):
    root = write_folder(tmp_path / "pets", many(30))
    training_set, test = (
        load_training_set(DataSource(str(root))),
        load_test_set(DataSource(str(root)), pixel_format=FORMAT),
    )
    write_folder(root, many(60))
    after = load_training_set(DataSource(str(root))), load_test_set(DataSource(str(root)), pixel_format=FORMAT)
    assert set(values(training_set)) < set(values(after[0]))
    assert set(values(test)) < set(values(after[1]))


def test_the_same_files_in_another_folder_are_split_the_same(tmp_path):
    parts = [
        load_test_set(DataSource(str(write_folder(tmp_path / place / "pets", many(30)))), pixel_format=FORMAT)
        for place in ("here", "there")
    ]
    assert values(parts[0]) == values(parts[1])
    assert parts[0].sha256 == parts[1].sha256


def test_the_split_does_not_change_between_versions(tmp_path):
    # Recorded once: images that a study was trained on must never become its test part.
    test = load_test_set(DataSource(str(write_folder(tmp_path / "pets", many(100)))), pixel_format=FORMAT)
    assert values(test) == [
        24,
        41,
        48,
        53,
        56,
        61,
        85,
        90,
        98,
        99,
        103,
        111,
        123,
        142,
        145,
        147,
        150,
        155,
        183,
        186,
        187,
        191,
        194,
    ]


def test_single_folder_too_small_to_split_has_no_test_part(tmp_path):
    root = str(write_folder(tmp_path / "pets", {"cat/1.png": 1, "dog/1.png": 2}))
    assert find_test_set(DataSource(root), pixel_format=FORMAT) is None
    with pytest.raises(SweeperError, match="there must be a test part, got none set aside"):
        load_test_set(DataSource(root), pixel_format=FORMAT)


def test_hash_depends_on_the_training_files_and_not_on_options(tmp_path):
    root = write_folder(tmp_path / "pets", PETS | {"train/ox/1.png": 50})
    sha256, tested = load_training_set(DataSource(str(root))).sha256, test_set.test_sha256(DataSource(str(root)))
    for options in (DataOptions(("dog", "cat")), DataOptions(resize=2), DataOptions(grayscale=True, skip_bad=True)):
        assert load_training_set(DataSource(str(root), options=options)).sha256 == sha256
        assert (
            load_test_set(DataSource(str(root), options=DataOptions(("dog", "cat"))), pixel_format=FORMAT).sha256
            == tested
        )
    write_folder(root, {"test/dog/9.png": 9, "README.md": b"text", "train/cat/.DS_Store": b"junk"})
    assert load_training_set(DataSource(str(root))).sha256 == sha256
    assert test_set.test_sha256(DataSource(str(root))) != tested
    write_folder(root, {"train/dog/9.png": 10})
    assert load_training_set(DataSource(str(root))).sha256 != sha256


def test_moving_an_image_to_another_class_changes_the_hash(tmp_path):
    root = write_folder(tmp_path / "pets", PETS)
    before = load_training_set(DataSource(str(root))).sha256
    (root / "train/cat/2.png").rename(root / "train/dog/2.png")
    assert load_training_set(DataSource(str(root))).sha256 != before


def test_nested_folders_belong_to_their_class_and_hidden_files_to_none(tmp_path):
    contents = {
        "train/cat/deep/er/2.png": 21,
        "train/cat/.3.png": 22,
        "train/.cache/1.png": 23,
        "train/cat/.x/1.png": 9,
    }
    training_set = load_training_set(DataSource(str(write_folder(tmp_path / "pets", PETS | contents))))
    assert (values(training_set), training_set.classes) == ([20, 30, 21, 10], ("cat", "dog"))


def test_folder_that_is_named_like_an_image_is_a_folder(tmp_path):
    root = write_folder(tmp_path / "pets", PETS | {"train/cat/x.png/3.png": 25})
    (root / "train/cat/empty.png").mkdir()
    assert values(load_training_set(DataSource(str(root)))) == [20, 30, 25, 10]


def test_class_folder_may_be_a_link(tmp_path):
    root = write_folder(tmp_path / "pets", PETS)
    elsewhere = (root / "train/dog").rename(tmp_path / "dogs")
    (root / "train/dog").symlink_to(elsewhere)
    assert values(load_training_set(DataSource(str(root)))) == [20, 30, 10]


def test_link_to_a_folder_inside_a_class_is_counted_as_bad(tmp_path):
    root = write_folder(tmp_path / "pets", PETS)
    (root / "train/cat/all").symlink_to(root)
    with pytest.raises(SweeperError, match=r"1 is not \(train/cat/all: no regular file\)"):
        load_training_set(DataSource(str(root)))


def test_unreadable_folder_is_not_taken_for_an_empty_one(tmp_path, monkeypatch):
    root = write_folder(tmp_path / "pets", PETS | {"train/cat/locked/1.png": 7})
    scandir = os.scandir

    def locked(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(SweeperError, match=r"folder must be readable, got: Permission denied \(.*/train/cat/locked\)"):
        load_training_set(DataSource(str(root)))


def test_class_without_an_image_is_refused_before_and_after_bad_files_are_left_out(tmp_path):
    root = write_folder(tmp_path / "pets", PETS)
    (root / "train/dog/1.png").unlink()
    for load in (lambda: load_training_set(DataSource(str(root))), lambda: training_format(root, DataOptions())):
        with pytest.raises(UsageError, match=rf"at least two folders of classes, got only cat \({root}/train\)"):
            load()
    write_folder(root, {"train/dog/1.png": b"junk"})
    with pytest.raises(UsageError, match=r"class dog must hold .* got none .*; add training images$"):
        load_training_set(DataSource(str(root), options=DataOptions(skip_bad=True)))
    write_folder(root, {"train/ox/1.png": 3})
    assert load_training_set(DataSource(str(root), options=DataOptions(("ox", "cat")))).classes == ("ox", "cat")


def test_class_whose_only_image_is_set_aside_is_refused_with_an_option_that_helps(tmp_path):
    root = write_folder(tmp_path / "pets", many(20) | {"eel/1.png": 250})
    with pytest.raises(UsageError, match=r"class eel must .* got none beside the 1 set aside .*--min-per-class 3$"):
        load_training_set(DataSource(str(root)))
    options = DataOptions(min_per_class=3)
    assert load_training_set(DataSource(str(root), options=options)).classes == ("cat", "dog")


def test_class_of_bad_files_only_is_refused_with_the_classes_that_are_left(tmp_path):
    root = write_folder(tmp_path / "pets", PETS | {"train/emu/1.png": 4, "train/dog/1.png": b"junk"})
    with pytest.raises(UsageError, match=r"class dog must .*; add training images, or .* --classes cat,emu$"):
        load_training_set(DataSource(str(root), options=DataOptions(skip_bad=True)))


def test_links_out_of_the_folder_are_told_once_and_followed(tmp_path, notes):
    contents = {f"train/{name}/{n}.png": n for n, name in enumerate(["cat", "dog", "cat", "dog"])}
    root = write_folder(tmp_path / "pets", contents | {"test/cat/7.png": 7, "test/dog/8.png": 8})
    for source, target in (("train/cat", "elsewhere"), ("test/dog", "afar"), ("train/dog/1.png", "1.png")):
        (root / source).rename(tmp_path / target)
        (root / source).symlink_to(tmp_path / target)
    (root / "train/dog/inside.png").symlink_to(root / "train/dog/3.png")
    training_set = load_training_set(DataSource(str(root)), notify=notes.append)
    load_test_set(DataSource(str(root)), pixel_format=FORMAT, notify=notes.append)
    assert training_set.classes == ("cat", "dog")
    assert notes == [
        f"images are also read outside of {root}, where links lead: {root}/train/cat -> {tmp_path}/elsewhere; "
        f"{root}/train/dog/1.png -> {tmp_path}/1.png",
        f"images are also read outside of {root}, where links lead: {root}/test/dog -> {tmp_path}/afar",
    ]


def test_folder_that_is_reached_by_a_link_has_no_links_out_of_it(tmp_path, notes):
    write_folder(tmp_path / "pets", {"train/cat/1.png": 1, "train/dog/2.png": 2})
    (tmp_path / "link").symlink_to(tmp_path / "pets")
    load_training_set(DataSource(str(tmp_path / "link")), notify=notes.append)
    assert notes == []


def test_own_validation_that_is_cut_anew_joins_the_training_images(tmp_path):
    root = str(write_folder(tmp_path / "pets", PETS | {"valid/dog/1.png": 50, "valid/cat/1.png": 60}))
    assert load_training_set(DataSource(root)).own_validation.tolist() == [3, 4]
    joined = load_training_set(DataSource(root, options=DataOptions(resplit=True)))
    assert (values(joined), joined.own_validation) == ([20, 30, 10, 60, 50], None)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ({"test/1.png": 40}, r"test images must lie in folders of classes, got 1 without \(.*/test\)"),
        (
            {"test/cat/1.png": 40, "test/emu/1.png": 50},
            r"test images must be of classes that have training images, got emu \(.*/test\); --classes",
        ),
    ],
)
def test_test_images_that_cannot_be_tested_on_hinder_nothing_else(tmp_path, notes, contents, reason):
    training = {name: value for name, value in PETS.items() if name.startswith("train")}
    source = DataSource(str(write_folder(tmp_path / "pets", training | contents)))
    assert values(load_training_set(source)) == [20, 30, 10]
    assert find_test_set(source, pixel_format=FORMAT, notify=notes.append) is None
    assert re.match(reason, notes[0])
    for refused in (test_set.test_sha256, lambda source: load_test_set(source, pixel_format=FORMAT)):
        with pytest.raises(SweeperError, match=reason):
            refused(source)


def test_table_of_labels_makes_the_classes_and_belongs_to_the_hash(tmp_path, notes):
    contents = {f"images/{number}.png": number for number in range(1, 41)} | {"images/other.png": 99}
    root = write_folder(tmp_path / "pets", contents)
    rows = "".join(f"{number},{'cat' if number <= 20 else 'dog'}\n" for number in range(1, 41))
    (root / "labels.csv").write_text("id,label\n" + rows)
    source = DataSource(str(root), DataOptions(labels="labels.csv"))
    training_set = load_training_set(source, notify=notes.append)
    test = load_test_set(source, pixel_format=FORMAT)
    assert (training_set.classes, test.classes) == (("cat", "dog"), ("cat", "dog"))
    assert sorted(values(training_set) + values(test)) == list(range(1, 41))
    assert all(label == (value > 20) for value, label in zip(values(training_set), training_set.labels, strict=True))
    assert notes[0] == f"ignored 1 image that {root}/labels.csv does not name ({root})"
    assert re.match(rf"{root}/labels.csv has no column of parts: {len(test.labels)} of its 40 files", notes[1])
    swapped = rows.replace("cat", "ape").replace("dog", "cat")
    (root / "labels.csv").write_text("id,label\n" + swapped)
    assert load_training_set(source).sha256 != training_set.sha256


def test_table_that_has_two_words_for_one_part_is_told_to_join_them(tmp_path, notes):
    root = write_folder(tmp_path / "faces", {f"{number}.png": number for number in range(1, 9)})
    parts = ["Training", "Training", "PublicTest", "PrivateTest", "training", "Training", "PublicTest", "PrivateTest"]
    rows = "".join(f"{number},{number % 2},{part}\n" for number, part in enumerate(parts, start=1))
    (root / "labels.csv").write_text("id,emotion,Usage\n" + rows)
    source = DataSource(str(root), DataOptions(labels="labels.csv", label_column="emotion"))
    load_training_set(source, notify=notes.append)
    (note,) = notes
    assert note.startswith(
        f"PrivateTest and PublicTest are one test part ({root}/labels.csv); write train, val or test "
    )
    assert values(load_test_set(source, pixel_format=FORMAT)) == [3, 4, 7, 8]


def test_table_with_a_column_of_parts_makes_the_parts(tmp_path):
    contents = {f"{number}.png": number for number in range(1, 7)}
    root = write_folder(tmp_path / "pets", contents)
    parts = ["train", "train", "Validation", "test", "val", "training"]
    rows = "".join(f"{number},{'xy'[number % 2]},{part}\n" for number, part in enumerate(parts, start=1))
    (root / "metadata.csv").write_text("file_name,label,split\n" + rows)
    source = DataSource(str(root), DataOptions(labels="metadata.csv"))
    training_set = load_training_set(source)
    assert values(training_set) == [1, 2, 6, 3, 5]
    assert training_set.own_validation.tolist() == [3, 4]
    assert values(load_test_set(source, pixel_format=FORMAT)) == [4]


ANIMALS = {
    **{f"train/cat/{n}.png": 10 + n for n in range(3)},
    **{f"train/kitten/{n}.png": 20 + n for n in range(2)},
    **{f"train/dog/{n}.png": 30 + n for n in range(4)},
    **{f"train/rat/{n}.png": 40 + n for n in range(2)},
    "val/kitten/9.png": 29,
    "test/dog/1.png": 50,
    "test/wolf/1.png": 51,
    "test/rat/1.png": 52,
}
MAP = (("canine", ("dog", "wolf")), ("feline", ("cat", "kitten")))


def both(root, **options):
    """Grey values and labels of the training images and of the test images, and the training set."""
    source = DataSource(str(root), DataOptions(**options))
    notes = []
    training_set = load_training_set(source, notify=notes.append)
    test = load_test_set(source, pixel_format=FORMAT)
    pairs = [list(zip(values(part), part.labels.tolist(), strict=True)) for part in (training_set, test)]
    return training_set, *pairs, notes


def test_map_renames_joins_and_leaves_out_classes_of_all_parts(tmp_path):
    root = write_folder(tmp_path / "animals", ANIMALS)
    training_set, training, test, notes = both(root, map=MAP)
    assert training_set.classes == ("canine", "feline")
    felines = [(10, 1), (11, 1), (12, 1), (20, 1), (21, 1), (29, 1)]
    assert sorted(training) == [*felines, (30, 0), (31, 0), (32, 0), (33, 0)]
    assert test == [(50, 0), (51, 0)]
    assert notes == ["--map leaves out 1 of 4 classes, 2 of 12 training images: rat (2)"]
    assert training_set.sha256 == load_training_set(DataSource(str(root))).sha256


def test_named_classes_tell_what_they_leave_out_of_the_training_and_the_test_images(tmp_path):
    notes = both(write_folder(tmp_path / "animals", ANIMALS), classes=("cat", "dog"))[3]
    assert notes == [
        "left out test images of classes without training images: wolf (1)",
        "--classes leaves out 2 of 4 classes, 5 of 12 training images: kitten (3), rat (2)",
    ]


def test_test_classes_that_differ_by_case_are_told_with_the_map_that_joins_them(tmp_path):
    root = write_folder(
        tmp_path / "animals", {f"train/{n}/1.png": 9 for n in "AB"} | {f"test/{n}/1.png": 9 for n in "ab"}
    )
    with pytest.raises(
        UnusableTestImages, match=r'a differs from A only by case: lines like "A" = \["A", "a"\] .*--map'
    ):
        both(root)
    maps = (("A", ("A", "a")), ("B", ("B", "b")))
    assert both(root, map=maps)[2] == [(9, 0), (9, 1)]


def test_folds_are_joined_by_a_map_of_their_folders(tmp_path):
    names = [f"fold{fold}/{name}/{n}.png" for fold in "12" for name in ("cat", "dog") for n in range(9)]
    root = write_folder(tmp_path / "pets", {name: n for n, name in enumerate(names)})
    maps = tuple((name, (f"fold1/{name}", f"fold2/{name}")) for name in ("cat", "dog"))
    training_set = load_training_set(DataSource(str(root), DataOptions(depth=2, map=maps)))
    assert training_set.classes == ("cat", "dog")
    assert all(
        (value // 9) % 2 == label for value, label in zip(values(training_set), training_set.labels, strict=True)
    )


def test_class_folder_without_images_is_told(tmp_path, notes):
    root = write_folder(tmp_path / "pets", PETS | {"train/emu/read me.txt": b"none yet"})
    load_training_set(DataSource(str(root)), notify=notes.append)
    assert notes == [f"ignored folders without images: emu ({root}/train)"]


def test_another_map_of_the_same_names_is_not_taken_from_the_cache(tmp_path):
    root = write_folder(tmp_path / "animals", ANIMALS)
    options = {"map": (("a", ("cat", "dog")), ("b", ("kitten",))), "classes": ("a", "b")}
    first = both(root, **options)[1]
    second = both(root, **options | {"map": (("a", ("kitten", "dog")), ("b", ("cat",)))})[1]
    assert dict(first)[10] == 0 != dict(second)[10]


def test_new_class_may_take_the_name_of_one_that_is_left_out(tmp_path):
    root = write_folder(tmp_path / "animals", ANIMALS)
    training_set, training, test, _ = both(root, map=(("rat", ("cat",)), ("dog", ("dog",))))
    assert training_set.classes == ("rat", "dog")
    assert sorted(training) == [(10, 0), (11, 0), (12, 0), (30, 1), (31, 1), (32, 1), (33, 1)]
    assert test == [(50, 1)]


def test_new_class_without_training_images_is_refused(tmp_path):
    root = write_folder(tmp_path / "animals", ANIMALS)
    with pytest.raises(UsageError, match="class wild must hold at least one image, got none"):
        both(root, map=(("wild", ("wolf",)), ("dog", ("dog",))))
    with pytest.raises(UsageError, match=r"unknown class wulf; did you mean wolf\? \(--map, for wild; known: cat, "):
        both(root, map=(("wild", ("wulf",)), ("dog", ("dog",))))


def test_small_classes_are_left_out_of_all_parts_by_their_training_and_validation_images(tmp_path):
    root = write_folder(tmp_path / "animals", {name: n for name, n in ANIMALS.items() if "wolf" not in name})
    training_set, _, test, notes = both(root, min_per_class=3)
    assert (training_set.classes, test) == (("cat", "dog", "kitten"), [(50, 1)])
    assert notes == ["--min-per-class 3 leaves out 1 of 4 classes, 2 of 12 training images: rat (2)"]


def test_table_of_labels_is_mapped_too(tmp_path):
    rows = "file,articleType,split\n1,Tops,train\n2,Tshirts,train\n3,Jeans,train\n4,Hats,train\n5,Tops,test\n"
    contents = {f"{n}.png": 10 * n for n in range(1, 6)} | {"styles.csv": rows.encode()}
    root = write_folder(tmp_path / "fashion", contents)
    table = {"labels": "styles.csv", "image_column": "file"}
    training_set, training, test, _ = both(
        root, map=(("T-shirt", ("Tshirts", "Tops")), ("Trouser", ("Jeans",))), **table
    )
    assert training_set.classes == ("T-shirt", "Trouser")
    assert (sorted(training), test) == ([(10, 0), (20, 0), (30, 1)], [(50, 0)])
