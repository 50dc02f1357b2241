from typing import get_args

import numpy as np
import pytest
from PIL import Image

from sweeper.images import resize
from sweeper.images.options import DataOptions, Fit

FITS = get_args(Fit)


def fitted(image, size, *, grey, fit, background=255):
    return resize.fitted(image, size, grey=grey, fit=fit, background=background)


def striped(values, *, upright):
    """Stripes that are 4 pixels wide and 12 pixels long."""
    row = np.repeat(np.array(values, np.uint8), 4)
    pixels = np.tile(row, (12, 1))
    return Image.fromarray(pixels if upright else pixels.T.copy())


@pytest.mark.parametrize("upright", [True, False])
def test_shorter_side_is_scaled_and_the_middle_of_the_longer_one_kept(upright):
    # 12 x 28: the middle is 12 x 12, so two of the seven stripes go on each side.
    image = striped([1, 2, 50, 100, 150, 6, 7], upright=upright)
    found = fitted(image, (3, 3), grey=True, fit="crop")[0]
    # The weights form a triangle 8 pixels wide: 3/4 for the stripe itself, 1/8 for each neighbour.
    expected = np.array([[50, 100, 126]] * 3)
    np.testing.assert_array_equal(found, expected if upright else expected.T)


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("background", [255, 0])
def test_padding_keeps_the_whole_image_in_the_middle_and_fills_the_rest(upright, background):
    image = striped([10, 20, 30, 40], upright=upright).resize((16, 12) if upright else (12, 16))
    found = fitted(image, (8, 8), grey=True, fit="pad", background=background)[0]
    found = found if upright else found.T
    shown = image if upright else image.transpose(Image.Transpose.TRANSPOSE)
    inner = np.asarray(shown.resize((8, 6), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(found[1:7], inner)
    assert (found[[0, 7]] == background).all()
    assert (inner[0, 0], inner[0, -1]) == (10, 40)


def test_padding_of_colour_images_is_grey_in_every_channel():
    found = fitted(Image.new("RGB", (4, 2), (9, 8, 7)), (4, 4), grey=False, fit="pad")
    assert found[:, :, 0].tolist() == [[255, 9, 9, 255], [255, 8, 8, 255], [255, 7, 7, 255]]


def test_an_odd_rest_is_divided_as_evenly_as_it_can_be():
    found = fitted(Image.new("L", (3, 6), 9), (8, 8), grey=True, fit="pad")[0]
    assert found[0].tolist() == [255, 255, 9, 9, 9, 9, 255, 255]
    found = fitted(Image.new("L", (5, 8), 9), (8, 8), grey=True, fit="pad")[0]
    assert found[0].tolist() == [255, 9, 9, 9, 9, 9, 255, 255]


def test_stretching_uses_the_whole_image_for_the_whole_size():
    image = striped([0, 100, 200], upright=True).resize((12, 4))
    found = fitted(image, (3, 3), grey=True, fit="stretch")[0]
    # Weights as above; at an edge, the seven eighths that are left count as the whole.
    assert found.tolist() == [[14, 100, 186]] * 3
    assert fitted(Image.new("L", (2, 9), 7), (6, 3), grey=True, fit="stretch").tolist() == [[[7] * 6] * 3]


@pytest.mark.parametrize("upright", [True, False])
def test_stretching_scales_width_and_height_each_by_what_it_takes(upright):
    image = striped([10, 20, 30, 40], upright=upright)  # 16 x 12
    found = fitted(image, (4, 6) if upright else (6, 4), grey=True, fit="stretch")[0]
    # A stripe for each pixel across, two of twelve rows for each along.
    expected = np.array([[11, 20, 30, 39]] * 6)
    np.testing.assert_array_equal(found, expected if upright else expected.T)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("side", [1, 3, 8, 40])
def test_image_of_the_wanted_proportions_is_scaled_as_a_whole_in_any_case(side, fit):
    image = Image.effect_noise((8, 8), 90)
    expected = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(fitted(image, (side, side), grey=True, fit=fit)[0], expected)


@pytest.mark.parametrize("fit", FITS)
def test_image_of_the_right_size_keeps_its_pixels(fit):
    image = Image.effect_noise((6, 4), 90).convert("RGB")
    np.testing.assert_array_equal(fitted(image, (6, 4), grey=False, fit=fit), np.asarray(image).transpose(2, 0, 1))


@pytest.mark.parametrize("fit", FITS)
def test_size_need_not_be_square(fit):
    assert fitted(Image.new("RGB", (9, 5)), (7, 2), grey=False, fit=fit).shape == (3, 2, 7)
    assert fitted(Image.new("L", (1, 1)), (2, 7), grey=False, fit=fit).shape == (3, 7, 2)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(600_000, 1), (1, 600_000)])
def test_very_long_image_takes_no_more_memory_than_it_has_pixels(fit, size):
    # Scaled until it covers 4,096 x 4,096, it would take 10 TB; made 4,096 wide first, 2.5 GB.
    assert fitted(Image.new("L", size, 9), (4096, 4096), grey=True, fit=fit).shape == (1, 4096, 4096)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (DataOptions(resize=8), ("padded with white to squares",)),
        (DataOptions(resize=8, background="black"), ("padded with black to squares",)),
        (DataOptions(resize=8, fit="stretch", background="black"), ("stretched to squares",)),
        (DataOptions(resize=8, fit="crop"), ()),
        (DataOptions(), ()),
    ],
)
def test_what_became_of_images_that_are_not_square_is_told(options, told):
    assert resize.conversions([(8, 8), (9, 8)], options) == told
    assert resize.conversions([(8, 8), (9, 9)], options) == ()
