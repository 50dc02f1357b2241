"""Reads the values of image files with more than 8 bits a channel: integers of 16 and 32 bits, and floats."""

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from sweeper.images import value_range
from sweeper.images.scaling import to_bytes
from sweeper.images.stored_form import DEEP_GREY_MODES, has_alpha, is_signed, raw_mode, without_xmp
from sweeper.images.value_range import ValueRange

# The opposite order of bytes; N is this machine's.
SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
ALL_OF_16_BITS = ValueRange(0, 65535)


@dataclass(frozen=True, eq=False)
class DeepValues:
    """The stored values (height, width, 1 or 3) of an image; `opacity` (height, width) is uint8, None if all is opaque.

    `white_is_zero` says that the smallest value is white.
    """

    values: NDArray[Any]
    opacity: NDArray[np.uint8] | None
    white_is_zero: bool = False


def deep_values(content: bytes, formats: tuple[str, ...]) -> DeepValues:
    """The values of a file whose StoredForm is deep. Raises ValueError for values that are not finite."""
    with Image.open(io.BytesIO(content), formats=formats) as image:
        raw = raw_mode(image)
        is_inverted = isinstance(image, TiffImagePlugin.TiffImageFile) and (
            image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
        )
        high = np.asarray(without_xmp(image))
        is_grey, transparent = image.mode in (*DEEP_GREY_MODES, "L"), image.info.get("transparency")
        is_transparent = has_alpha(image)
        # Pillow has no mode for unsigned integers of 32 bits, nor for signed ones of 8.
        right = np.uint32 if raw == "I;32N" else np.int8 if is_signed(image) else high.dtype
    values = high.view(right)[..., None] if is_grey else _of_two_bytes(content, formats, raw, high)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("values that are infinite or not a number")
    if values.shape[2] in (2, 4):
        return DeepValues(values[..., :-1], to_bytes(values[..., -1], ALL_OF_16_BITS) if is_transparent else None)
    if transparent is None:
        return DeepValues(values, None, is_inverted)
    # PNG can name a colour that stands for nothing.
    return DeepValues(values, np.where((values == transparent).all(axis=2), 0, 255).astype(np.uint8))


def range_of(extremes: Sequence[tuple[float, float, bool]]) -> ValueRange:
    """The range of images from the smallest and the largest value of each, and whether these are floats.

    Floats that no rule covers go by their own smallest and largest value. Raises ValueError for negative integers.
    """
    smallest, largest = min(each[0] for each in extremes), max(each[1] for each in extremes)
    if not any(is_float for *_, is_float in extremes):
        return value_range.of_integers(int(smallest), int(largest))
    try:
        return value_range.of_floats(smallest, largest)
    except ValueError:
        return ValueRange(smallest, largest if largest > smallest else smallest + 1)


def _of_two_bytes(content: bytes, formats: tuple[str, ...], raw: str, high: NDArray[np.uint8]) -> NDArray[Any]:
    """The values of two bytes each, of which Pillow gives only the high ones.

    Decoded in the opposite order of bytes, the file gives the low ones.
    """
    # Grey with alpha has as many bytes a pixel as four channels of a byte.
    swapped = "RGBA" if raw == "LA;16B" else raw[:-1] + SWAPPED[raw[-1]]
    with Image.open(io.BytesIO(content), formats=formats) as image:
        image.tile = [
            tile._replace(args=(swapped, *tile.args[1:]) if isinstance(tile.args, tuple) else swapped)
            for tile in image.tile
        ]
        low = np.asarray(without_xmp(image)).astype(np.uint16)
    if raw == "LA;16B":
        return low[..., ::2] << 8 | low[..., 1::2]
    return high.astype(np.uint16) << 8 | low
