import re

import numpy as np
import pytest

from sweeper.data.splits import split_folds, split_once
from sweeper.images.shortages import require_every_class

NAMES = ("cat", "dog", "emu")


def labels_of(*counts):
    return np.repeat(np.arange(len(counts)), counts)


def refusal(cut, counts, names=NAMES, **options):
    """The message for so many images of each class, all different."""
    labels = labels_of(*counts)
    images = np.arange(len(labels), dtype=np.uint16).view(np.uint8).reshape(len(labels), 1, 1, 2)
    with pytest.raises(ValueError, match=r"must hold an image of each") as refused:
        cut(images, labels, **{"confirm": 0.1, "seed": 0, "classes": names, **options})
    return str(refused.value)


@pytest.mark.parametrize(
    ("counts", "options", "end"),
    [
        ((60, 60, 1), {}, "emu, which has 1 in all; --min-per-class 2 leaves out this class"),
        (
            (60, 60, 2),
            {},
            "which has 2 in all; --set confirm=0 needs no confirm part, or --min-per-class 3 leaves out this class",
        ),
        ((60, 1, 1), {}, "dog, which has 1 in all; add images: a class needs 3 or more"),
        ((1000, 1), {}, "dog, which has 1 in all; add images: a class needs 3 or more"),
        ((60, 60, 60), {"validation": 2}, "; --set validation=3 or more makes it large enough"),
        (
            (60, 60, 60),
            {"confirm": 2},
            "; --set confirm=3 or more makes it large enough, or --set confirm=0 needs no confirm part",
        ),
        ((60, 60, 60), {"subset": 4, "validation": 1, "confirm": 1}, "; a larger --subset draws more of each class"),
        ((20, 20, 20), {"validation": 55, "confirm": 3}, "; --set validation=N and --set confirm=N leave more for it"),
    ],
)
def test_refusal_of_a_part_names_what_helps(counts, options, end):
    assert refusal(split_once, counts, **{"validation": 0.1, **options}).endswith(end)


def test_option_that_a_refusal_names_helps():
    for counts, changed in (((60, 60, 2), {"confirm": 0}), ((60, 60, 60), {"validation": 3, "confirm": 3})):
        labels = labels_of(*counts)
        images = np.arange(len(labels), dtype=np.uint16).view(np.uint8).reshape(len(labels), 1, 1, 2)
        split_once(images, labels, **{"validation": 0.1, "confirm": 0.1, "seed": 0, **changed})


def test_own_validation_part_that_lacks_a_class_is_told_what_it_has():
    names = ("big, cat", "dog", "emu")
    own = np.array([*range(10), *range(40, 50)])
    end = """without class emu, which has 40 in all; --resplit cuts this part from all training images, or """
    end += """--classes '"big, cat",dog' uses those that it has"""
    assert refusal(split_once, (40, 40, 40), names, validation=0.1, own_validation=own).endswith(end)


@pytest.mark.parametrize(
    ("counts", "folds", "end"),
    [
        ((60, 60, 3), 5, "of class emu; use at most --folds 3, or --min-per-class 4 leaves out this class"),
        ((60, 4, 3), 5, "of class dog; use at most --folds 3, or add images: a class needs 5 or more"),
        ((60, 60, 1, 4), 5, "of class 2; --min-per-class 5 leaves out 2 classes"),
    ],
)
def test_refusal_of_folds_names_what_helps(counts, folds, end):
    names = NAMES if len(counts) == 3 else None
    assert refusal(split_folds, counts, names, folds=folds, confirm=0).endswith(end)


def test_part_that_copies_leave_without_a_class_is_told_so():
    with pytest.raises(ValueError, match=re.escape("copies of an image share a part: remove the copies")):
        require_every_class("validation", np.array([0, 1]), labels_of(5, 5), None)


@pytest.mark.parametrize(
    ("copies", "end"),
    [
        (
            {0: 60},
            "got 60 images of class cat, of which only 1 is different: copies share a part; "
            "add other images: a class needs 3 that differ, or --classes dog,emu uses those that have them",
        ),
        ({0: 60, 1: 59}, "share a part; add other images: a class needs 3 that differ"),
    ],
)
def test_class_of_copies_is_told_as_no_number_helps(copies, end):
    labels = labels_of(60, 60, 60)
    images = np.arange(len(labels), dtype=np.uint16)
    for label, n_copies in copies.items():
        images[60 * label : 60 * label + n_copies] = 1000 + label
    images = images.view(np.uint8).reshape(len(labels), 1, 1, 2)
    for validation in (0.1, 3, 60):
        with pytest.raises(ValueError, match="must hold an image of each") as refused:
            split_once(images, labels, validation=validation, confirm=0.1, seed=0, classes=NAMES)
        assert str(refused.value).endswith(end)
