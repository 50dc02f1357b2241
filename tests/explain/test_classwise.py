import numpy as np
import pytest

from sweeper.evaluation.metrics import macro_precision_recall_f1
from sweeper.evaluation.statistics import paired, wilson
from sweeper.explain.classwise import class_differences, class_scores, most_different, worst


def drawn(n=400, n_classes=4, right=0.7, seed=0):
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    others = generator.integers(0, n_classes, n)
    return labels, np.where(generator.random(n) < right, labels, others)


def test_scores_are_recall_and_f1_of_each_class():
    labels, predicted = drawn()
    found = class_scores(labels, predicted, 4)
    assert np.mean([one.f1 for one in found]) == pytest.approx(macro_precision_recall_f1(labels, predicted, 4)[2])
    n_right = int(((labels == 1) & (predicted == 1)).sum())
    assert (found[1].n, found[1].accuracy) == (100, n_right / 100)
    assert (found[1].low, found[1].high) == wilson(n_right, 100)


def test_class_without_images_has_no_accuracy():
    found = class_scores(np.array([0, 0]), np.array([0, 1]), 3)
    assert (found[1].n, found[1].accuracy, found[1].f1) == (0, None, 0)
    assert (found[2].accuracy, found[2].f1) == (None, None)


def test_difference_of_accuracy_is_the_paired_test_of_the_class():
    labels, first = drawn(right=0.9)
    _, second = drawn(right=0.5, seed=1)
    found = class_differences(labels, first, second, 4)
    inside = labels == 2
    test = paired(first[inside] == 2, second[inside] == 2)
    assert (found[2].accuracy, found[2].low, found[2].high) == (test.difference, *test.interval())
    assert found[2].decided
    assert found[2].p_adjusted >= test.p_value()


def test_equal_networks_are_never_decided():
    labels, predicted = drawn()
    for one in class_differences(labels, predicted, predicted, 4):
        assert (one.accuracy, one.f1, one.f1_low, one.decided) == (0, 0, None, False)


def test_interval_of_f1_covers_as_often_as_it_says():
    """Two networks of known, different skill: the true difference of F1 is in 95 % of the intervals."""
    labels, first = drawn(40_000, right=0.8, seed=1)
    second = drawn(40_000, right=0.6, seed=2)[1]
    true = class_scores(labels, first, 4)[0].f1 - class_scores(labels, second, 4)[0].f1
    covered = []
    for part in range(60):
        some = np.arange(part * 400, part * 400 + 400)
        one = class_differences(labels[some], first[some], second[some], 4)[0]
        covered.append(one.f1_low <= true <= one.f1_high)
    assert np.mean(covered) >= 0.85  # 60 draws of .95: below it once in 2,000 times


def test_most_different_and_worst_classes_are_chosen():
    labels = np.repeat(np.arange(4), 20)
    first, second = labels.copy(), labels.copy()
    second[20:40] = 0  # class 1 differs by all
    first[60:70] = 0  # class 3 by half
    scores, differences = class_scores(labels, first, 4), class_differences(labels, first, second, 4)
    assert most_different(differences, scores, 2) == [1, 3]
    assert worst(class_scores(labels, second, 4), 1) == [1]
