"""Decodes an image file to 8-bit grey or colour, as people see it: scaled, upright and on a background."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sweeper.images import alpha
from sweeper.images.alpha import composited, on_background
from sweeper.images.deep_values import deep_values
from sweeper.images.options import Background
from sweeper.images.scaling import n_outside, to_bytes
from sweeper.images.stored_form import UPRIGHT, StoredForm, raw_mode, without_xmp
from sweeper.images.value_range import ValueRange

# What a pixel takes while it is decoded: four channels as stored, three as converted, and its share of the file. With
# transparency, a copy with it, its opacity and the background are added; of deep values, floats of 8 bytes a channel.
PIXEL_BYTES, ALPHA_PIXEL_BYTES, DEEP_PIXEL_BYTES = 8, 20, 72


@dataclass(frozen=True)
class Converted:
    """What was done to an image: turned upright, put on a background, scaled from deep values.

    `n_clipped` counts the values outside the range, and `largest` is the largest one after scaling.
    """

    is_turned: bool
    is_composited: bool
    is_scaled: bool
    n_clipped: int = 0
    largest: int = 255


def pixel_bytes(form: StoredForm) -> int:
    """The most that a pixel of such a file takes while it is decoded."""
    return DEEP_PIXEL_BYTES if form.is_deep else ALPHA_PIXEL_BYTES if form.has_alpha else PIXEL_BYTES


def conversions(done: Sequence[Converted], background: Background, value_range: ValueRange | None) -> list[str]:
    """What was done to images, as ImageSet.conversions."""
    told = ["orientation by EXIF"] if any(each.is_turned for each in done) else []
    if value_range is not None and any(each.is_scaled for each in done):
        n_clipped = sum(each.n_clipped for each in done)
        told.append(value_range.conversion + (f", {n_clipped:,} outside clipped" if n_clipped else ""))
    if any(each.is_composited for each in done):
        told.append(alpha.conversion(background))
    return told


def eight_bit(
    content: bytes, formats: tuple[str, ...], form: StoredForm, background: Background, value_range: ValueRange | None
) -> tuple[Image.Image, Converted]:
    """Decodes the file. A deep one needs the range that becomes 0 to 255. Raises whatever Pillow raises."""
    n_clipped, largest = 0, 255
    if form.is_deep:
        image, is_composited, n_clipped, largest = _scaled(content, formats, background, value_range)
    else:
        with Image.open(io.BytesIO(content), formats=formats) as opened:
            _scale_transparent_value(opened)
            without_xmp(opened).load()
            image, is_composited = on_background(opened, background) if form.has_alpha else (opened, False)
    is_turned = form.orientation in UPRIGHT
    if is_turned:
        image = image.transpose(UPRIGHT[form.orientation])
    return image, Converted(is_turned, is_composited, form.is_deep, n_clipped, largest)


def _scale_transparent_value(image: Image.Image) -> None:
    """Scales the grey value that stands for nothing as Pillow scales the pixels, if they have 2 or 4 bits."""
    bits = {"L;2": 2, "L;4": 4}.get(raw_mode(image))
    if bits and isinstance(transparent := image.info.get("transparency"), int):
        image.info["transparency"] = transparent * 255 // (2**bits - 1)


def _scaled(
    content: bytes, formats: tuple[str, ...], background: Background, value_range: ValueRange | None
) -> tuple[Image.Image, bool, int, int]:
    """The image, whether pixels were transparent, how many values were outside the range, and the largest byte."""
    deep = deep_values(content, formats)
    assert value_range is not None  # such files have one, or else their values could not be read above
    pixels = to_bytes(deep.values, value_range)
    largest = int(pixels.max())
    if deep.white_is_zero:
        pixels = 255 - pixels
    is_composited = deep.opacity is not None and bool((deep.opacity < 255).any())
    if deep.opacity is not None and is_composited:
        pixels = composited(np.dstack([pixels, deep.opacity]), background)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return image, is_composited, n_outside(deep.values, value_range), largest
