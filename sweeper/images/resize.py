"""Converts one image to the size and channels of a data set's images.

A copy of this file is part of every registered model, without the rest of sweeper: import nothing of sweeper here but
for types.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from sweeper.images.options import DataOptions, Fit


def conversions(sizes: Iterable[tuple[int, int]], options: "DataOptions") -> tuple[str, ...]:
    """What becomes of images of these sizes that are not square, as ImageSet.conversions; empty if all are or stay so.

    Cropping has no entry: it was the only way before there was a choice.
    """
    done = {"pad": f"padded with {options.background} to squares", "stretch": "stretched to squares"}.get(options.fit)
    return (done,) if done and options.resize and any(width != height for width, height in sizes) else ()


def change(size: tuple[int, int], wanted: tuple[int, int], fit: "Fit", background: str) -> str:
    """What `fitted` does to an image of this size, in words, as in "480x640 to 28x28, padded with white".

    Both sizes are (width, height), and become height x width. Empty for an image of the wanted size.
    """
    if size == wanted:
        return ""
    done = {"pad": f", padded with {background}", "crop": ", cropped", "stretch": ", stretched"}[fit]
    how = "" if size[0] * wanted[1] == size[1] * wanted[0] else done
    return f"{size[1]}x{size[0]} to {wanted[1]}x{wanted[0]}{how}"


def fitted(image: Image.Image, size: tuple[int, int], *, grey: bool, fit: "Fit", background: int) -> NDArray[np.uint8]:
    """The pixels (channels, height, width) of an image at `size` (width, height).

    An image of the proportions of `size` is scaled. Of any other, "pad" scales the whole to fit into `size` and fills
    the rest evenly on both sides with `background`, the value of each channel; "crop" keeps the middle that has the
    proportions of `size`; and "stretch" scales width and height each by what it takes.
    """
    converted = image.convert("L" if grey else "RGB")
    if converted.size != size:
        if fit == "crop" or converted.width * size[1] == converted.height * size[0]:
            converted = _cropped(converted, size)
        elif fit == "stretch":
            converted = _stretched(converted, size)
        else:
            converted = _padded(converted, size, background)
    pixels = np.asarray(converted, dtype=np.uint8)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


def _cropped(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    scale = max(size[0] / image.width, size[1] / image.height)
    width, height = min(size[0] / scale, image.width), min(size[1] / scale, image.height)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    # Cropped before it is scaled: scaling the whole of a very long image would take more memory than there is.
    return image.resize(size, Image.Resampling.BILINEAR, (left, top, left + width, top + height))


def _padded(image: Image.Image, size: tuple[int, int], background: int) -> Image.Image:
    scale = min(size[0] / image.width, size[1] / image.height)
    # A very long image keeps one row or column.
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    canvas = Image.new(image.mode, size, background if image.mode == "L" else (background,) * 3)
    place = (size[0] - width) // 2, (size[1] - height) // 2
    canvas.paste(image.resize((width, height), Image.Resampling.BILINEAR), place)
    return canvas


def _stretched(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.width < size[0] and image.height > size[1]:
        # Pillow scales the width first: of a very high image, that would take more memory than there is.
        image = image.resize((image.width, size[1]), Image.Resampling.BILINEAR)
    return image.resize(size, Image.Resampling.BILINEAR)
