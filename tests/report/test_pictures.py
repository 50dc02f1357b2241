import io

import pytest
from PIL import Image

from sweeper.plots import Plot
from sweeper.report.pictures import picture, png

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


@pytest.mark.parametrize("dark", [False, True])
def test_a_picture_is_the_same_each_time_and_holds_all_of_itself(dark):
    first, second = picture(PLOT, dark=dark), picture(PLOT, dark=dark)
    assert first == second
    assert first.address.startswith(f"data:{first.media_type};base64,")


def test_a_png_has_the_colours_of_its_ground():
    image = Image.open(io.BytesIO(png(PLOT))).convert("RGB")
    assert image.getpixel((0, 0)) == (255, 255, 255)
