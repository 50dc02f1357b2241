import numpy as np
import pytest
from PIL import Image

from sweeper.images.alpha import BACKGROUNDS, composited, on_background


@pytest.mark.parametrize("background", ["white", "black"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_arrays_and_files_are_composited_alike_and_rounded_to_the_nearest(mode, background):
    channels = len(mode)
    values = np.random.default_rng(0).integers(0, 256, (60, 70, channels), np.uint8)
    opacity = values[..., -1:] / 255
    exact = values[..., :-1] * opacity + BACKGROUNDS[background] * (1 - opacity)
    found = composited(values[None], background)
    assert found.shape == (1, 60, 70, channels - 1)
    assert np.abs(found[0] - exact).max() <= 0.5 + 1e-9
    image, is_composited = on_background(Image.fromarray(values, mode), background)
    assert is_composited
    np.testing.assert_array_equal(np.asarray(image).reshape(found[0].shape), found[0])


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA", "P", "1"])
def test_opaque_image_stays_the_same_object(mode):
    image = Image.new(mode, (2, 2), (1, 2, 3, 255)[-len(mode) :] if mode in ("LA", "RGBA") else 1)
    assert on_background(image, "white") == (image, False)


def test_images_with_multiplied_colours_are_composited_too():
    image = Image.new("RGBA", (2, 2), (200, 100, 0, 128))
    found, _ = on_background(image.convert("RGBa"), "white")
    np.testing.assert_allclose(np.asarray(found)[0, 0], (227, 177, 127), atol=2)
    grey, _ = on_background(Image.new("LA", (2, 2), (200, 128)).convert("La"), "black")
    np.testing.assert_allclose(np.asarray(grey)[0, 0], 100, atol=2)
