import numpy as np
import pytest

from sweeper.data.splits import Split, split_once
from tests.data.test_splits import assert_together, class_counts, make_images, sizes, unchanging_images, with_duplicates


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("subset", "validation", "confirm"), [(None, 60, 30), (150, 30, 15), (155, 31, 16), (299, 60, 30)]
)
def test_own_validation_is_the_validation_part_or_its_share_of_the_subset(seed, subset, validation, confirm):
    images, labels = make_images([150, 100, 50])
    own = np.sort(np.concatenate([np.flatnonzero(labels == label)[-20:] for label in range(3)]))
    split = split_once(images, labels, validation=0.5, confirm=0.1, seed=seed, subset=subset, own_validation=own)
    assert sizes(split) == ((subset or 300) - validation - confirm, validation, confirm)
    assert np.isin(split.validation, own).all()
    assert not np.isin(np.concatenate([split.train, split.confirm]), own).any()
    assert len(np.unique(np.concatenate([split.train, split.validation, split.confirm]))) == (subset or 300)
    assert max(class_counts(labels, split.validation, 3)) - min(class_counts(labels, split.validation, 3)) <= 1
    shares = np.array([130, 80, 30]) / 240
    for part in (split.train, split.confirm):
        assert np.abs(class_counts(labels, part, 3) - shares * len(part)).max() < 2


def test_duplicates_move_nothing_into_or_out_of_own_validation():
    images, labels = with_duplicates(0, 20, 5)
    own = np.flatnonzero(np.arange(300) % 5 == 0)
    split = split_once(images, labels, validation=1, confirm=0.2, seed=0, own_validation=own)
    assert split.validation.tolist() == own.tolist()
    rest = Split(split.train, np.array([], dtype=np.int64), split.confirm)
    assert_together(images, rest)
    assert sizes(rest) == (180, 0, 60)


def test_split_around_own_validation_does_not_change_between_versions():
    # Recorded once: a study resumed after an upgrade must not train on what it validated with.
    images, labels = unchanging_images()
    own = np.arange(240, 300)
    split = split_once(images, labels, validation=0.2, confirm=0.1, seed=7, subset=250, own_validation=own)
    assert split.sha256 == "983f218ffcb208b4f426cb4e9964d7e4f605a26846548ea5247af11cd60da430"


@pytest.mark.parametrize(
    ("own", "options", "message"),
    [
        (range(60), {}, r"must hold images and leave some to train on, got 60 \+ 6 of 60"),
        (range(3), {"subset": 9}, r"must hold images and leave some to train on, got 0 \+ 3 of 9"),
        (range(57), {}, r"must hold images and leave some to train on, got 57 \+ 6 of 60"),
        (range(40), {}, "validation must hold an image of each of the 3 classes, got 40 images without class 2"),
        (range(1, 60), {"confirm": 0}, "train must hold an image of each of the 3 classes, got 1 image without"),
        (range(0, 60, 3), {"confirm": 2}, "confirm must hold an image of each of the 3 classes, got 2 images without"),
    ],
)
def test_own_validation_that_leaves_a_part_without_a_class_is_refused(own, options, message):
    images, labels = make_images([20, 20, 20])
    order = np.argsort(labels)
    with pytest.raises(ValueError, match=message):
        split_once(
            images[order],
            labels[order],
            own_validation=np.array(own),
            **{"validation": 0.1, "confirm": 0.1, "seed": 0, **options},
        )
