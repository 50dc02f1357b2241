import numpy as np
import pytest

from sweeper.evaluation.constant import Constant, best_constant, only_classes
from sweeper.evaluation.metrics import balanced_accuracy, cross_entropy, macro_f1

LABELS = np.array([1] * 49 + [0] * 30 + [2] * 21)
CLASSES = ("dog", "cat", "horse", "hen")


def test_largest_class_and_its_share_are_those_of_the_labels():
    assert best_constant("accuracy", [LABELS], CLASSES) == Constant("cat", 0.49)


@pytest.mark.parametrize(("metric", "score"), [("macro_f1", macro_f1), ("balanced_accuracy", balanced_accuracy)])
def test_score_is_that_of_predictions_that_never_change(metric, score):
    found = best_constant(metric, [LABELS], CLASSES)
    assert found.score == pytest.approx(score(LABELS, np.ones(100, dtype=int), 4))


def test_loss_is_that_of_the_classes_shares():
    logits = np.log(np.tile([0.30, 0.49, 0.21, 1e-12], (100, 1)))
    assert best_constant("loss", [LABELS], CLASSES).score == pytest.approx(cross_entropy(LABELS, logits))


@pytest.mark.parametrize(("metric", "score"), [("macro_f1", macro_f1), ("balanced_accuracy", balanced_accuracy)])
def test_of_folds_the_class_is_that_of_all_and_the_score_their_mean(metric, score):
    folds = [np.array([0, 0, 1]), np.array([1, 1, 1, 2]), np.array([0, 2])]
    found = best_constant(metric, folds, CLASSES)
    assert found.class_name == "cat"
    assert found.score == pytest.approx(np.mean([score(fold, np.ones_like(fold), 4) for fold in folds]))


def test_part_without_images_has_none():
    assert best_constant("accuracy", [[]], CLASSES) is None


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [([[1], [1]], [1]), ([[1, 2], [1, 2]], [1, 2]), ([[1, 0], [1, 2]], []), ([[0], [1]], []), ([[3, 3]], [3])],
)
def test_networks_that_always_say_one_class_are_known_by_it(predictions, expected):
    assert only_classes(predictions) == expected
