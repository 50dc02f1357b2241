import os
import pickle
import re
import tracemalloc
import zipfile
from functools import partial

import numpy as np
import pytest

from sweeper.data import test_set
from sweeper.data.own import npz
from sweeper.data.source import DataSource
from sweeper.data.test_set import find_test_set, load_test_set
from sweeper.data.training_set import load_training_set
from sweeper.errors import SweeperError
from sweeper.images import bounds
from sweeper.images.decoded_cache import decoded
from sweeper.images.image_set import PixelFormat, UnusableTestImages
from sweeper.images.options import DataOptions
from tests.data.pictures import npy, npy_claiming, write_npz
from tests.hostile import listing

FORMAT = PixelFormat((1, 4, 5))
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 4, 5), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2], dtype=np.uint8)
TRAIN = {"train_images": GREY, "train_labels": LABELS}


def load(tmp_path, members, **options):
    return load_training_set(DataSource(str(write_npz(tmp_path / "some.npz", members)), options=DataOptions(**options)))


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<u8"])
def test_labels_are_class_numbers_in_either_shape(tmp_path, shape, dtype):
    training_set = load(tmp_path, {"train_images": GREY, "train_labels": LABELS.astype(dtype).reshape(shape)})
    assert (training_set.name, training_set.classes, training_set.source) == (
        "some",
        ("0", "1", "2"),
        str(tmp_path / "some.npz"),
    )
    assert (training_set.labels.dtype, training_set.labels.tolist()) == (np.int64, LABELS.tolist())
    assert training_set.own_validation is None


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(6, 4, 5), (6, 4, 5, 1), (6, 4, 5, 3)])
def test_images_are_channels_first_however_they_are_stored(tmp_path, shape, order):
    images = RNG.integers(0, 256, shape, dtype=np.uint8)
    training_set = load(tmp_path, {"train_images": np.asarray(images, order=order), "train_labels": LABELS})
    np.testing.assert_array_equal(training_set.images, images.reshape(6, 4, 5, -1).transpose(0, 3, 1, 2))
    assert (training_set.images.dtype, training_set.images.flags.writeable) == (np.uint8, False)


def test_images_copied_in_several_chunks_are_complete(tmp_path, monkeypatch):
    monkeypatch.setattr("sweeper.data.own.npz_images.CHUNK", 45)
    np.testing.assert_array_equal(load(tmp_path, TRAIN).images[:, 0], GREY)


def test_val_arrays_come_last_and_are_the_training_sets_own_validation(tmp_path):
    training_set = load(tmp_path, TRAIN | {"val_images": GREY[:2] // 2, "val_labels": LABELS[:2]})
    np.testing.assert_array_equal(training_set.images[6:, 0], GREY[:2] // 2)
    assert (training_set.labels.tolist(), training_set.own_validation.tolist()) == ([0, 1, 2, 0, 1, 2, 0, 1], [6, 7])
    chosen = load(tmp_path, TRAIN | {"val_images": GREY[:2], "val_labels": LABELS[:2]}, classes=("2", "0"))
    assert (chosen.labels.tolist(), chosen.own_validation.tolist()) == ([1, 0, 1, 0, 1], [4])


def test_test_arrays_are_the_test_set_and_do_not_change_the_training_hash(tmp_path):
    before = load(tmp_path, TRAIN)
    path = str(tmp_path / "some.npz")
    assert find_test_set(DataSource(path), pixel_format=FORMAT) is None
    with pytest.raises(SweeperError, match=rf"must be a test part, got no test_images and test_labels \({path}\)"):
        load_test_set(DataSource(path), pixel_format=FORMAT)
    after = load(tmp_path, TRAIN | {"test_images": GREY[:3], "test_labels": LABELS[:3]})
    assert after.sha256 == before.sha256
    test = load_test_set(DataSource(path), pixel_format=FORMAT)
    np.testing.assert_array_equal(test.images[:, 0], GREY[:3])
    assert (test.classes, test.labels.tolist()) == (("0", "1", "2"), [0, 1, 2])
    assert test.sha256 == test_set.test_sha256(DataSource(path)) != after.sha256


@pytest.mark.parametrize("resize", [None, 3])
def test_test_arrays_without_the_chosen_classes_are_not_a_test_set(tmp_path, resize):
    load(tmp_path, TRAIN | {"test_images": GREY[:3], "test_labels": np.zeros(3, int)})
    path, options = str(tmp_path / "some.npz"), DataOptions(("1", "2"), resize)
    with pytest.raises(SweeperError, match=r"must be a test part, got none of the classes asked for \("):
        load_test_set(DataSource(path, options=options), pixel_format=FORMAT)
    assert find_test_set(DataSource(path, options=options), pixel_format=FORMAT) is None


def test_map_and_least_number_of_images_hold_for_both_parts(tmp_path):
    arrays = TRAIN | {"test_images": GREY[:3], "test_labels": LABELS[:3]}
    named = arrays | {"classes": np.array(["ape", "bee", "cow"])}
    options = DataOptions(map=(("late", ("cow",)), ("early", ("ape", "bee"))))
    mapped = load(tmp_path, named, map=options.map)
    assert (mapped.classes, mapped.labels.tolist()) == (("late", "early"), [1, 1, 0, 1, 1, 0])
    test = load_test_set(DataSource(str(tmp_path / "some.npz"), options), pixel_format=FORMAT)
    assert (test.classes, test.labels.tolist()) == (("late", "early"), [1, 1, 0])
    few = arrays | {"train_labels": np.array([0, 1, 2, 0, 2, 2])}
    assert load(tmp_path, few, min_per_class=2).classes == ("0", "2")
    test = load_test_set(DataSource(str(tmp_path / "some.npz"), DataOptions(min_per_class=2)), pixel_format=FORMAT)
    assert (test.classes, test.labels.tolist()) == (("0", "2"), [0, 1])


def test_class_numbers_without_images_do_not_prevent_choosing_other_classes(tmp_path):
    training_set = load(tmp_path, TRAIN | {"train_labels": LABELS * 2}, classes=("0", "4"))
    assert training_set.classes == ("0", "4")


def test_hash_depends_on_the_arrays_and_not_on_compression_or_options(tmp_path):
    sha256 = load(tmp_path, TRAIN).sha256
    stored = write_npz(tmp_path / "stored.npz", TRAIN, zipfile.ZIP_STORED)
    assert load_training_set(DataSource(str(stored))).sha256 == sha256
    assert load(tmp_path, TRAIN, resize=2, classes=("1", "0")).sha256 == sha256
    assert load(tmp_path, TRAIN | {"train_labels": LABELS[::-1].copy()}).sha256 != sha256


def test_the_hash_of_plain_arrays_does_not_change_between_versions(tmp_path):
    # Recorded once: studies resume, and test evaluations are counted, only while it stays the same.
    images, labels = np.arange(60, dtype=np.uint8).reshape(6, 2, 5), np.array([0, 1, 2, 0, 1, 2])
    members = {"train_images": images, "train_labels": labels, "val_images": images[:2], "val_labels": labels[:2]}
    members |= {"test_images": images[:3], "test_labels": labels[:3], "classes": np.array(["ape", "bee", "cow"])}
    training_set = load(tmp_path, members)
    assert training_set.sha256 == "d373c7d1dfc6143a025184ea2fd0233b0353b8d1b5ded39f3ec935a60fd03c40"
    assert (tmp_path / "cache" / "decoded" / training_set.sha256).is_dir()
    tested = test_set.test_sha256(DataSource(str(tmp_path / "some.npz")))
    assert tested == "faff5f63c64a336991aee788212e3a6b787b5699be30adfac77037afc59b8bb9"


def test_text_array_gives_the_classes_their_names(tmp_path):
    members = TRAIN | {"classes": np.array(["ape", "bee", "cow"])}
    assert load(tmp_path, members).classes == ("ape", "bee", "cow")
    chosen = load(tmp_path, members, classes=("cow", "ape"))
    assert (chosen.classes, chosen.labels.tolist()) == (("cow", "ape"), [1, 0, 1, 0])


def test_names_of_classes_without_training_images_are_left_out_and_told(tmp_path):
    path, notes = write_npz(tmp_path / "some.npz", TRAIN | {"label_names": np.array(["ape", "bee", "cow", "dog"])}), []
    assert load_training_set(DataSource(str(path)), notify=notes.append).classes == ("ape", "bee", "cow")
    assert notes == [f"left out classes without training images: dog ({path})"]


def test_arrays_without_parts_and_those_that_are_ignored_are_told(tmp_path):
    path, notes = write_npz(tmp_path / "some.npz", {"X": GREY, "y": LABELS, "feature_names": np.array(["a"])}), []
    training_set = load_training_set(DataSource(str(path)), notify=notes.append)
    np.testing.assert_array_equal(training_set.images[:, 0], GREY)
    assert notes == [
        f"{path} names no parts: all its images are training images, and there is no test part",
        f"ignored arrays whose names say neither images, labels nor classes: feature_names ({path})",
    ]
    assert find_test_set(DataSource(str(path)), pixel_format=FORMAT) is None


def test_arrays_beside_those_that_are_read_are_told(tmp_path):
    other = {"images": GREY[::-1], "labels": LABELS[::-1], "x_train": GREY[::-1], "data": GREY}
    path, notes = write_npz(tmp_path / "some.npz", TRAIN | other), []
    training_set = load_training_set(DataSource(str(path)), notify=notes.append)
    np.testing.assert_array_equal(training_set.images[:, 0], GREY)
    told = "ignored arrays of images or labels beside those that are read: "
    assert notes == [f"{told}x_train, images, data, labels ({path})"]
    notes.clear()
    path = write_npz(tmp_path / "some.npz", {"x_train": GREY, "y_train": LABELS, "data": GREY})
    load_training_set(DataSource(str(path)), notify=notes.append)
    assert notes == [f"{told}data ({path})"]


def test_validation_part_of_the_file_joins_the_training_images_with_resplit(tmp_path):
    members = TRAIN | {"valid_images": GREY[:2], "valid_labels": np.array([1, 7])}
    joined = load(tmp_path, members, resplit=True)
    assert (joined.own_validation, joined.classes, joined.labels.tolist()[6:]) == (None, ("0", "1", "2", "7"), [1, 3])
    chosen = load(tmp_path, members, classes=("0", "1"))  # the validation image of another class is left out
    assert (chosen.labels.tolist(), chosen.own_validation.tolist()) == ([0, 1, 0, 1, 1], [4])


def test_images_left_out_because_no_training_image_has_their_class_are_told(tmp_path):
    members = TRAIN | {
        "val_images": GREY,
        "val_labels": LABELS + 1,
        "test_images": GREY[:2],
        "test_labels": LABELS[1:3],
    }
    members |= {"train_labels": LABELS % 2}
    path, notes = write_npz(tmp_path / "some.npz", members), []
    for resplit in (False, True):
        source, notes = DataSource(str(path), DataOptions(classes=("0", "1"), resplit=resplit)), []
        training_set = load_training_set(source, notify=notes.append)
        told = f"left out 4 val images, because no training image is of their classes: 2, 3 ({path}, val_labels)"
        assert (told in notes) == (not resplit)
        notes.clear()
        load_test_set(source, pixel_format=training_set.pixel_format, notify=notes.append)
        told = f"left out 1 test image, because no training image is of its class: 2 ({path}, test_labels)"
        assert (told in notes) == (not resplit)


@pytest.mark.parametrize("classes", [(), ("0", "1")])
@pytest.mark.parametrize("resplit", [False, True])
@pytest.mark.parametrize("part", ["val", "test"])
def test_labels_that_are_text_in_one_part_and_numbers_in_another_are_refused(tmp_path, part, resplit, classes):
    options = {"resplit": resplit, "classes": classes}
    for first, other, got in ((LABELS, LABELS.astype(str), "text"), (LABELS.astype(str), LABELS, "whole numbers")):
        members = TRAIN | {"train_labels": first, f"{part}_images": GREY, f"{part}_labels": other}
        message = rf"labels must be of one kind in all parts, got {got} \(.*{part}_labels\) and .*train_labels\); store"
        source = DataSource(str(write_npz(tmp_path / "some.npz", members)), DataOptions(**options))
        read = load_training_set if part == "val" else partial(load_test_set, pixel_format=FORMAT)
        with pytest.raises(SweeperError, match=message):
            read(source)


def test_conversions_of_labels_are_told_too(tmp_path):
    found = load(tmp_path, {"x_train": GREY[:, None], "y_train": np.eye(3)[LABELS]})
    assert found.conversions == ("channels first", "one-hot labels to classes")
    np.testing.assert_array_equal(found.images[:, 0], GREY)


def test_corrected_class_names_take_effect_whatever_the_cache_holds(tmp_path):
    hashes, tested = set(), set()
    for names, expected in ((["ape", "bee", "cow"], [0, 1, 0, 1]), (["bee", "ape", "cow"], [1, 0, 1, 0])):
        members = TRAIN | {"classes": np.array(names), "test_images": GREY, "test_labels": LABELS}
        training_set = load(tmp_path, members, classes=("ape", "bee"), resize=2)
        assert training_set.labels.tolist() == expected
        hashes.add(training_set.sha256)
        tested.add(test_set.test_sha256(DataSource(str(tmp_path / "some.npz"))))
        test = load_test_set(
            DataSource(str(tmp_path / "some.npz"), options=DataOptions(("ape", "bee"), 2)),
            pixel_format=PixelFormat((1, 2, 2)),
        )
        assert test.labels.tolist() == expected
    # Other names change the training hash, so that no study resumes with them. The test hash stays the same, because
    # the same test images were evaluated.
    assert (len(hashes), len(tested)) == (2, 1)


def test_test_images_of_another_shape_are_refused(tmp_path):
    load(tmp_path, TRAIN | {"test_images": GREY[:, :, :4], "test_labels": LABELS})
    path = str(tmp_path / "some.npz")
    with pytest.raises(SweeperError, match=r"test images must be 1x4x5 like the training images, got 1x4x4 \("):
        load_test_set(DataSource(path), pixel_format=FORMAT)
    resized = DataSource(path, options=DataOptions(resize=3))
    assert load_test_set(resized, pixel_format=PixelFormat((1, 3, 3))).images.shape == (6, 1, 3, 3)


BAD = {
    "no arrays": ({"train_images": None, "train_labels": None}, "got no train images among no arrays"),
    "half of train": ({"train_labels": None}, r"got no train labels among train_images \(uint8, 6 x 4 x 5\)"),
    "half of val": ({"val_images": GREY}, r"got val_images and no val labels \(.*\); val_labels would be understood"),
    "two validation parts": (
        {"val_images": GREY, "valid_labels": LABELS, "dev_labels": LABELS},
        r"one array must hold the labels of the val part, got valid_labels and dev_labels \(",
    ),
    "text for images": (
        {"train_images": np.array(["a"] * 6)},
        "must be integers, floats or booleans of at most 64 bits, got <U1",
    ),
    "one image": ({"train_images": GREY[0]}, r"rows must be square images, .* got rows of 5 values"),
    "volumes": ({"train_images": np.zeros((6, 5, 5, 5), np.uint8)}, r"got \(6, 5, 5, 5\); 3-D volumes"),
    "types of another kind": (
        {"val_images": GREY / 255, "val_labels": LABELS},
        r"images must be integers like the training images, got floats \(float64, .*val_images\); store all parts as",
    ),
    "images on another scale": (
        {"train_images": GREY / 255, "val_images": GREY / 1, "val_labels": LABELS},
        r"must have values from 0 to 1 as the training images have, got .* to 2\d\d \(.*val_images\); store all",
    ),
    "black validation images": (
        {"train_images": GREY / 1, "val_images": GREY / 255, "val_labels": LABELS},
        r"must have values from 0 to 255 as the training images have, got .* to [01][.\d]* \(.*val_images\); store all",
    ),
    "images counted by the last axis": (
        {"train_images": GREY.transpose(1, 2, 0)},
        r"got 6 for 4 images \(.*\); numpy.moveaxis makes the axis of 6 images the first$",
    ),
    "a split of images without parts": (
        {"train_images": None, "train_labels": None, "x": GREY, "y": LABELS, "split": LABELS},
        "each part must have arrays of its own, got split",
    ),
    "no images": ({"train_images": GREY[:0]}, r"at least one image, got shape \(0, 4, 5\)"),
    "no labels": ({"train_labels": LABELS[:0]}, r"there must be at least one label, got shape \(0,\)"),
    "fewer labels": ({"train_labels": np.array([0, 1, 2, 1])}, "one label per image, got 4 for 6 images"),
    "one class": ({"train_labels": np.array([0] * 6)}, "at least two classes, got only 0"),
    "class in val only": (
        {"val_images": GREY[:1], "val_labels": np.array([3])},
        r"val images must be of classes that have training images, got 3 \(.*val_labels\); --resplit joins them",
    ),
    "val of another size": (
        {"val_images": GREY[:, :2], "val_labels": LABELS},
        r"images must be 1x4x5 like the training images, got 1x2x5 \(.*val_images\); store both parts at",
    ),
    "floats for names": ({"classes": np.arange(3.0)}, "class names must be an array of text, got float64"),
    "odd name": ({"classes": np.array(["a", "b\nb", "c"])}, r"a class must have a printable name, got 'b\\nb'"),
    "same name": ({"classes": np.array(["a", "b", "a"])}, "classes must have different names"),
    "too few names": ({"classes": np.array(["a", "b"])}, "labels must be in 0..1, as there are 2 class names, got 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_arrays_that_make_no_data_set_are_refused(tmp_path, case):
    changes, message = BAD[case]
    members = {name: array for name, array in (TRAIN | changes).items() if array is not None}
    path = str(write_npz(tmp_path / "some.npz", members))
    with pytest.raises(SweeperError, match=message) as refusal:
        load_training_set(DataSource(path))
    assert path in str(refusal.value)
    assert not [name for name in listing(tmp_path / "cache") if name.startswith("decoded/.")]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"test_images": GREY / 255, "test_labels": LABELS},
            "^images must be integers like the training images, got fl",
        ),
        (
            {"test_images": GREY, "test_labels": np.ones((6, 3))},
            "^each image must have one class, got multi-label rows",
        ),
        (
            {"test_images": npy_claiming((6,), "|O"), "test_labels": LABELS},
            "^arrays must hold numbers or text, got obj",
        ),
        ({"test_images": npy_claiming((6, 4, 9), "|u1"), "test_labels": LABELS}, "^the header says 6 x 4 x 9 of uint8"),
        ({"test_images": GREY, "test_labels": b"junk"}, "^test_labels must be readable as .npz data"),
        ({"test_images": GREY, "test_labels": LABELS[:2]}, "^there must be one label per image, got 2 for 6 images"),
        ({"test_labels": LABELS}, r"got test_labels and no test images \(.*\); test_images would be understood$"),
        ({"test_images": GREY}, r"got test_images and no test labels \(.*\); test_labels would be understood$"),
        (
            {"test_images": GREY, "test_labels": LABELS + 1},
            r"^test images must be of classes that have training images, got 3 \(.*, test_labels\); --classes names",
        ),
    ],
)
def test_unusable_test_images_do_not_hinder_a_search_and_are_told_with_the_reason(tmp_path, arrays, message):
    load(tmp_path, TRAIN | arrays)
    source, notes = DataSource(str(tmp_path / "some.npz")), []
    assert find_test_set(source, pixel_format=FORMAT, notify=notes.append) is None
    with pytest.raises(UnusableTestImages, match=message):
        load_test_set(source, pixel_format=FORMAT)
    assert re.search(message, notes[0])


def test_test_images_of_unknown_classes_are_left_out_if_the_options_name_classes(tmp_path):
    load(tmp_path, TRAIN | {"test_images": GREY, "test_labels": LABELS + 1})
    source = DataSource(str(tmp_path / "some.npz"), DataOptions(("1", "2")))
    test = load_test_set(source, pixel_format=FORMAT)
    assert test.labels.tolist() == [0, 1, 0, 1]
    np.testing.assert_array_equal(test.images[:, 0], GREY[[0, 1, 3, 4]])


class Bomb:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("member", ["train_images", "train_labels", "classes"])
def test_nothing_is_unpickled(tmp_path, member):
    bomb = pickle.dumps(Bomb(str(tmp_path / "exploded")))
    for content, message in (
        (npy_claiming((3,), "|O", bomb), "got objects, which are not unpickled"),
        (bomb, "readable"),
    ):
        with pytest.raises(SweeperError, match=message) as refusal:
            load(tmp_path, TRAIN | {member: content})
        assert member in str(refusal.value)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": npy_claiming((10**12, 28, 28))}, "1000000000000 x 28 x 28 of uint8, .* the file holds 0"),
        ({"train_labels": npy_claiming((10**12,), "<i8", bytes(48))}, "the file holds 48 at most"),
        ({"train_images": npy_claiming((6, 4, 5), content=bytes(121))}, "120 bytes, but the file holds 121"),
        (
            {"train_images": npy_claiming((6, -4, -5), content=bytes(120))},
            "sizes that are not negative .*, got 6 x -4 x -5",
        ),
        ({"classes": npy_claiming((10**12,), "<U0")}, "a type that is not empty, got 1000000000000 of <U0"),
        ({"train_images": npy(GREY).replace(b"\x01\x00", b"\x02\x00", 1)}, r"version 2.0 of the npy format"),
        ({"train_images": npy_claiming((6, True, 20), content=bytes(120))}, "whole numbers, got 6 x True x 20"),
        ({"train_images": b"\x93NUMPY\x01\x00\xff\xff{"}, "train_images must be readable as .npz data"),
        ({"train_images": npy_claiming("((((")}, "train_images must be readable as .npz data"),
        ({"train_labels": b""}, "train_labels must be readable as .npz data"),
    ],
)
def test_header_that_the_content_does_not_match_is_refused(tmp_path, changes, message):
    with pytest.raises(SweeperError, match=message):
        load(tmp_path, TRAIN | changes)


def test_labels_far_more_than_images_are_refused_before_they_are_expanded(tmp_path):
    bomb = npy_claiming((20_000_000,), "|u1", bytes(20_000_000))
    path = write_npz(tmp_path / "some.npz", TRAIN | {"train_labels": bomb})
    del bomb
    tracemalloc.start()
    try:
        with pytest.raises(SweeperError, match="one label per image, got 20,000,000 for 6 images"):
            load_training_set(DataSource(str(path)))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["train_labels", "classes"])
def test_bomb_of_labels_or_names_is_refused_before_it_is_expanded(tmp_path, monkeypatch, name):
    monkeypatch.setattr("sweeper.data.own.npz_arrays.MOST_HELD", 20_000_000)
    shape, kind = ((6, 500_000), "<i8") if name == "train_labels" else ((3_000_000,), "<U2")
    bomb = npy_claiming(shape, kind, bytes(24_000_000))
    path = write_npz(tmp_path / "some.npz", TRAIN | {name: bomb})
    del bomb
    tracemalloc.start()
    try:
        with pytest.raises(
            SweeperError, match=rf"20,000,000 bytes at most, got (6 x 500|3000)000 of .* \({path}, {name}\)"
        ):
            load_training_set(DataSource(str(path)))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_content_that_claims_an_impossible_expansion_is_refused(tmp_path):
    path = write_npz(tmp_path / "some.npz", TRAIN | {"train_images": npy_claiming((10**9,), content=b"x" * 50)})
    content = bytearray(path.read_bytes())
    size = len(npy_claiming((10**9,))) + 50
    entry = content.index(b"PK\x01\x02")
    assert content[entry + 24 : entry + 28] == size.to_bytes(4, "little")
    content[entry + 24 : entry + 28] = (size - 50 + 10**9).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(SweeperError, match=r"10+ of uint8, 1,000,000,000 bytes, but the file holds 1,\d{3},\d{3} at"):
        load_training_set(DataSource(str(path)))


def change(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "File is not a zip file"),
        (lambda path: path.write_bytes(b""), "File is not a zip file"),
        (lambda path: change(path, b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"), "encrypted"),
        (lambda path: change(path, GREY.tobytes()[:60], bytes(60)), "Bad CRC-32"),
    ],
)
def test_damaged_archive_is_refused_by_name(tmp_path, spoil, message):
    path = write_npz(tmp_path / "some.npz", TRAIN, zipfile.ZIP_STORED)
    spoil(path)
    with pytest.raises(SweeperError, match=rf"must be readable as .npz data, got: .*{message}.* \({path}\)"):
        load_training_set(DataSource(str(path)))


def test_other_members_are_ignored(tmp_path):
    training_set = load(tmp_path, TRAIN | {"../../evil": b"junk", "notes": b"junk"})
    assert len(training_set.labels) == 6
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bin", "cache", "home", "some.npz", "work"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_last_of_two_members_with_one_name_is_read(tmp_path):
    path = write_npz(tmp_path / "some.npz", TRAIN)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train_labels.npy", npy(LABELS[::-1].copy()))
    assert load_training_set(DataSource(str(path))).labels.tolist() == LABELS[::-1].tolist()


@pytest.mark.parametrize(
    "other",
    [
        TRAIN | {"train_images": GREY[::-1]},
        TRAIN | {"train_images": np.concatenate([GREY, GREY]), "train_labels": np.tile(LABELS, 2)},
        TRAIN | {"train_images": GREY[:, :2]},
        TRAIN | {"train_labels": LABELS[::-1]},
        TRAIN | {"classes": np.array(["a", "b", "c"])},
    ],
)
def test_file_that_is_replaced_between_hashing_and_decoding_is_never_cached(tmp_path, monkeypatch, other):
    path = write_npz(tmp_path / "some.npz", TRAIN)
    content, replacement = path.read_bytes(), write_npz(tmp_path / "other.npz", other).read_bytes()

    def swapping(key, make, notify):
        path.write_bytes(replacement)
        try:
            return decoded(key, make, notify)
        finally:
            path.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(npz, "decoded", swapping)
        with pytest.raises(SweeperError) as refusal:
            load_training_set(DataSource(str(path)))
    assert str(refusal.value) == f"the file was changed while it was read ({path}); run the command again"
    training_set = load_training_set(DataSource(str(path)))
    np.testing.assert_array_equal(training_set.images[:, 0], GREY)
    assert (training_set.labels.tolist(), training_set.classes) == (LABELS.tolist(), ("0", "1", "2"))


def test_labels_and_names_are_those_that_were_hashed(tmp_path, monkeypatch):
    """Whatever the file holds once it is hashed: nothing is read again but the images, whose hash is compared."""
    path = write_npz(tmp_path / "some.npz", TRAIN | {"classes": np.array(["a", "b", "c"])})
    before = load_training_set(DataSource(str(path)))

    def overwriting(key, make, notify):
        write_npz(path, TRAIN | {"train_labels": LABELS[::-1], "classes": np.array(["x", "y", "z"])})
        return decoded(key, make, notify)

    monkeypatch.setattr(npz, "decoded", overwriting)
    after = load_training_set(DataSource(str(path)))
    assert (after.sha256, after.classes) == (before.sha256, before.classes)
    assert after.labels.tolist() == before.labels.tolist()


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_images_that_do_not_fit_are_refused_before_they_are_expanded(tmp_path, monkeypatch, part):
    monkeypatch.setattr(bounds, "available_memory", lambda: 19_000_000)
    monkeypatch.setattr("sweeper.data.own.npz_arrays.StoredArray.chunks", lambda array, _: pytest.fail("expanded"))
    black = {f"{part}_images": np.zeros((25_000, 28, 28), np.uint8), f"{part}_labels": np.zeros(25_000, int)}
    path = write_npz(tmp_path / "some.npz", TRAIN | {"train_images": np.zeros((6, 28, 28), np.uint8)} | black)
    load = load_training_set if part != "test" else partial(load_test_set, pixel_format=PixelFormat((1, 28, 28)))
    with pytest.raises(SweeperError, match=r"must fit into the available memory, 19.0 MB, got 19.6 MB, 25,00\d images"):
        load(DataSource(str(path)))


def test_bound_on_the_images_may_be_lifted(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "available_memory", lambda: 100)
    path = str(write_npz(tmp_path / "some.npz", TRAIN))
    with pytest.raises(SweeperError, match="--max-bytes 1MB"):
        load_training_set(DataSource(path))
    with pytest.raises(SweeperError, match=r"0.0 MB at most \(--max-bytes\), got 0.0 MB, 6 images of 1x4x5"):
        load_training_set(DataSource(path, max_bytes=119))
    assert load_training_set(DataSource(path, max_bytes=120)).images.nbytes == 120
