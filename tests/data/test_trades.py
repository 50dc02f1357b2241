import numpy as np
import pytest

from sweeper.data.splits import split_folds, split_once
from sweeper.data.trades import spread_small_classes


def images(labels):
    """An image for each label, no two alike."""
    return np.arange(len(labels) * 4, dtype=np.uint32).view(np.uint8).reshape(len(labels), 1, 4, 4)


@pytest.mark.parametrize("seed", range(8))
def test_class_with_three_images_has_one_in_each_part_and_all_sizes_stay(seed):
    labels = np.array([0] * 40 + [1] * 40 + [2] * 3 + [3] * 3)
    split = split_once(images(labels), labels, validation=10, confirm=10, seed=seed)
    parts = (split.train, split.validation, split.confirm)
    assert [len(part) for part in parts] == [66, 10, 10]
    assert [np.unique(labels[part]).tolist() for part in parts] == [[0, 1, 2, 3]] * 3
    assert sorted(np.concatenate(parts)) == list(range(86))


def test_class_with_fewer_images_than_parts_is_refused():
    labels = np.array([0] * 40 + [1] * 40 + [2] * 2)
    with pytest.raises(ValueError, match="without class 2"):
        split_once(images(labels), labels, validation=10, confirm=10, seed=0)
    split_once(images(labels), labels, validation=10, confirm=0, seed=0)  # two parts


def test_folds_and_confirm_get_small_classes_too():
    labels = np.array([0] * 40 + [1] * 40 + [2] * 4)
    for seed in range(8):
        found = split_folds(images(labels), labels, folds=3, confirm=8, seed=seed)
        for part in (found[0].confirm, *(split.validation for split in found)):
            assert set(labels[part]) == {0, 1, 2}


def test_split_that_lacks_no_class_stays_as_it_is():
    labels = np.array([0, 1] * 10)
    part = np.array([0] * 10 + [1] * 10)
    before = part.copy()
    spread_small_classes([], np.arange(20), part, labels, [0, 1])
    assert part.tolist() == before.tolist()


def test_images_that_may_not_be_traded_stay():
    labels = np.array([0] * 8 + [1] * 2)
    part = np.array([0] * 4 + [1] * 4 + [0] * 2)
    spread_small_classes([np.array([8, 9])], np.arange(10), part, labels, [0, 1])
    assert part.tolist() == [0] * 4 + [1] * 4 + [0] * 2
