import numpy as np
import pytest

from sweeper.data.own.npz_arrays import opened
from sweeper.data.own.npz_labels import class_names_of, classes_of, labels_of
from sweeper.errors import UsageError
from tests.data.pictures import write_npz


def labels(tmp_path, array):
    with opened(write_npz(tmp_path / "some.npz", {"y": np.asarray(array)}), "y") as stored:
        return labels_of(stored)


def names(tmp_path, array):
    with opened(write_npz(tmp_path / "some.npz", {"classes": np.asarray(array)}), "classes") as stored:
        return class_names_of(stored)


def read(tmp_path, array, class_names=()):
    """The class names, the class of each image, and what was converted."""
    found = labels(tmp_path, array)
    classes = classes_of([found], class_names)
    return (
        classes.names,
        classes.numbers(found).tolist(),
        [text for text in (found.conversion, classes.conversion) if text],
    )


@pytest.mark.parametrize(
    ("array", "classes", "numbers"),
    [
        (np.array([0, 1, 2, 1], "u1"), ("0", "1", "2"), [0, 1, 2, 1]),
        (np.array([[3], [1], [2], [10]], ">i4"), ("1", "2", "3", "10"), [2, 0, 1, 3]),
        (np.array([0, 5, 2, 5]), ("0", "2", "5"), [0, 2, 1, 2]),
        (np.array([0, 1, 10**12]), ("0", "1", "1000000000000"), [0, 1, 2]),
        (np.array([1, -1, -1]), ("-1", "1"), [1, 0, 0]),
        (np.array([True, False]), ("False", "True"), [1, 0]),
        (np.array(["dog", "cat", "dog"]), ("cat", "dog"), [1, 0, 1]),
        (np.array([["dog"], ["cat"]]), ("cat", "dog"), [1, 0]),
        (np.array([[0, 2, 1, 0]]), ("0", "1", "2"), [0, 2, 1, 0]),  # as MATLAB has it
        (np.array([b"dog ", "caf\u00e9".encode(), b"dog"]), ("caf\u00e9", "dog"), [1, 0, 1]),
        (np.array(["caf\u00e9", "cafe\u0301", "dog"]), ("caf\u00e9", "dog"), [0, 0, 1]),
        (np.array(["10", "9", "1"]), ("1", "9", "10"), [2, 1, 0]),
    ],
)
def test_classes_are_called_as_the_labels_and_numbers_sorted_as_such(tmp_path, array, classes, numbers):
    assert read(tmp_path, array) == (classes, numbers, [])


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.eye(3)[[2, 0, 1, 0]], "one-hot labels to classes"),
        (np.eye(3, dtype=bool)[[2, 0, 1, 0]], "one-hot labels to classes"),
        (np.asfortranarray(np.eye(3, dtype="i8")[[2, 0, 1, 0]]), "one-hot labels to classes"),
        (np.array([2, 0, 1, 0], "f4"), "labels of floats to whole numbers"),
        (np.array([[2], [0], [1], [0]], ">f8"), "labels of floats to whole numbers"),
    ],
)
def test_one_hot_and_float_labels_are_converted_and_told(tmp_path, array, told):
    assert read(tmp_path, array) == (("0", "1", "2"), [2, 0, 1, 0], [told])


def test_columns_that_are_1_for_no_image_are_no_classes(tmp_path):
    assert read(tmp_path, np.eye(5)[[4, 1, 4]])[:2] == (("1", "4"), [1, 0, 1])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.int64(3), r"there must be at least one label, got shape \(\)"),
        (np.zeros(0), r"there must be at least one label, got shape \(0,\)"),
        (np.array([0, 1], "M8[D]"), r"labels must be whole numbers or text, got datetime64\[D\]"),
        (
            np.array([[1, 0, 1], [0, 1, 0]]),
            "multi-label rows: 1 of 2 rows of 3 name none or several .*; keep one column",
        ),
        (np.array([[0, 0], [0, 1]], bool), "multi-label rows: 1 of 2 rows of 2 name none or several"),
        (np.array([[0.2, 0.8], [0.5, 0.5]]), r"soft labels: 2 rows of 2 shares .*; numpy.argmax\(labels, 1\)"),
        (np.array([[3, 7], [1, 2]]), "each image must have one label, got 2 rows of 2 numbers .*; keep one column"),
        (np.array([["a", "b"]] * 3), "each image must have one label, got 3 rows of 2 texts .*; keep one column"),
        (np.zeros((2, 4, 4), int), r"got 2 x 4 x 4 \(.*; masks that label the pixels of an image cannot be used"),
        (np.array([0, 1, -1, -2]), r"must not be negative, got -2 for 2 of 4 images \(.*; leave out images without a"),
        (np.array([-1, -1, 0]), r"must not be negative, got -1 for 2 of 3 images"),
        (np.array([0.5, 1, 2.5]), r"labels must be whole numbers or text, got 0.5 for 2 of 3 images \(.*; leave these"),
        (np.array([0, 1, np.nan]), r"labels must be whole numbers or text, got nan for 1 of 3 images"),
        (np.array([0, 1, np.inf], "f2"), r"labels must be whole numbers or text, got inf for 1 of 3 images"),
        (np.array([0, 2**64 - 1], "u8"), "must be at most 9223372036854775807, got 18446744073709551615"),
        (
            np.array(["cat", "", " "]),
            r"labels must not be empty, got '' for 2 of 3 images \(.*; leave out images without",
        ),
        (np.array([b"caf\xe9", b"dog"]), r"text must be UTF-8, got b'caf\\xe9' \("),
    ],
)
def test_labels_that_are_not_one_class_for_each_image_are_refused_by_name(tmp_path, array, message):
    with pytest.raises(UsageError, match=message) as refusal:
        labels(tmp_path, array)
    assert "some.npz, y)" in str(refusal.value)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ([0, 0], "at least two classes, got only 0"),
        (["a\x00b", "c"], r"a class must have a printable name, got 'a\\x00b'"),
        (["Cat", "cat"], "must differ by more than case, got Cat and cat .*; rename or join them, or store an array"),
    ],
)
def test_labels_that_make_no_classes_are_refused(tmp_path, array, message):
    with pytest.raises(UsageError, match=message):
        read(tmp_path, array)


@pytest.mark.parametrize(
    ("array", "class_names", "expected", "told"),
    [
        ([2, 0, 1, 0], ("ape", "bee", "cow"), ("ape", "bee", "cow"), []),
        ([2, 0, 2, 0], ("ape", "bee", "cow"), ("ape", "cow"), []),
        ([3, 1, 2, 1], ("ape", "bee", "cow"), ("ape", "bee", "cow"), ["labels from 1"]),
        (["cow", "ape", "bee", "ape"], ("cow", "bee", "ape"), ("cow", "bee", "ape"), []),
        (["a", "A", "b", "A"], ("A", "a", "b"), ("A", "a", "b"), []),
        (np.eye(3)[[2, 0, 1, 0]], ("ape", "bee", "cow"), ("ape", "bee", "cow"), ["one-hot labels to classes"]),
        ([True, False, True, False], ("no", "yes"), ("no", "yes"), []),
        ([2, 0, 1, 0], ("2", "0", "1"), ("2", "0", "1"), []),  # places, as all of them are there
    ],
)
def test_class_names_stand_for_the_labels_by_place_or_by_text(tmp_path, array, class_names, expected, told):
    found, numbers, conversions = read(tmp_path, array, class_names)
    assert (found, conversions) == (expected, told)
    named = [found[number] for number in numbers]
    assert named == ([class_names[place - (told == ["labels from 1"])] for place in places(array)] or list(array))


@pytest.mark.parametrize(
    ("array", "class_names", "expected"),
    [
        ([0, 5, 2], ("0", "2", "5"), ("0", "2", "5")),
        ([1, 2, 1], ("1", "2", "3"), ("1", "2")),
        ([3, 7], ("7", "3"), ("7", "3")),
    ],
)
def test_numbers_that_are_class_names_stand_for_themselves(tmp_path, array, class_names, expected):
    found, numbers, conversions = read(tmp_path, array, class_names)
    assert (found, [found[number] for number in numbers], conversions) == (expected, list(map(str, array)), [])


def places(array):
    """Where numbers and one-hot rows point to; nothing for text."""
    values = np.asarray(array)
    return [] if values.dtype.kind == "U" else (values.argmax(1) if values.ndim == 2 else values.astype(int)).tolist()


def test_names_without_training_images_are_told(tmp_path):
    found = labels(tmp_path, [0, 3, 3])
    assert classes_of([found], ("ape", "bee", "cow", "dog")).empty == ("bee", "cow")


@pytest.mark.parametrize("array", [[1, 2, 1, 2], [2, 3, 3], [1, 3, 3]])
def test_labels_that_may_count_the_class_names_from_0_or_1_are_asked_for(tmp_path, array):
    given, found = ("ape", "bee", "cow", "dog"), labels(tmp_path, array)
    from_0, from_1 = (tuple(given[label - first] for label in sorted(set(array))) for first in (0, 1))
    message = f"got labels from {min(array)} to {max(array)}, which may be {', '.join(from_0)} or {', '.join(from_1)} "
    with pytest.raises(UsageError, match=f"from 0 or from 1, {message}.*; name these in --classes, or store class_na"):
        classes_of([found], given)
    for known, expected in (([0], from_0), ([4, 1], from_1)):  # validation images can tell
        assert classes_of([found], given, [found, labels(tmp_path, known)]).names == expected
    for expected in (from_0, from_1):
        assert classes_of([found], given, [], expected).names == expected
    with pytest.raises(UsageError, match=message):
        classes_of([found], given, [], ("eel",))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ([0, 1, 4], r"must be in 0..2, as there are 3 class names, got 4 \("),
        ([1, 2, 4], r"must be in 0..2, as there are 3 class names, got 4 \("),
        (["ape", "eel", "elk"], r"labels must be among the class names, got eel, elk \("),
    ],
)
def test_labels_that_the_class_names_do_not_cover_are_refused(tmp_path, array, message):
    with pytest.raises(UsageError, match=message):
        read(tmp_path, array, ("ape", "bee", "cow"))


def test_labels_of_several_parts_make_the_classes_together(tmp_path):
    first, second = labels(tmp_path, [0, 1]), labels(tmp_path, [2, 0])
    classes = classes_of([first, second], ())
    assert (classes.names, classes.numbers(second).tolist()) == (("0", "1", "2"), [2, 0])
    assert classes_of([first], ()).numbers(second).tolist() == [-1, 0]


def test_class_names_may_be_bytes_and_must_be_different_printable_text(tmp_path):
    assert names(tmp_path, [b"ape", "b\u00e9".encode()]) == ("ape", "b\u00e9")
    assert names(tmp_path, [[3], [7]]) == ("3", "7")
    with pytest.raises(UsageError, match=r"class names must be an array of text, got float64 of shape \(2,\) .*=str"):
        names(tmp_path, [1.5, 2])
    with pytest.raises(UsageError, match="classes must have different names"):
        names(tmp_path, ["caf\u00e9", "cafe\u0301"])
