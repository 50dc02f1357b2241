import numpy as np
import pytest

from sweeper.evaluation.metrics import (
    balanced_accuracy,
    confusion_matrix,
    cross_entropy,
    largest_confusions,
    macro_f1,
    macro_precision_recall_f1,
    per_class_accuracy,
    thresholded_precision_recall,
)


def test_macro_f1_is_the_mean_over_classes_not_images():
    # Class 0: TP 3, FP 1, FN 0, so 6/7. Class 1: TP 1, FP 0, FN 1, so 2/3.
    assert macro_f1([0, 0, 0, 1, 1], [0, 0, 0, 0, 1], 2) == pytest.approx((6 / 7 + 2 / 3) / 2)


def test_a_class_that_is_never_predicted_counts_as_zero():
    assert macro_f1([0, 0, 1], [0, 0, 0], 2) == pytest.approx((4 / 5 + 0) / 2)


def test_a_class_predicted_without_being_there_counts_as_zero():
    assert macro_f1([0, 0], [0, 1], 2) == pytest.approx((2 / 3 + 0) / 2)


def test_a_class_neither_there_nor_predicted_is_left_out():
    assert macro_f1([0, 1], [0, 1], 5) == 1.0


def test_macro_figures_are_means_of_each_class_figure():
    # Class 0: TP 3, FP 1, FN 0. Class 1: TP 1, FP 0, FN 1.
    figures = macro_precision_recall_f1([0, 0, 0, 1, 1], [0, 0, 0, 0, 1], 2)
    assert figures == pytest.approx(((3 / 4 + 1) / 2, (1 + 1 / 2) / 2, (6 / 7 + 2 / 3) / 2))


def test_macro_figures_of_a_class_that_is_missed_are_zero_and_of_one_not_there_left_out():
    # Class 1 is there and never predicted, class 2 predicted and not there, class 3 neither.
    figures = macro_precision_recall_f1([0, 0, 0, 1], [0, 0, 2, 0], 4)
    assert figures == pytest.approx((2 / 3 / 3, 2 / 3 / 3, 2 / 3 / 3))


def test_pairs_above_the_threshold_are_what_is_predicted():
    # Predicted: image 0 right, image 1 wrong, image 2 both, image 3 nothing (0.5 is not above 0.5).
    probabilities = [[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.6, 0.0, 0.7], [0.5, 0.3, 0.2]]
    precision, recall = thresholded_precision_recall([0, 0, 2, 0], probabilities)
    assert (precision, recall) == (pytest.approx(2 / 4), pytest.approx(2 / 4))
    precision, recall = thresholded_precision_recall([0, 0, 2, 0], probabilities, threshold=0.65)
    assert (precision, recall) == (pytest.approx(2 / 3), pytest.approx(2 / 4))


def test_precision_of_nothing_predicted_is_nan():
    precision, recall = thresholded_precision_recall([0, 1], [[0.4, 0.3, 0.3], [0.4, 0.3, 0.3]])
    assert np.isnan(precision)
    assert recall == 0


def test_balanced_accuracy_gives_each_class_the_same_weight():
    # Class 0: 3 of 4 right, class 1: 0 of 1 right, class 2 has no images.
    assert balanced_accuracy([0, 0, 0, 0, 1], [0, 0, 0, 2, 0], 3) == pytest.approx((3 / 4 + 0) / 2)


def test_always_saying_one_class_has_the_balanced_accuracy_of_guessing():
    assert balanced_accuracy([0] * 95 + [1] * 5, [0] * 100, 2) == 0.5


def test_accuracy_of_a_class_counts_its_own_images_only():
    np.testing.assert_allclose(per_class_accuracy([0, 0, 0, 1, 3], [0, 0, 1, 1, 0], 4), [2 / 3, 1, np.nan, 0])


def test_cross_entropy_is_the_mean_surprise_in_nats():
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    assert cross_entropy([0, 2], logits) == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)
    assert cross_entropy([0, 2], logits + 700) == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)


def test_cross_entropy_of_a_certain_mistake_is_finite():
    assert cross_entropy([0], np.array([[-1e4, 1e4]], dtype=np.float32)) == 2e4


def test_metrics_warn_of_nothing(recwarn):
    macro_precision_recall_f1([0, 0, 1], [0, 0, 0], 4)
    per_class_accuracy([0, 0, 1], [0, 0, 0], 4)
    thresholded_precision_recall([0, 1], [[0.4, 0.3, 0.3], [0.4, 0.3, 0.3]])
    assert not recwarn.list


@pytest.mark.parametrize(
    ("metric", "name"), [(cross_entropy, "logits"), (thresholded_precision_recall, "probabilities")]
)
@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.2, 0.8], r"{name} must have shape \(2, n_classes\), got \(2,\)"),
        ([0, 1], [[0.2, 0.8]], r"{name} must have shape \(2, n_classes\), got \(1, 2\)"),
        ([2], [[0.2, 0.8]], r"labels must be in \[0, 2\), got 2 \(image 0\)"),
        ([], np.empty((0, 2)), r"labels must have shape \(n,\) with n > 0, got \(0,\)"),
    ],
)
def test_scores_that_do_not_fit_the_labels_are_refused(metric, name, labels, scores, message):
    with pytest.raises(ValueError, match=message.format(name=name)):
        metric(labels, scores)


def test_rows_of_the_confusion_matrix_are_true_classes():
    matrix = confusion_matrix([0, 0, 1], [0, 2, 1], 4)
    np.testing.assert_array_equal(matrix, [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("metric", [macro_f1, confusion_matrix, per_class_accuracy])
@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 3], [0, 1], r"labels must be in \[0, 3\), got 3 \(image 1\)"),
        ([0, 1], [0, -1], r"predictions must be in \[0, 3\), got -1 \(image 1\)"),
        ([], [], r"labels must have shape \(n,\) with n > 0, got \(0,\)"),
        ([[0, 1]], [[0, 1]], r"labels must have shape \(n,\) with n > 0, got \(1, 2\)"),
        ([0, 1], [0], r"2.*1"),
    ],
)
def test_indices_that_fit_nowhere_are_refused(metric, labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        metric(labels, predictions, 3)


def test_largest_confusions_come_by_count_without_the_diagonal():
    matrix = np.array([[90, 3, 7], [0, 80, 5], [5, 0, 99]])
    assert largest_confusions(matrix) == [(0, 2, 7), (1, 2, 5), (2, 0, 5)]
    assert largest_confusions(matrix, k=1) == [(0, 2, 7)]


def test_a_perfect_matrix_has_no_confusions_and_is_left_as_it_was():
    matrix = np.diag([3, 4])
    assert largest_confusions(matrix) == []
    np.testing.assert_array_equal(matrix, np.diag([3, 4]))
