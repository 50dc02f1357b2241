from dataclasses import replace

import numpy as np
import pytest

from sweeper.config import Protocol
from sweeper.data.training_set import TrainingSet
from sweeper.runs.study_splits import splits_of


def splits(training_set, **protocol):
    return splits_of(training_set, Protocol(confirm=0.1, validation=0.2, **protocol), seed=0, subset=None)


def training_set(own_validation):
    images = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
    return TrainingSet("some", images, np.arange(100) % 2, ("a", "b"), "0" * 64, "somewhere", own_validation)


def test_own_validation_is_what_one_split_validates_with():
    own = np.arange(70, 100)
    (split,) = splits(training_set(own))
    assert split.validation.tolist() == own.tolist()
    assert len(splits(training_set(None))[0].validation) == 20


@pytest.mark.parametrize("own", [None, np.arange(70, 100)])
def test_folds_take_their_images_from_the_whole_training_set(own):
    folds = splits(training_set(own), folds=3)
    assert [split.sha256 for split in folds] == [split.sha256 for split in splits(training_set(None), folds=3)]
    assert sum(len(split.validation) for split in folds) == 90


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "got 20 images without class lynx"),
        ({"folds": 3}, "got 1 image of class lynx"),
    ],
)
@pytest.mark.parametrize("own", [None, np.arange(70, 90)])
def test_class_with_too_few_images_is_called_by_its_name(own, changes, message):
    few = replace(training_set(own), labels=np.array([0] * 99 + [1]), classes=("cat", "lynx"))
    with pytest.raises(ValueError, match=message):
        splits(few, **changes)
