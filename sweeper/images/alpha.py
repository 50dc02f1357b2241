"""Puts transparent pixels on a background of one colour."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sweeper.images.options import Background

# The value of each channel.
BACKGROUNDS: dict[Background, int] = {"white": 255, "black": 0}


def conversion(background: Background) -> str:
    """What is done to transparent images, as an entry of ImageSet.conversions."""
    return f"transparency on {background}"


def composited(images: NDArray[np.uint8], background: Background) -> NDArray[np.uint8]:
    """Images (..., 2 or 4), whose last channel is opacity, on the background: (..., 1 or 3), rounded to the nearest."""
    colours, opacity = images[..., :-1].astype(np.uint32), images[..., -1:].astype(np.uint32)
    return ((colours * opacity + BACKGROUNDS[background] * (255 - opacity) + 127) // 255).astype(np.uint8)


def on_background(image: Image.Image, background: Background) -> tuple[Image.Image, bool]:
    """The image without transparency, and whether a pixel had any; if none had, the image is the same as before."""
    is_grey = image.mode in ("1", "L", "LA", "La")
    opaque, transparent = ("L", "LA") if is_grey else ("RGB", "RGBA")
    with_alpha = image if image.mode == transparent else image.convert(transparent)
    opacity = with_alpha.getchannel("A")
    if opacity.getextrema() == (255, 255):
        return image, False
    value = BACKGROUNDS[background]
    canvas = Image.new(opaque, image.size, value if is_grey else (value,) * 3)
    canvas.paste(with_alpha.convert(opaque), mask=opacity)
    return canvas, True
