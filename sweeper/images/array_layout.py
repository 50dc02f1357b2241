"""Finds out how an array holds images: which axes are height, width and channels, or that images are flat rows."""

from dataclasses import dataclass
from math import isqrt, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.images.options import Channels

OPTION = "--channels"
# Grey, grey with opacity, colour, colour with opacity.
MOST_CHANNELS = 4
OPAQUE = (1, 3)


@dataclass(frozen=True)
class ArrayLayout:
    """An array of `n` images, each of `channels` channels, that are stored before or after height and width.

    `flat` is how many values a row has, if each image, or each channel of it, is one row.
    """

    n: int
    channels: int
    height: int
    width: int
    is_first: bool
    flat: int | None = None

    @property
    def has_opacity(self) -> bool:
        """Whether the last channel says how opaque a pixel is."""
        return self.channels not in OPAQUE

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape (N, C, H, W) of the images without opacity."""
        return self.n, self.channels - self.has_opacity, self.height, self.width

    @property
    def conversions(self) -> tuple[str, ...]:
        """What is done to images that are stored so, as entries of ImageSet.conversions."""
        order = f"channels {'first' if self.is_first else 'last'}"
        if self.flat is not None:
            sizes = "x".join(map(str, self.shape[1 if self.channels > 1 else 2 :]))
            return (f"rows of {self.flat:,} values to {sizes} pixels" + f", {order}" * (self.channels > 1),)
        return (order,) if self.is_first else ()

    def is_last_channel(self, places: NDArray[np.int64], *, is_fortran: bool) -> NDArray[np.bool_]:
        """Whether the values at these places, in the order in which they are stored, are of the last channel."""
        after, before = (self.height * self.width, self.n) if self.is_first else (1, self.n * self.height * self.width)
        channel = places // (before if is_fortran else after) % self.channels
        return channel == self.channels - 1

    def arranged(self, images: NDArray[Any]) -> NDArray[Any]:
        """Some of the images, as stored, as (n, height, width, channels)."""
        if self.is_first:
            return images.reshape(len(images), self.channels, self.height, self.width).transpose(0, 2, 3, 1)
        return images.reshape(len(images), self.height, self.width, self.channels)


def layout_of(shape: tuple[int, ...], channels: Channels | None) -> ArrayLayout:
    """The layout of an array of images of this shape; `channels` says where they are if the shape does not.

    Raises ValueError for a shape that is none of images, and for one that can be read in two ways.
    """
    got = f"({', '.join(map(str, shape))})"
    if len(shape) > 1 and not prod(shape):
        raise ValueError(f"there must be at least one image, got shape {got}")
    match shape:
        case n, values:
            return _flat(n, values, channels)
        case n, height, width if (side := _side(height, width)) is not None:
            return _flat_channels(shape, side, channels, got)
        case n, height, width:
            return ArrayLayout(n, 1, height, width, is_first=False)
        case n, first, middle, last:
            if _is_first(shape, channels, got):
                return ArrayLayout(n, first, middle, last, is_first=True)
            return ArrayLayout(n, last, first, middle, is_first=False)
    hint = "; 3-D volumes cannot be used: make each slice an image" if len(shape) > 4 else ""
    raise ValueError(
        f"images must have shape (n, height, width), (n, height, width, channels), (n, channels, height, width) or "
        f"(n, values), got {got}{hint}"
    )


def _is_first(shape: tuple[int, ...], channels: Channels | None, got: str) -> bool:
    _, first, middle, last = shape
    may_be_first, may_be_last = first <= MOST_CHANNELS, last <= MOST_CHANNELS
    if channels is not None:
        if not (may_be_first if channels == "first" else may_be_last):
            n_channels = first if channels == "first" else last
            raise ValueError(f"images must have 1 to {MOST_CHANNELS} channels, got {n_channels} of {got} ({OPTION})")
        return channels == "first"
    if not may_be_first and not may_be_last:
        if middle <= MOST_CHANNELS:
            raise ValueError(
                f"images must be counted by the first axis, got {got}; numpy.moveaxis makes the last one it"
            )
        raise ValueError(
            f"images must have 1 to {MOST_CHANNELS} channels, got {got}; 3-D volumes and images of more bands cannot "
            "be used: make each slice an image, or keep three bands"
        )
    # Few images are 2 or 4 pixels high, and far fewer arrays hold opacity first.
    if may_be_first and may_be_last and not (last in OPAQUE and first not in OPAQUE):
        raise ValueError(
            f"images of shape {got} may be of {middle} x {last} pixels with {first} channels ({OPTION} first) or of "
            f"{first} x {middle} with {last} ({OPTION} last): give one of the options"
        )
    return not may_be_last


def _side(height: int, width: int) -> int | None:
    """The side of square images whose pixels may be one axis of these two, and whose channels the other."""
    side = isqrt(max(height, width))
    may_be = min(height, width) <= MOST_CHANNELS < side and side**2 == max(height, width)
    return side if may_be else None


def _flat_channels(shape: tuple[int, ...], side: int, channels: Channels | None, got: str) -> ArrayLayout:
    n, height, width = shape
    is_first = height < width
    wanted: Channels = "first" if is_first else "last"
    sizes = f"{height} x {side} x {side}" if is_first else f"{side} x {side} x {width}"
    if channels != wanted:
        raise ValueError(
            f"images of shape {got} may be of {sizes} ({OPTION} {wanted}) or grey ones of {height} x {width}: give the "
            f"option, or reshape them to ({n}, {height}, {width}, 1) with {OPTION} last"
        )
    return ArrayLayout(n, min(height, width), side, side, is_first, flat=height * width)


def _flat(n: int, values: int, channels: Channels | None) -> ArrayLayout:
    if (side := isqrt(values)) ** 2 == values:
        return ArrayLayout(n, 1, side, side, is_first=False, flat=values)
    if (side := isqrt(values // 3)) ** 2 * 3 == values:
        if channels is None:
            raise ValueError(
                f"rows of {values:,} values may be images of 3 x {side} x {side} ({OPTION} first, as CIFAR's) or of "
                f"{side} x {side} x 3 ({OPTION} last): give one of the options"
            )
        return ArrayLayout(n, 3, side, side, is_first=channels == "first", flat=values)
    raise ValueError(
        f"rows must be square images, grey or of three channels, got rows of {values:,} values; reshape them to "
        "(n, height, width) or (n, height, width, channels)"
    )
