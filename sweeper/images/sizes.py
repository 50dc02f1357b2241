"""Says which sizes images have that must all have one, and to which size they are best resized."""

from collections import Counter
from collections.abc import Sequence
from math import log2, sqrt
from statistics import median

from sweeper.quantities import counted

MOST_NAMED = 3
# Smaller images have no room for the poolings of any space that ships; larger ones take hours on a CPU.
SIDES = 8, 128


def described(sizes: Sequence[tuple[int, int]]) -> str:
    """The sizes (width, height) of images as height x width, with their numbers, the most common first.

    Of many, also the extremes. The order is named if it matters.
    """
    counts = Counter(sizes).most_common()
    named = [f"{height_by_width(size)} ({counted(n, 'image')})" for size, n in counts[:MOST_NAMED]]
    order = "" if all(width == height for width, height in sizes) else ", height x width"
    if len(counts) <= MOST_NAMED:
        return ", ".join(named) + order
    ordered = sorted(counts, key=lambda one: one[0][0] * one[0][1])
    smallest, largest = height_by_width(ordered[0][0]), height_by_width(ordered[-1][0])
    return f"{', '.join(named)} and {len(counts) - MOST_NAMED:,} more, from {smallest} to {largest}{order}"


def suggested_side(sizes: Sequence[tuple[int, int]]) -> int:
    """A side for square images: that of most images if they are square, else a power of two.

    It is the one nearest to the side of a square of as many pixels as the median image has.
    """
    (width, height), n = Counter(sizes).most_common(1)[0]
    if width == height and 2 * n >= len(sizes):
        return width
    usual = sqrt(median(width * height for width, height in sizes))
    smallest, largest = SIDES
    return min(largest, max(smallest, 1 << round(log2(usual))))


def how_to_resize(sizes: Sequence[tuple[int, int]]) -> str:
    """The options that make all images alike, and what each way does to those that are not square."""
    resize = f"--resize {suggested_side(sizes)} makes all alike"
    if all(width == height for width, height in sizes):
        return resize
    share = 1 - min(min(size) / max(size) for size in sizes)
    pad = f"pad (the default: all of an image, and up to {100 * share:.0f} % --background beside it)"
    crop = f"crop (loses up to {100 * share:.0f} % of an image)"
    return f"{resize}, with --fit {pad}, {crop} or stretch (distorts)"


def height_by_width(size: tuple[int, int]) -> str:
    """A size (width, height) as people read it, and as arrays have it."""
    width, height = size
    return f"{height}x{width}"
