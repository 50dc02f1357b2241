import numpy as np
import pytest

from sweeper.data.splits import Split, duplicate_groups, split_folds, split_once
from tests.hostile import within

PARTS = ("train", "validation", "confirm")


def make_images(counts: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Distinct images (their pixels hold the index) in shuffled class order."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    images = np.zeros((len(labels), 1, 2, 2), dtype=np.uint8)
    images.reshape(len(labels), 4)[:] = np.arange(len(labels), dtype=">u4").view(np.uint8).reshape(-1, 4)
    return images, labels


def sizes(split: Split) -> tuple[int, ...]:
    return tuple(len(getattr(split, name)) for name in PARTS)


def assert_partition(split: Split, expected: np.ndarray) -> None:
    parts = [getattr(split, name) for name in PARTS]
    for part in parts:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), expected)


def assert_together(images: np.ndarray, split: Split) -> None:
    seen: dict[bytes, str] = {}
    for name in PARTS:
        for index in getattr(split, name):
            assert seen.setdefault(images[index].tobytes(), name) == name


def class_counts(labels: np.ndarray, part: np.ndarray, classes: int) -> list[int]:
    return np.bincount(labels[part], minlength=classes).tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("validation", "confirm", "expected"),
    [
        (0.1, 0.1, (240, 30, 30)),
        (0.1, 0, (270, 30, 0)),
        (0.1, 0.0, (270, 30, 0)),
        (45, 0.25, (180, 45, 75)),
        (31, 17, (252, 31, 17)),
        (290, 7, (3, 290, 7)),
    ],
)
def test_parts_are_a_stratified_partition_of_exact_sizes(seed, validation, confirm, expected):
    images, labels = make_images([150, 100, 50])
    if expected == (3, 290, 7):
        images, labels = make_images([100, 100, 100])
    split = split_once(images, labels, validation=validation, confirm=confirm, seed=seed)
    assert_partition(split, np.arange(300))
    assert sizes(split) == expected
    shares = np.bincount(labels) / 300
    for name in PARTS:
        part = getattr(split, name)
        assert np.abs(class_counts(labels, part, 3) - shares * len(part)).max() < 2


@pytest.mark.parametrize("subset", [30, 50, 299, 300])
def test_subset_is_stratified_and_of_exact_size(subset):
    images, labels = make_images([100, 100, 100])
    split = split_once(images, labels, validation=0.1, confirm=0.1, seed=0, subset=subset)
    chosen = np.sort(np.concatenate([getattr(split, name) for name in PARTS]))
    assert len(np.unique(chosen)) == len(chosen) == subset
    counts = class_counts(labels, chosen, 3)
    assert max(counts) - min(counts) <= 1
    assert len(split.validation) == len(split.confirm) == int(0.1 * subset + 0.5)


def with_duplicates(seed: int, n_groups: int, group: int) -> tuple[np.ndarray, np.ndarray]:
    """300 images, with n_groups groups of `group` identical images each, some under different labels."""
    images, labels = make_images([100, 100, 100], seed)
    chosen = np.random.default_rng(seed).permutation(300)[: n_groups * group].reshape(n_groups, group)
    for members in chosen:
        images[members] = images[members[0]]
    return images, labels


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n_groups", "group"), [(10, 2), (20, 5), (75, 2), (5, 20)])
def test_duplicates_stay_together_and_leave_the_counts_exact(seed, n_groups, group):
    images, labels = with_duplicates(seed, n_groups, group)
    split = split_once(images, labels, validation=0.2, confirm=0.1, seed=seed)
    assert_partition(split, np.arange(300))
    assert_together(images, split)
    assert sizes(split) == (210, 60, 30)
    for name, expected in (("train", 70), ("validation", 20), ("confirm", 10)):
        assert np.abs(np.array(class_counts(labels, getattr(split, name), 3)) - expected).max() < 2


def test_duplicates_of_conflicting_labels_stay_together():
    images, labels = make_images([50, 50])
    for first, second in zip(np.flatnonzero(labels == 0)[:20], np.flatnonzero(labels == 1)[:20], strict=True):
        images[second] = images[first]
    split = split_once(images, labels, validation=0.3, confirm=0.3, seed=1)
    assert_together(images, split)
    assert sizes(split) == (40, 30, 30)


def test_duplicates_inside_a_subset_stay_together():
    images, labels = with_duplicates(0, 75, 2)
    split = split_once(images, labels, validation=0.3, confirm=0.2, seed=0, subset=200)
    assert_together(images, split)
    assert sizes(split) == (100, 60, 40)


@pytest.mark.parametrize("seed", range(5))
def test_split_of_duplicates_only_is_still_a_partition_with_groups_together(seed):
    images, labels = with_duplicates(seed, 150, 2)
    split = split_once(images, labels, validation=0.3, confirm=0.3, seed=seed)
    assert_partition(split, np.arange(300))
    assert_together(images, split)
    assert min(sizes(split)) > 40


def test_part_that_duplicates_leave_empty_is_refused():
    labels = np.arange(20) % 2
    with pytest.raises(
        ValueError, match="each of the 2 classes, got 10 images of class 0, of which only 1 is different"
    ):
        split_once(np.zeros((20, 1, 2, 2), np.uint8), labels, validation=0.2, confirm=0.2, seed=0)


def test_duplicate_groups_are_found_by_exact_bytes():
    images = np.zeros((6, 1, 2, 2), dtype=np.uint8)
    images[[1, 4], 0, 1, 1] = 1
    images[2, 0, 0, 0] = 1
    groups = [group.tolist() for group in duplicate_groups(images, np.arange(6))]
    assert groups == [[0, 3, 5], [1, 4]]
    assert [group.tolist() for group in duplicate_groups(images, np.array([1, 2, 3, 5]))] == [[3, 5]]


def test_seed_determines_the_split():
    images, labels = with_duplicates(0, 10, 3)

    def digest(seed: int) -> str:
        return split_once(images, labels, validation=0.2, confirm=0.1, seed=seed, subset=250).sha256

    assert digest(3) == digest(3)
    assert len({digest(seed) for seed in range(10)}) == 10


def unchanging_images() -> tuple[np.ndarray, np.ndarray]:
    """300 images with twenty pairs, made without random numbers, since numpy may change its generators."""
    pixels = np.arange(300, dtype=">u4")
    pixels[1:40:2] = pixels[0:40:2]
    return pixels.view(np.uint8).reshape(300, 1, 2, 2), np.arange(300) % 3


def test_split_does_not_change_between_versions():
    # Recorded once: a study resumed after an upgrade must not train on what it validated with.
    images, labels = unchanging_images()
    split = split_once(images, labels, validation=0.2, confirm=0.1, seed=7, subset=250)
    assert split.sha256 == "4dc4ad3ff46dd414d6255a5cf83f2b4326272f4d3a4d3df4471018c94de89a84"


def test_global_random_state_is_neither_used_nor_changed():
    images, labels = make_images([50, 50])
    np.random.seed(1)
    first = split_once(images, labels, validation=0.2, confirm=0.1, seed=0).sha256
    drawn = np.random.random()
    np.random.seed(1)
    assert np.random.random() == drawn
    assert split_once(images, labels, validation=0.2, confirm=0.1, seed=0).sha256 == first


def test_confirm_is_the_same_whatever_validation_takes():
    images, labels = make_images([100, 100])
    confirm = [
        split_once(images, labels, validation=validation, confirm=0.1, seed=0).confirm.tolist()
        for validation in (0.1, 0.3, 50)
    ]
    assert confirm[0] == confirm[1] == confirm[2]


def test_hash_tells_the_parts_apart():
    a, b, none = np.array([1, 2]), np.array([3]), np.array([], dtype=np.int64)
    splits = [Split(a, b, none), Split(b, a, none), Split(a, none, b), Split(np.array([1, 2, 3]), none, none)]
    assert len({split.sha256 for split in splits}) == 4
    assert Split(a, b, none).sha256 == Split(a.copy(), b, none).sha256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 0.0}, r"validation as a share must be in \(0, 1\), got 0.0"),
        ({"validation": 1.0}, r"validation as a share must be in \(0, 1\), got 1.0"),
        ({"validation": float("nan")}, r"validation as a share must be in \(0, 1\), got nan"),
        ({"confirm": -0.1}, r"confirm as a share must be in \[0, 1\), got -0.1"),
        ({"validation": 0}, "validation as a count must be at least 1, got 0"),
        ({"validation": True}, "validation as a count must be at least 1, got True"),
        ({"confirm": -1}, "confirm as a count must be at least 0, got -1"),
        ({"confirm": 0.001}, "confirm must come to at least one image, got 0.001 of 60 images"),
        ({"validation": 50, "confirm": 10}, r"must leave images to train on, got 50 \+ 10 of 60 images"),
        ({"validation": 0.5, "confirm": 0.5}, r"must leave images to train on, got 30 \+ 30 of 60 images"),
        ({"subset": 61}, r"subset must be in 1..60 \(the size of the training set\), got 61"),
        ({"subset": 0}, r"subset must be in 1..60 \(the size of the training set\), got 0"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"validation": 2}, "validation must hold an image of each of the 3 classes, got 2 images without class"),
        ({"confirm": 2}, "confirm must hold an image of each of the 3 classes, got 2 images without class"),
        ({"validation": 55, "confirm": 3}, "train must hold an image of each of the 3 classes, got 2 images"),
        ({"subset": 2, "validation": 1, "confirm": 0}, "must hold an image of each of the 3 classes, got 1 image "),
    ],
)
def test_bad_values_are_refused_with_rule_and_value(options, message):
    images, labels = make_images([20, 20, 20])
    with pytest.raises(ValueError, match=message):
        split_once(images, labels, **{"validation": 0.1, "confirm": 0.1, "seed": 0, **options})


def test_class_with_fewer_images_than_parts_is_refused():
    images, labels = make_images([100, 100, 2])
    with pytest.raises(ValueError, match=r"must hold an image of each of the 3 classes, .* without class 2"):
        split_once(images, labels, validation=0.1, confirm=0.1, seed=0)


@pytest.mark.parametrize("sizes", [[3] * 10, [3, 3], [5, 3, 4, 3, 3, 7], [60] + [3] * 20])
@pytest.mark.parametrize("seed", range(3))
def test_each_class_of_three_images_has_one_in_each_part(sizes, seed):
    images, labels = make_images(sizes)
    split = split_once(images, labels, validation=0.1, confirm=0.1, seed=seed)
    for part in (split.train, split.validation, split.confirm):
        assert set(labels[part]) == set(range(len(sizes)))
    (fold, *_) = split_folds(images, labels, folds=2, confirm=0.1, seed=seed)
    assert set(labels[fold.confirm]) == set(range(len(sizes)))


def test_images_and_labels_of_different_length_are_refused():
    images, labels = make_images([20, 20])
    with pytest.raises(ValueError, match="one label per image, got 40 images and 39 labels"):
        split_once(images, labels[:-1], validation=0.1, confirm=0.1, seed=0)


def test_sixty_thousand_images_are_cut_into_the_wanted_parts():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60_000, 1, 28, 28), dtype=np.uint8)
    labels = rng.permutation(np.arange(60_000) % 10)
    with within():
        split = split_once(images, labels, validation=0.1, confirm=0.1, seed=0)
    assert sizes(split) == (48_000, 6_000, 6_000)
