"""Mistakes, calibration and pixels."""

import numpy as np
import pytest

from sweeper.evaluation.statistics import wilson
from sweeper.explain.calibration import reliability
from sweeper.explain.mistakes import most_probable, most_wrong
from sweeper.explain.pixels import as_pixels, strongest, thumbnail


def logs(*rows):
    return np.log(np.array(rows))


def test_most_wrong_images_have_the_highest_loss_and_right_ones_are_left_out():
    found = logs([0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.1, 0.9])
    assert most_wrong(np.array([0, 0, 1, 0]), found, 9).tolist() == [3, 1, 2]
    assert most_wrong(np.array([0, 0, 1, 0]), found, 1).tolist() == [3]
    assert most_wrong(np.array([0, 1, 0, 1]), found, 9).tolist() == []


def test_most_probable_classes_come_first():
    classes, shares = most_probable(logs([0.2, 0.5, 0.3]), 2)
    assert classes.tolist() == [[1, 2]]
    np.testing.assert_allclose(shares, [[0.5, 0.3]])
    assert most_probable(logs([0.2, 0.8]), 9)[0].shape == (1, 2)


def test_true_class_is_always_among_those_that_are_shown():
    found = logs([0.5, 0.3, 0.2], [0.5, 0.3, 0.2])
    classes, shares = most_probable(found, 2, np.array([2, 0]))
    assert classes.tolist() == [[0, 2], [0, 1]]
    np.testing.assert_allclose(shares, [[0.5, 0.2], [0.5, 0.3]])


def test_calibration_error_is_the_weighted_gap_of_each_bin():
    # Three images of confidence .6 of which one is right, and one of confidence .95 that is right.
    found = reliability(np.array([0, 1, 1, 0]), logs([0.6, 0.4], [0.6, 0.4], [0.6, 0.4], [0.95, 0.05]), n_bins=10)
    assert found.error == pytest.approx(0.75 * (0.6 - 1 / 3) + 0.25 * 0.05)
    assert [one.n for one in found.bins] == [0, 0, 0, 0, 0, 3, 0, 0, 0, 1]
    six = found.bins[5]
    assert (six.accuracy_low, six.accuracy_high) == wilson(1, 3)
    assert (found.n, found.accuracy) == (4, 0.5)


def test_bins_are_closed_above():
    found = reliability(np.array([0]), logs([0.5, 0.5]), n_bins=2)
    assert [one.n for one in found.bins] == [1, 0]
    certain = reliability(np.array([0]), np.array([[0.0, -np.inf]]), n_bins=2)
    assert [one.n for one in certain.bins] == [0, 1]
    assert certain.error == 0


def test_a_diagram_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        reliability(np.zeros(0, dtype=int), np.zeros((0, 2)))


def test_large_images_become_small_and_small_ones_stay():
    image = np.arange(2 * 3, dtype=np.uint8).reshape(1, 2, 3)
    assert np.array_equal(thumbnail(image), image)
    assert thumbnail(image, longest=2).tolist() == [[[2, 4]]]  # means of 0 1 3 4, and of 2 5, rounded


def test_maps_are_scaled_together():
    pixels, low, high = as_pixels(np.array([[[0.0, 1.0]], [[3.0, 2.0]]], dtype=np.float32))
    assert pixels.tolist() == [[[0, 85]], [[255, 170]]]
    assert (low, high) == (0, 3)


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_constant_maps_are_drawn(value):
    assert as_pixels(np.full((1, 2, 2), value, dtype=np.float32))[0].tolist() == [[[0, 0], [0, 0]]]


def test_strongest_maps_keep_their_order():
    maps = np.array([1, -5, 0, 3], dtype=np.float32)[:, None, None]
    assert strongest(maps, 2).tolist() == [1, 3]
