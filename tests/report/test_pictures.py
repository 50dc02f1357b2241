import io

import pytest
from PIL import Image, ImageColor

from sweeper.plots import Plot
from sweeper.plots.dark import BACKGROUND
from sweeper.report.pictures import pictures, png

PLOT = Plot(
    "optimization_history",
    {
        "numbers": [0, 1],
        "values": [0.5, 0.6],
        "states": ["complete"] * 2,
        "metric": "accuracy",
        "direction": "maximize",
    },
)


def test_pictures_are_the_same_each_time_and_hold_all_of_themselves():
    first = pictures(PLOT)
    assert first == pictures(PLOT)
    assert all(one.address.startswith("data:image/png;base64,") for one in first.values())


def test_pictures_have_the_colours_of_their_ground_and_equal_sizes():
    drawn = pictures(PLOT)
    images = {ground: Image.open(io.BytesIO(one.content)).convert("RGB") for ground, one in drawn.items()}
    assert images["light"].getpixel((0, 0)) == (255, 255, 255)
    assert images["dark"].getpixel((0, 0)) == pytest.approx(ImageColor.getrgb(BACKGROUND), abs=8)  # of the palette
    assert images["light"].size == images["dark"].size
    assert drawn["light"].width == drawn["dark"].width


def test_a_png_has_the_colours_of_its_ground():
    image = Image.open(io.BytesIO(png(PLOT))).convert("RGB")
    assert image.getpixel((0, 0)) == (255, 255, 255)
