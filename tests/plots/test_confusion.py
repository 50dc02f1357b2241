import itertools

import numpy as np
import pytest

from sweeper.plots.confusion import confusion_matrix
from tests.plots.drawn import AWKWARD_NAMES, assert_nothing_is_clipped, draw

CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


def test_the_confusion_matrix_tells_counts_and_largest_confusions():
    matrix = np.diag(np.full(10, 90))
    matrix[6, 0] = 12
    matrix[0, 6] = 7
    figure = confusion_matrix(matrix, CLASSES, "Trial 3")
    axes = figure.axes[0]
    cells = {(text.get_position()[::-1], text.get_text()) for text in axes.texts}
    assert cells == {((i, i), "90") for i in range(10)} | {((6, 0), "12"), ((0, 6), "7")}
    assert [label.get_text() for label in axes.get_xticklabels()] == CLASSES
    assert [label.get_text() for label in axes.get_yticklabels()] == CLASSES
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted class", "True class")
    assert figure.get_supxlabel().splitlines()[1:] == [
        "Shirt taken for T-shirt/top: 12 of 102",
        "T-shirt/top taken for Shirt: 7 of 97",
    ]
    assert_nothing_is_clipped(figure)


def test_colours_are_shares_of_the_true_class_even_where_it_has_no_image():
    figure = confusion_matrix(np.array([[3, 1], [0, 0]]), ["cat", "dog"], "Trial 3")
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[0.75, 0.25], [0, 0]])
    draw(figure)


def test_a_perfect_confusion_matrix_says_so():
    figure = confusion_matrix(np.diag([3, 4]), ["cat", "dog"], "Trial 3")
    assert figure.get_supxlabel() == "No confusions"


@pytest.mark.parametrize(("n_classes", "n_names"), [(20, 20), (21, 21), (100, 100), (250, 84)])
def test_any_number_of_classes_stays_legible(n_classes, n_names):
    names = [f"aquarium fish {i}" for i in range(n_classes)]
    figure = confusion_matrix(np.full((n_classes, n_classes), 3), names, "Trial 3")
    axes = figure.axes[0]
    assert len(axes.texts) == (n_classes**2 if n_classes <= 20 else 0)
    assert len(axes.get_xticklabels()) == n_names
    assert_nothing_is_clipped(figure)
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(boxes))
    assert max(figure.get_size_inches()) < 22


def test_a_very_long_class_name_is_cut_to_fit():
    names = ["a name of a class that goes on for ever and ever", "dog"]
    figure = confusion_matrix(np.eye(2, dtype=int), names, "Trial 3")
    assert figure.axes[0].get_xticklabels()[0].get_text() == "a name of a class that …"
    assert_nothing_is_clipped(figure)


def test_a_matrix_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 3\) for 3 classes, got \(2, 2\)"):
        confusion_matrix(np.eye(2, dtype=int), ["a", "b", "c"], "Trial 3")


def test_names_of_classes_are_never_read_as_formulas():
    n = len(AWKWARD_NAMES)
    figure = confusion_matrix(np.ones((n, n), dtype=int), AWKWARD_NAMES, "About $x and $y")
    labels = figure.axes[0].get_xticklabels() + figure.axes[0].get_yticklabels()
    assert not any(text.get_parse_math() for text in (*labels, *figure.texts))
    assert_nothing_is_clipped(figure)
