import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sweeper.data.source import DataSource
from sweeper.data.training_set import load_training_set
from sweeper.images.class_choice import choose, class_counts
from sweeper.images.conversion import converted
from sweeper.images.image_set import ImageSet
from sweeper.images.options import DataOptions
from sweeper.images.reading import Reading
from sweeper.images.resize import fitted
from sweeper.images.value_range import ValueRange
from tests.data.pictures import write_folder, write_npz

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (6, 3, 5, 8), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
READING = Reading(print)


def part(images=COLOUR, classes=("a", "b", "c"), n_validation=0):
    sha256 = hashlib.sha256(images.tobytes()).hexdigest()
    return ImageSet(images, LABELS, classes, sha256, "somewhere", n_validation)


def chosen(part, options):
    return converted(part, choose(options, class_counts(part.labels, part.classes)), options, READING)


def test_without_options_the_part_is_left_as_it_is(tmp_path):
    before = part()
    assert chosen(before, DataOptions()) is before
    assert chosen(part(COLOUR[:, :1]), DataOptions(grayscale=True)).images.shape == (6, 1, 5, 8)
    assert not (tmp_path / "cache" / "decoded").exists()


def test_chosen_classes_keep_the_order_of_images_and_number_labels_in_the_chosen_order():
    found = chosen(part(n_validation=3), DataOptions(("c", "a")))
    np.testing.assert_array_equal(found.images, COLOUR[[0, 2, 3, 5]])
    assert (found.labels.tolist(), found.classes, found.n_validation) == ([1, 0, 1, 0], ("c", "a"), 2)
    assert found.sha256 == part().sha256


def test_map_joins_and_leaves_out_classes_of_arrays():
    options = DataOptions(map=(("late", ("c",)), ("early", ("b",))))
    found = chosen(part(n_validation=3), options)
    np.testing.assert_array_equal(found.images, COLOUR[[1, 2, 4, 5]])
    assert (found.labels.tolist(), found.classes, found.n_validation) == ([1, 0, 1, 0], ("late", "early"), 2)
    joined = chosen(part(), DataOptions(map=(("x", ("a", "c")), ("y", ("b",)))))
    assert (joined.labels.tolist(), joined.classes) == ([0, 1, 0, 0, 1, 0], ("x", "y"))
    assert found.sha256 == joined.sha256 == part().sha256


def test_grey_is_the_weighted_sum_of_the_channels():
    found = chosen(part(), DataOptions(grayscale=True))
    expected = np.tensordot([0.299, 0.587, 0.114], COLOUR, (0, 1))
    assert found.images.shape == (6, 1, 5, 8)
    assert np.abs(found.images[:, 0] - expected).max() <= 1


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_arrays_are_fitted_as_files_are(fit):
    found = chosen(part(), DataOptions(resize=4, fit=fit))
    for image, stored in zip(found.images, COLOUR, strict=True):
        expected = fitted(Image.fromarray(stored.transpose(1, 2, 0)), (4, 4), grey=False, fit=fit, background=255)
        np.testing.assert_array_equal(image, expected)


def test_converted_images_are_cached_once_for_each_choice_of_options(tmp_path):
    kept = tmp_path / "cache" / "decoded"
    for count, options in enumerate(
        (
            DataOptions(resize=4),
            DataOptions(resize=5),
            DataOptions(resize=4, background="black"),
            DataOptions(resize=4, fit="crop"),
            DataOptions(resize=4, fit="stretch"),
            DataOptions(resize=4, grayscale=True),
            DataOptions(("a", "b"), resize=4),
            DataOptions(("b", "a"), resize=4),
            DataOptions(("a", "c"), resize=4),
            DataOptions(resize=4, map=(("x", ("a", "b")), ("y", ("c",)))),
            DataOptions(resize=4, map=(("x", ("a", "c")), ("y", ("b",)))),
        ),
        start=1,
    ):
        first = chosen(part(), options)
        assert len(list(kept.iterdir())) == count
        again = chosen(part(), options)
        assert len(list(kept.iterdir())) == count
        np.testing.assert_array_equal(again.images, first.images)
        assert again.labels.tolist() == first.labels.tolist()


def test_the_same_arrays_read_in_other_ways_are_cached_apart(tmp_path):
    readings = [
        {},
        {"conversions": ("channels first",)},
        {"conversions": ("values 0 to 9 to 8 bits",), "value_range": ValueRange(0, 9.1)},
        {"conversions": ("values 0 to 9 to 8 bits",), "value_range": ValueRange(0, 9.2)},
    ]
    for count, reading in enumerate(readings, start=1):
        found = chosen(replace(part(COLOUR // count), sha256="ab", **reading), DataOptions(resize=4, fit="crop"))
        assert found.conversions == reading.get("conversions", ())
        assert found.images.max() <= 255 // count
        assert len(list((tmp_path / "cache" / "decoded").iterdir())) == count


def test_how_images_are_fitted_is_told_and_changes_nothing_of_squares(tmp_path):
    options = [DataOptions(resize=4, **changes) for changes in ({}, {"fit": "crop"}, {"background": "black"})]
    assert [chosen(part(), each).conversions for each in options] == [
        ("padded with white to squares",), (), ("padded with black to squares",),
    ]  # fmt: skip
    shutil.rmtree(tmp_path / "cache")
    squares = [chosen(part(COLOUR[..., :5]), each) for each in options]
    assert {each.conversions for each in squares} == {()}
    assert len(list((tmp_path / "cache" / "decoded").iterdir())) == 1


@pytest.mark.parametrize("options", [DataOptions(), DataOptions(resize=3), DataOptions(resize=12, grayscale=True)])
def test_a_folder_and_an_npz_file_of_the_same_pixels_are_the_same_images(tmp_path, options):
    rows = np.ascontiguousarray(COLOUR.transpose(0, 2, 3, 1))
    order = np.argsort(LABELS, kind="stable")
    folder = write_folder(
        tmp_path / "folder", {f"train/{LABELS[n]}/{n}.png": Image.fromarray(rows[n]) for n in order.tolist()}
    )
    npz = write_npz(tmp_path / "some.npz", {"train_images": rows[order], "train_labels": LABELS[order]})
    training_sets = [load_training_set(DataSource(str(path), options=options)) for path in (folder, npz)]
    np.testing.assert_array_equal(training_sets[0].images, training_sets[1].images)
    assert training_sets[0].labels.tolist() == training_sets[1].labels.tolist()
    assert training_sets[0].classes == training_sets[1].classes
