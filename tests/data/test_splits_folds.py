import numpy as np
import pytest

from sweeper.data.splits import Split, split_folds, split_once, splits_sha256
from tests.data.test_splits import (
    PARTS,
    assert_partition,
    assert_together,
    class_counts,
    make_images,
    sizes,
    unchanging_images,
    with_duplicates,
)


def assert_folds(splits: list[Split], expected: np.ndarray, images: np.ndarray) -> None:
    """Checks that every split is a partition with duplicates together, and that the validation parts are one, too."""
    for split in splits:
        assert_partition(split, expected)
        assert_together(images, split)
        np.testing.assert_array_equal(split.confirm, splits[0].confirm)
    scored = np.sort(np.concatenate([split.validation for split in splits]))
    np.testing.assert_array_equal(scored, np.setdiff1d(expected, splits[0].confirm))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("folds", [2, 3, 7])
@pytest.mark.parametrize(("confirm", "n_confirm"), [(0, 0), (0.1, 30), (37, 37)])
def test_folds_are_stratified_and_disjoint_and_cover_all_but_confirm(seed, folds, confirm, n_confirm):
    images, labels = make_images([150, 100, 50])
    splits = split_folds(images, labels, folds=folds, confirm=confirm, seed=seed)
    assert len(splits) == folds
    assert_folds(splits, np.arange(300), images)
    assert len(splits[0].confirm) == n_confirm
    counts = np.array([class_counts(labels, split.validation, 3) for split in splits])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("folds", [2, 5])
@pytest.mark.parametrize(("n_groups", "group"), [(10, 2), (20, 5), (75, 2), (5, 20)])
def test_duplicates_share_a_fold_and_leave_the_counts_alike(seed, folds, n_groups, group):
    images, labels = with_duplicates(seed, n_groups, group)
    splits = split_folds(images, labels, folds=folds, confirm=0.1, seed=seed)
    assert_folds(splits, np.arange(300), images)
    counts = np.array([class_counts(labels, split.validation, 3) for split in splits])
    assert counts.sum(axis=1).tolist() == [270 // folds] * folds
    assert np.ptp(counts, axis=0).max() <= 1
    assert class_counts(labels, splits[0].confirm, 3) == [10, 10, 10]


@pytest.mark.parametrize("seed", range(5))
def test_folds_of_duplicates_only_are_still_a_partition_with_groups_together(seed):
    images, labels = with_duplicates(seed, 150, 2)
    splits = split_folds(images, labels, folds=3, confirm=0.1, seed=seed)
    assert_folds(splits, np.arange(300), images)
    assert min(len(split.validation) for split in splits) > 50


@pytest.mark.parametrize("seed", range(3))
def test_folds_of_a_subset_are_of_its_images(seed):
    images, labels = with_duplicates(seed, 75, 2)
    splits = split_folds(images, labels, folds=4, confirm=0.2, seed=seed, subset=200)
    split = split_once(images, labels, validation=0.2, confirm=0.2, seed=seed, subset=200)
    assert_folds(splits, np.sort(np.concatenate([getattr(split, name) for name in PARTS])), images)
    assert sizes(splits[0]) == (120, 40, 40)


@pytest.mark.parametrize("confirm", [0, 0.1, 50])
def test_confirm_of_folds_is_that_of_a_single_split(confirm):
    images, labels = make_images([100, 100])
    single = split_once(images, labels, validation=0.2, confirm=confirm, seed=3)
    for folds in (2, 5):
        splits = split_folds(images, labels, folds=folds, confirm=confirm, seed=3)
        np.testing.assert_array_equal(splits[0].confirm, single.confirm)


def test_seed_determines_all_folds():
    images, labels = make_images([100, 100])

    def digest(seed: int) -> str:
        return splits_sha256(split_folds(images, labels, folds=4, confirm=0, seed=seed))

    assert digest(3) == digest(3)
    assert len({digest(seed) for seed in range(10)}) == 10


def test_folds_do_not_change_between_versions():
    images, labels = unchanging_images()
    splits = split_folds(images, labels, folds=5, confirm=0.1, seed=7, subset=250)
    assert splits_sha256(splits) == "fd8d10f13085b2b94d69b9b5ead75540cbe5e7072b2120ed040e71c200396675"


def test_hash_of_one_split_is_its_own_and_that_of_several_depends_on_their_order():
    images, labels = make_images([50, 50])
    splits = split_folds(images, labels, folds=3, confirm=0.1, seed=0)
    assert splits_sha256(splits[:1]) == splits[0].sha256
    assert len({splits_sha256(some) for some in (splits, splits[::-1], splits[:2], splits[:1])}) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds must be at least 2, got 1"),
        ({"folds": 19}, "each of 19 folds must hold an image of each class, got 18 images of class 0"),
        ({"folds": 2, "subset": 2, "confirm": 0}, "each of 2 folds must hold an image of each class, got [01] images"),
        ({"confirm": -1}, "confirm as a count must be at least 0, got -1"),
        ({"confirm": 60}, "confirm must leave images to train on, got 60 of 60 images"),
        ({"confirm": 2}, "confirm must hold an image of each of the 3 classes, got 2 images without class"),
        ({"subset": 61}, r"subset must be in 1..60 \(the size of the training set\), got 61"),
        ({"seed": -1}, "seed must not be negative, got -1"),
    ],
)
def test_bad_values_for_folds_are_refused_with_rule_and_value(options, message):
    images, labels = make_images([20, 20, 20])
    with pytest.raises(ValueError, match=message):
        split_folds(images, labels, **{"folds": 3, "confirm": 0.1, "seed": 0, **options})


def test_fold_that_duplicates_leave_empty_is_refused():
    message = r"fold \d must hold an image of each of the 2 classes, got 10 images of class \d, of which only 1 is diff"
    with pytest.raises(ValueError, match=message):
        split_folds(np.zeros((20, 1, 2, 2), np.uint8), np.arange(20) % 2, folds=2, confirm=0, seed=0)
