import json

import numpy as np
import pytest

from sweeper.inspection.duplicates import LIMITS, MOST_EXAMPLES, MOST_NAMED, Labelled, duplicate_summary

CLASSES = ("cat", "dog", "elk")


def part(*images: tuple[int, int], files=None):
    """Images of a single grey value, from pairs (grey, label)."""
    values = np.array([grey for grey, _ in images], dtype=np.uint8)
    labels = np.array([label for _, label in images], dtype=np.int64)
    return Labelled(np.broadcast_to(values[:, None, None, None], (len(images), 1, 2, 2)).copy(), labels, files)


def test_without_copies_nothing_is_found():
    found = duplicate_summary(part((1, 0), (2, 1)), part((3, 0)), CLASSES)
    assert found == {
        "limits": LIMITS,
        "training": {"groups": 0, "images": 0, "groups_of_several_classes": 0, "examples": []},
        "validation_in_training": None,
        "test": {"groups": 0, "images": 0, "groups_of_several_classes": 0, "examples": []},
        "test_in_training": {"images": 0, "share": 0.0, "images_of_another_class": 0, "examples": []},
    }


def test_an_absent_test_part_is_none():
    found = duplicate_summary(part((1, 0), (1, 0)), None, CLASSES)
    assert found["training"]["groups"] == 1
    assert found["test"] is None
    assert found["test_in_training"] is None


def test_copies_of_files_are_reported_by_file_too():
    training = part((1, 0), (2, 1), (1, 0), files=["a.png", "b.png", "c.png"])
    found = duplicate_summary(training, part((3, 0), (2, 2), files=["d.png", "e.png"]), CLASSES)
    first = [{"index": 0, "file": "a.png", "class": "cat"}, {"index": 2, "file": "c.png", "class": "cat"}]
    assert found["training"]["examples"] == [{"images": 2, "first": first}]
    first = [{"index": 1, "file": "b.png", "class": "dog"}]
    assert found["test_in_training"]["examples"] == [
        {"index": 1, "file": "e.png", "class": "elk", "copies": 1, "first": first}
    ]


def test_copies_are_reported_by_part_index_and_class():
    training = part((1, 0), (5, 1), (2, 1), (1, 0), (5, 2), (1, 0), (9, 2))
    test = part((4, 0), (9, 2), (8, 1), (1, 1), (8, 1))
    found = duplicate_summary(training, test, CLASSES)
    within = found["training"]
    assert (within["groups"], within["images"], within["groups_of_several_classes"]) == (2, 5, 1)
    # Copies under different labels come first.
    assert within["examples"] == [
        {"images": 2, "first": [{"index": 1, "class": "dog"}, {"index": 4, "class": "elk"}]},
        {"images": 3, "first": [{"index": i, "class": "cat"} for i in (0, 3, 5)]},
    ]
    assert (found["test"]["groups"], found["test"]["images"]) == (1, 2)
    assert found["test"]["examples"] == [{"images": 2, "first": [{"index": i, "class": "dog"} for i in (2, 4)]}]
    assert found["test_in_training"] == {
        "images": 2,
        "share": pytest.approx(2 / 5),
        "images_of_another_class": 1,
        "examples": [
            {"index": 3, "class": "dog", "copies": 3, "first": [{"index": i, "class": "cat"} for i in (0, 3, 5)]},
            {"index": 1, "class": "elk", "copies": 1, "first": [{"index": 6, "class": "elk"}]},
        ],
    }
    json.dumps(found)


def test_one_copy_under_another_label_is_enough_to_be_reported():
    found = duplicate_summary(part((1, 0), (1, 1), (2, 2)), part((1, 0), (2, 2)), CLASSES)["test_in_training"]
    assert (found["images"], found["images_of_another_class"]) == (2, 1)


def test_every_copy_in_the_test_part_counts():
    found = duplicate_summary(part((1, 0), (2, 0)), part((1, 0), (1, 0), (1, 0), (3, 1)), CLASSES)
    assert found["test_in_training"]["images"] == 3
    assert found["test_in_training"]["share"] == 0.75


def test_a_validation_part_of_the_data_sets_own_is_compared_with_the_rest_of_training():
    training = part((1, 0), (2, 1), (3, 2), (3, 2), (1, 0))
    found = duplicate_summary(training, None, CLASSES, own_validation=np.array([3, 4]))
    shared = found["validation_in_training"]
    assert (shared["images"], shared["share"]) == (2, 1.0)
    assert {(example["index"], example["first"][0]["index"]) for example in shared["examples"]} == {(4, 0), (3, 2)}
    alone = duplicate_summary(training, None, CLASSES, own_validation=np.array([0, 4]))["validation_in_training"]
    assert alone["images"] == 0


def test_images_that_differ_in_one_pixel_are_no_copies():
    training = part((1, 0), (1, 0))
    training.images[1, 0, 1, 1] += 1
    assert duplicate_summary(training, None, CLASSES)["training"]["groups"] == 0


def test_many_copies_are_all_counted_and_only_the_first_are_named():
    training = part(*[(grey, 0) for grey in range(20) for _ in range(30)])
    found = duplicate_summary(training, training, CLASSES)
    assert (found["training"]["groups"], found["training"]["images"]) == (20, 600)
    assert found["test_in_training"]["images"] == 600
    for key in ("training", "test_in_training"):
        assert len(found[key]["examples"]) == MOST_EXAMPLES
        assert all(len(example["first"]) == MOST_NAMED for example in found[key]["examples"])
