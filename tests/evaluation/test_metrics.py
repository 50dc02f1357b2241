import numpy as np
import pytest

from sweeper.evaluation.metrics import confusion_matrix, largest_confusions, macro_f1


def test_macro_f1_is_the_mean_over_classes_not_images():
    # Class 0: TP 3, FP 1, FN 0, so 6/7. Class 1: TP 1, FP 0, FN 1, so 2/3.
    assert macro_f1([0, 0, 0, 1, 1], [0, 0, 0, 0, 1], 2) == pytest.approx((6 / 7 + 2 / 3) / 2)


def test_a_class_that_is_never_predicted_counts_as_zero():
    assert macro_f1([0, 0, 1], [0, 0, 0], 2) == pytest.approx((4 / 5 + 0) / 2)


def test_a_class_predicted_without_being_there_counts_as_zero():
    assert macro_f1([0, 0], [0, 1], 2) == pytest.approx((2 / 3 + 0) / 2)


def test_a_class_neither_there_nor_predicted_is_left_out():
    assert macro_f1([0, 1], [0, 1], 5) == 1.0


def test_macro_f1_warns_of_nothing(recwarn):
    macro_f1([0, 0, 1], [0, 0, 0], 4)
    assert not recwarn.list


def test_rows_of_the_confusion_matrix_are_true_classes():
    matrix = confusion_matrix([0, 0, 1], [0, 2, 1], 4)
    np.testing.assert_array_equal(matrix, [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("metric", [macro_f1, confusion_matrix])
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
