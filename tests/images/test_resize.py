import numpy as np
import pytest
from PIL import Image

from sweeper.images.resize import fitted


def striped(values, *, upright):
    """Stripes that are 4 pixels wide and 12 pixels long."""
    row = np.repeat(np.array(values, np.uint8), 4)
    pixels = np.tile(row, (12, 1))
    return Image.fromarray(pixels if upright else pixels.T.copy())


@pytest.mark.parametrize("upright", [True, False])
def test_shorter_side_is_scaled_and_the_middle_of_the_longer_one_kept(upright):
    # 12 x 28: the middle is 12 x 12, so two of the seven stripes go on each side.
    image = striped([1, 2, 50, 100, 150, 6, 7], upright=upright)
    found = fitted(image, (3, 3), grey=True)[0]
    # The weights form a triangle 8 pixels wide: 3/4 for the stripe itself, 1/8 for each neighbour.
    expected = np.array([[50, 100, 126]] * 3)
    np.testing.assert_array_equal(found, expected if upright else expected.T)


@pytest.mark.parametrize("side", [1, 3, 8, 40])
def test_square_image_is_scaled_as_a_whole(side):
    image = Image.effect_noise((8, 8), 90)
    expected = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(fitted(image, (side, side), grey=True)[0], expected)


def test_image_of_the_right_size_keeps_its_pixels():
    image = Image.effect_noise((6, 4), 90).convert("RGB")
    np.testing.assert_array_equal(fitted(image, (6, 4), grey=False), np.asarray(image).transpose(2, 0, 1))


def test_size_need_not_be_square():
    assert fitted(Image.new("RGB", (9, 5)), (7, 2), grey=False).shape == (3, 2, 7)
    assert fitted(Image.new("L", (1, 1)), (2, 7), grey=False).shape == (3, 7, 2)


def test_only_the_middle_of_a_very_long_image_is_scaled():
    # The whole of it, scaled until it covers 4,096 x 4,096, would take 10 TB.
    image = Image.new("L", (600_000, 1), 9)
    assert fitted(image, (4096, 4096), grey=True).shape == (1, 4096, 4096)
