from dataclasses import replace

import numpy as np
import pytest

from sweeper.config import Protocol
from sweeper.data.training_set import TrainingSet
from sweeper.inspection.duplicates import Labelled, duplicate_summary
from sweeper.inspection.readiness import before_you_search


def data_set(labels, images=None, own_validation=None):
    """A training set of random images."""
    rng = np.random.default_rng(1)
    if images is None:
        images = rng.integers(0, 256, (len(labels), 1, 8, 8), dtype=np.uint8)
    classes = tuple(f"class {label}" for label in range(max(labels) + 1))
    return TrainingSet("mine", images, np.array(labels), classes, "ab", "/data", own_validation)


def sentences(found, **protocol):
    duplicates = duplicate_summary(Labelled(found.images, found.labels), None, found.classes, found.own_validation)
    return before_you_search(found, duplicates, Protocol(**protocol), None)


def test_data_that_carry_a_search_need_no_word():
    assert sentences(data_set([0, 1, 2] * 1000)) == []


def test_small_validation_part_is_told_with_its_resolution():
    (told,) = sentences(data_set([0, 1] * 400))
    assert told.startswith("One of the 80 validation images is 1.2 points of accuracy: --folds 5 scores")
    assert told.endswith(", in five times the time")
    (told,) = sentences(data_set([0, 1] * 400, own_validation=np.arange(784, 800)))
    assert told.startswith("One of the 16 validation images is 6.2 points of accuracy: --resplit cuts")


def test_what_would_be_refused_is_told_with_the_remedy():
    told = sentences(data_set([0, 1] * 400 + [2]))
    assert told[0].startswith("A search would be refused: ")
    assert told[0].endswith("without class class 2, which has 1 in all; --min-per-class 2 leaves out this class")


@pytest.mark.parametrize(
    ("height", "width", "told"),
    [
        (4, 9, ["Images of 4x9 pixels leave no room for convolutions and poolings, for which vgg_small needs 8x8: "]),
        (8, 8, []),
        (255, 255, []),
        (256, 256, ["Images of 256x256 take a network 4 times the computation of 128x128: --resize 128 makes"]),
        (480, 640, ["Images of 480x640 take a network 19 times the computation of 128x128"]),
    ],
)
def test_images_that_are_too_small_or_large_for_a_search_are_told(height, width, told):
    images = np.random.default_rng(1).integers(0, 256, (40, 1, height, width), dtype=np.uint8)
    found = [line for line in sentences(data_set([0, 1] * 20, images)) if line.startswith("Images of ")]
    assert [line[: len(start)] for line, start in zip(found, told, strict=True)] == told


def test_parts_that_are_larger_than_their_shares_are_told():
    told = sentences(data_set(list(range(50)) * 6))
    assert told[0] == "The validation part has 50 images, one of each class, where 10 % of all would be 30"
    assert told[1] == "The confirm part has 50 images, one of each class, where 10 % of all would be 30"
    told = sentences(data_set(list(range(50)) * 6, own_validation=np.arange(200, 300)))
    assert told[0].startswith("The confirm part")


def test_imbalance_is_told_with_the_majority_rate():
    (told,) = sentences(data_set([0] * 2700 + [1] * 300))
    assert told.startswith("Always saying class 0 scores 90.0 % accuracy, and class 1 has 10.0 % of the images")
    assert sentences(data_set([0] * 2000 + [1] * 1000)) == []


def test_copies_in_other_parts_and_under_other_labels_are_told():
    found = data_set([0, 1] * 1500, own_validation=np.arange(2600, 3000))
    found.images[2601] = found.images[1]
    found.images[5] = found.images[4]
    told = sentences(found)
    assert told[0].startswith("1 validation image (0.2 %) is in the training part too, so")
    assert told[0].endswith("remove the copy")
    looked = "with different labels; look at them: at least one label"
    assert told[1] == f"1 group of equal training images {looked} is wrong"
    found.images[2603], found.images[9] = found.images[3], found.images[8]
    told = sentences(found)
    assert told[0].startswith("2 validation images (0.5 %) are in the training part too, so")
    assert told[0].endswith("remove the copies")
    assert told[1] == f"2 groups of equal training images {looked} of each group is wrong"


def test_images_of_one_colour_are_counted_and_named():
    found = data_set([0, 1] * 1500)
    for index, value in ((7, 0), (9, 255)):
        found.images[index] = value
    assert sentences(found) == ["2 training images have one colour (index 7, 9): only their colour can be learnt"]
    one = data_set([0, 1] * 1500)
    one.images[7] = 0
    assert sentences(one) == ["1 training image has one colour (index 7): only its colour can be learnt"]
    found = replace(found, files=tuple(f"{number}\n.png" for number in range(3000)))
    (told,) = sentences(found)
    assert told.startswith(r"2 training images have one colour ('7\n.png', '9\n.png'): only")
    (told,) = sentences(replace(found, conversions=("transparency on white",)))
    assert told.endswith("can be learnt; those with white ink show it with --background black")


def test_classes_without_test_images_are_named():
    found = data_set([0, 1, 2] * 1000)
    tested = {"class 0": 5, "class 1": 0, "class 2": 5}
    duplicates = duplicate_summary(Labelled(found.images, found.labels), None, found.classes)
    (told,) = before_you_search(found, duplicates, Protocol(), tested)
    assert told == "The test part has no images of class 1, so that a test says nothing about them"


@pytest.mark.parametrize("n_scenes", [300, 8])
@pytest.mark.parametrize(("noise", "is_told"), [(10, True), (120, False)])
def test_frames_of_a_video_are_told(n_scenes, noise, is_told):
    rng = np.random.default_rng(2)
    scenes = np.repeat(rng.integers(60, 190, (n_scenes, 1, 8, 8)), 10, axis=0)
    images = np.clip(scenes + rng.integers(-noise, noise + 1, scenes.shape), 0, 255).astype(np.uint8)
    told = sentences(data_set([0] * 5 * n_scenes + [1] * 5 * n_scenes, images))
    assert any(sentence.startswith("Neighbouring files differ by") for sentence in told) == is_told


def colour(labels, is_grey):
    """A training set of images of three channels, which are equal in the grey ones."""
    images = np.random.default_rng(1).integers(0, 256, (len(labels), 3, 8, 8), dtype=np.uint8)
    images[is_grey] = images[is_grey][:, :1]
    return data_set(labels, images)


def test_classes_that_are_grey_and_in_colour_are_told_with_their_names():
    labels = np.array([0, 1, 2] * 1000)
    is_grey = labels == 1
    is_grey[:150:3] = True  # 5 % of class 0
    assert sentences(colour(labels, is_grey)) == [
        "100 % of the images of class 1 are grey, and 0 % of those of class 2: a network can tell them apart by that "
        "alone; --grayscale makes all images grey"
    ]
    assert sentences(colour(labels, np.arange(3000) % 2 == 0)) == []


def test_images_that_are_all_grey_in_three_channels_are_told():
    labels = [0, 1] * 1500
    (told,) = sentences(colour(labels, np.full(3000, True)))
    assert told == "All training images are grey, in three equal channels: --grayscale trains on one, in less time"
