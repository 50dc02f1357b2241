"""Reads the arrays of images in an .npz file: the range of their values first, then the pixels, some at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data.own.npz_arrays import CHUNK, StoredArray
from sweeper.errors import UsageError
from sweeper.images.alpha import composited, conversion
from sweeper.images.array_layout import ArrayLayout, layout_of
from sweeper.images.options import DataOptions
from sweeper.images.progress import Progress
from sweeper.images.scaling import LEAST_REACHED, n_outside, to_bytes
from sweeper.images.value_range import BYTES, OPTION, ValueRange, of_floats, of_integers

# Types of numbers that can be pixels. Those of one group may differ between the parts.
GROUPS = {"b": "booleans", "i": "integers", "u": "integers", "f": "floats"}
# A part was scaled in another way than the training images if a larger share of its values is outside of their range.
MOST_OUTSIDE = 0.1
# The opacity of a pixel through which nothing shines.
OPAQUE = 255


@dataclass(frozen=True)
class StoredImages:
    """The images of a part as the header of their array describes them."""

    layout: ArrayLayout
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    place: str

    @property
    def group(self) -> str:
        """The kind of numbers that are the pixels."""
        return GROUPS[self.dtype.kind]

    def conversions(self, value_range: ValueRange | None, options: DataOptions) -> tuple[str, ...]:
        """What is done to the images, as ImageSet.conversions."""
        scaled = () if value_range is None else (value_range.conversion,)
        opacity = (conversion(options.background),) if self.layout.has_opacity else ()
        return (*self.layout.conversions, *scaled, *opacity)


@dataclass(frozen=True)
class Values:
    """The smallest and largest value of a part's images, and how many values a range would clip.

    All are without opacity, of which `most_opaque` is the largest value; it is None if no channel is opacity.
    """

    smallest: float
    largest: float
    n_clipped: int
    n: int
    most_opaque: int | None


def images_in(array: StoredArray, options: DataOptions) -> StoredImages:
    """The images of an array; reads none. Raises UsageError if it holds none, or if it can be read in two ways."""
    if array.dtype.kind not in GROUPS or array.dtype.itemsize > 8:
        raise UsageError(
            f"images must be integers, floats or booleans of at most 64 bits, got {array.dtype} ({array.place}); "
            "numpy.astype converts them"
        )
    try:
        layout = layout_of(array.shape, options.channels)
    except ValueError as error:
        raise UsageError(f"{error} ({array.place})") from error
    if layout.has_opacity and array.dtype != np.uint8:
        raise UsageError(
            f"channel {layout.channels} of images counts as opacity in arrays of uint8 only, got {array.dtype} "
            f"({array.place}); {_without_opacity(layout)} leaves it out, and images of uint8 from 0 to 255 keep it"
        )
    return StoredImages(layout, array.shape, array.dtype, array.is_fortran, array.place)


def values_of(array: StoredArray, images: StoredImages, value_range: ValueRange | None, progress: Progress) -> Values:
    """Reads all values; `value_range` is the one that they are to be scaled by, if it is known yet.

    Raises UsageError for values that are not finite.
    """
    smallest, largest, n_clipped, n_read = np.inf, -np.inf, 0, 0
    most_opaque = 0 if images.layout.has_opacity else None
    for chunk in array.chunks(progress):
        values = np.frombuffer(chunk, array.dtype)
        if array.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
            position = n_read + int(finite.argmin())
            n_images = array.shape[0]
            image = position % n_images if array.is_fortran else position // prod(array.shape[1:])
            raise UsageError(
                f"pixels must be finite, got {values[finite.argmin()]} in image {image:,} ({array.place}); "
                "numpy.nan_to_num replaces such values"
            )
        start, n_read = n_read, n_read + len(values)
        if most_opaque is not None:
            is_opacity = images.layout.is_last_channel(np.arange(start, n_read), is_fortran=array.is_fortran)
            most_opaque = max(most_opaque, values[is_opacity].max(initial=0).item())
            values = values[~is_opacity]
        if len(values):
            smallest, largest = min(smallest, values.min().item()), max(largest, values.max().item())
            n_clipped += n_outside(values, value_range) if value_range else 0
    return Values(smallest, largest, n_clipped, prod(images.layout.shape), most_opaque)


def training_range(images: StoredImages, values: Values, given: ValueRange | None) -> ValueRange | None:
    """The values that become 0 and 255; None for bytes that stay as they are. `given` is what the user says.

    Raises UsageError if the values do not tell, or if the last channel can hardly be opacity.
    """
    if values.most_opaque is not None and values.most_opaque < OPAQUE:
        raise UsageError(
            f"channel {images.layout.channels} of images counts as opacity, which must be {OPAQUE} where nothing "
            f"shines through, got {values.most_opaque} at most ({images.place}); {_without_opacity(images.layout)} "
            "leaves it out"
        )
    are_bytes = images.dtype == np.uint8
    if given is not None:
        return None if are_bytes and given == BYTES else given
    if are_bytes and values.largest != 1:
        return None
    try:
        if images.group == "floats":
            return of_floats(values.smallest, values.largest)
        return of_integers(int(values.smallest), int(values.largest))
    except ValueError as error:
        raise UsageError(f"{error} ({images.place})") from error


def check_values(
    training: StoredImages,
    images: StoredImages,
    values: Values,
    value_range: ValueRange | None,
    options: DataOptions,
    notify: Callable[[str], None],
) -> None:
    """Tells how many values of a part are clipped. Raises UsageError if it was scaled in another way than `training`.

    A range that the user gives may clip as many as it likes: that can be its purpose.
    """
    if images.group != training.group:
        raise UsageError(
            f"images must be {training.group} like the training images, got {images.group} ({images.dtype}, "
            f"{images.place}); store all parts as one type"
        )
    if value_range is None and images.dtype == np.uint8:
        return
    used = value_range or BYTES
    clipped, reached = values.n_clipped / values.n, (values.largest - used.low) / (used.high - used.low)
    is_other = images is not training and (clipped > MOST_OUTSIDE or reached < LEAST_REACHED)
    if is_other and options.value_range is None:
        raise UsageError(
            f"images must have values from {used} as the training images have, got {values.smallest:g} to "
            f"{values.largest:g} ({images.place}); store all parts on one scale, or say it with {OPTION}"
        )
    if values.n_clipped:
        notify(f"clipped {values.n_clipped:,} of {values.n:,} values ({images.place}), which are outside of {used}")


def decode(
    array: StoredArray,
    layout: ArrayLayout,
    value_range: ValueRange | None,
    options: DataOptions,
    target: NDArray[np.uint8],
    progress: Progress,
) -> None:
    """Converts all images to bytes in `target` (N, C, H, W), some at a time: all of them may not fit into memory."""
    # Opacity is not of the range of the colours.
    for start, stored in _some_at_a_time(array, None if layout.has_opacity else value_range, progress):
        images = layout.arranged(stored)
        if layout.has_opacity:
            if value_range is not None:
                images = np.concatenate([to_bytes(images[..., :-1], value_range), images[..., -1:]], axis=-1)
            images = composited(images, options.background)
        target[start : start + len(images)] = images.transpose(0, 3, 1, 2)


def _some_at_a_time(
    array: StoredArray, value_range: ValueRange | None, progress: Progress
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Bytes of some images as stored, with the number of the first one.

    Of an array in Fortran order all images at once: each image is spread over the whole array.
    """
    n_images, *stored = array.shape
    if array.is_fortran:
        columns = np.empty(prod(array.shape), np.uint8)
        start = 0
        for chunk in array.chunks(progress):
            values = _bytes_of(chunk, array, value_range)
            columns[start : start + len(values)] = values
            start += len(values)
        yield 0, columns.reshape(array.shape, order="F")
        return
    n_bytes = prod(stored) * array.dtype.itemsize
    step = max(1, CHUNK // n_bytes)
    for start in range(0, n_images, step):
        n_read = min(step, n_images - start)
        values = _bytes_of(array.stream.read(n_read * n_bytes), array, value_range)
        yield start, values.reshape((n_read, *stored))
        progress.add(n_read * n_bytes)


def _without_opacity(layout: ArrayLayout) -> str:
    """How one writes the images without their last channel in numpy."""
    return f"images[{':, ' if layout.is_first else '..., '}:{layout.channels - 1}]"


def _bytes_of(content: bytes, array: StoredArray, value_range: ValueRange | None) -> NDArray[np.uint8]:
    values = np.frombuffer(content, array.dtype)
    return values if array.dtype == np.uint8 and value_range is None else to_bytes(values, value_range or BYTES)
