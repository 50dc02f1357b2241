"""Reads any image files for a trained network, a batch at a time, as its training images were read."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from sweeper.analysis.network import TrainedNetwork
from sweeper.data.own import image_decoding, image_files
from sweeper.data.own.image_decoding import MANY_PIXELS
from sweeper.data.own.image_files import MOST_PIXELS, Format, Header, ImageFile
from sweeper.data.own.many_files import HELD_BYTES, each, silent_pillow
from sweeper.errors import SweeperError
from sweeper.folders.walk import files_below
from sweeper.images import resize
from sweeper.images.bounds import size
from sweeper.images.eight_bit import Converted, conversions, pixel_bytes
from sweeper.images.stored_form import StoredForm
from sweeper.images.value_range import ValueRange
from sweeper.process.resources import available_memory

# The most bytes of a batch of images as a network takes them.
BATCH_BYTES = 256_000_000
DEEP = "more than 8 bits a channel, unlike the training images: convert it to 8 bits as they were"


@dataclass(frozen=True)
class Unreadable:
    """A file that is no image that can be read, or a folder without one, and why."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class ReadImage:
    """The pixels uint8 (channels, height, width) of a file, and how its image was changed, in words."""

    file: str
    pixels: NDArray[np.uint8]
    changed: str


def listed(paths: Sequence[Path | str]) -> list[ImageFile | Unreadable]:
    """The files, and in place of a folder the images in it and below, sorted, by their names."""
    found: list[ImageFile | Unreadable] = []
    for path in map(Path, paths):
        try:
            is_folder = path.is_dir()
        except OSError as error:  # such as a name that is too long
            found.append(Unreadable(str(path), error.strerror or str(error)))
            continue
        if "\0" in str(path):
            found.append(Unreadable(str(path), "a path has no NUL character: in a list, each has a line"))
            continue
        if not is_folder:
            found.append(ImageFile(path, str(path), ""))
            continue
        try:
            inside = [ImageFile(file, str(file), "") for file in files_below(path)]
        except SweeperError as error:
            found.append(Unreadable(str(path), str(error)))
        else:
            found += inside or [Unreadable(str(path), "a folder without images")]
    return found


def batches(
    files: Sequence[ImageFile | Unreadable],
    network: TrainedNetwork,
    value_range: Callable[[], ValueRange | None],
    batch_size: int,
    max_pixels: int | None,
) -> Iterator[list[ReadImage | Unreadable]]:
    """The images of the files in their order, `batch_size` at a time, or fewer if they are large.

    `value_range` gives the stored values that became 0 and 255 for training; it is called once, for the first file with
    more than 8 bits a channel. `max_pixels` is the most pixels that an image may have, MOST_PIXELS if None.
    """
    reader = _Reader(network, cache(partial(_range_or_reason, value_range)), max_pixels or MOST_PIXELS)
    step = max(1, min(batch_size, BATCH_BYTES // prod(network.input_shape)))
    for start in range(0, len(files), step):
        yield reader.read(files[start : start + step])


class _Reader:
    """What holds for all files."""

    def __init__(self, network: TrainedNetwork, value_range: Callable[[], ValueRange | str], max_pixels: int) -> None:
        channels, height, width = network.input_shape
        self.wanted = Format((width, height), channels == 1)
        self.options = network.preprocessing.options
        self.value_range, self.max_pixels = value_range, max_pixels

    def read(self, files: Sequence[ImageFile | Unreadable]) -> list[ReadImage | Unreadable]:
        """The images of the files, in order."""
        wanted = [file for file in files if isinstance(file, ImageFile)]
        # The headers alone, to know how many images can be decoded at once.
        inspected = image_files.inspect(wanted, exif=not self.options.no_exif, hashed=False, max_pixels=self.max_pixels)
        headers = [found.header for found in inspected if isinstance(found.header, Header)]
        if any(header.form.is_deep for header in headers):
            self.value_range()  # before threads ask for it at once
        n_at_once = 1
        if headers and median(prod(header.size) for header in headers) >= MANY_PIXELS:
            n_at_once = HELD_BYTES // max(_n_held(header) for header in headers)
        with silent_pillow(self.max_pixels):
            read = iter(each(self._read, [(found.file, found.header) for found in inspected], n_at_once))
        return [next(read) if isinstance(file, ImageFile) else file for file in files]

    def _read(self, found: tuple[ImageFile, Header | str]) -> ReadImage | Unreadable:
        file, header = found
        if isinstance(header, str):
            return Unreadable(file.name, header)
        memory, needed = available_memory(), _n_held(header)
        if memory is not None and needed > memory:
            return Unreadable(file.name, f"takes {size(needed)} to decode, more than the {size(memory)} that are free")
        try:
            content = image_files.content_of(file, self.max_pixels)
        except OSError as error:
            return Unreadable(file.name, error.strerror or type(error).__name__)
        # Of the very bytes that are decoded, whatever the file held before.
        header = image_files.header_of(io.BytesIO(content), file.name, self.max_pixels, exif=not self.options.no_exif)
        if isinstance(header, str):
            return Unreadable(file.name, header)
        value_range = self.value_range() if header.form.is_deep else None
        if isinstance(value_range, str):
            return Unreadable(file.name, value_range)
        decoded = image_decoding.pixels_of(content, file.name, header, self.wanted, self.options, value_range)
        if isinstance(decoded, str):
            return Unreadable(file.name, decoded)
        pixels, made = decoded
        return ReadImage(file.name, pixels, self._changed(header, made, value_range))

    def _changed(self, header: Header, made: Converted, value_range: ValueRange | None) -> str:
        background = self.options.background
        told = [resize.change(header.size, self.wanted.size, self.options.fit, background)]
        if header.is_grey != self.wanted.is_grey:
            told.append("colour to grey" if self.wanted.is_grey else "grey to colour")
        return ", ".join(filter(None, [*told, *conversions([made], background, value_range), *_left_out(header.form)]))


def _range_or_reason(value_range: Callable[[], ValueRange | None]) -> ValueRange | str:
    """The range, or why files with more than 8 bits a channel cannot be read."""
    try:
        return value_range() or DEEP
    except SweeperError as error:
        return f"more than 8 bits a channel, and their range is unknown: {error}"


def _left_out(form: StoredForm) -> Iterator[str]:
    """What of the file is not in the image."""
    if form.has_frames:
        yield "the first of several images"
    if form.has_other_band:
        yield "without the band beside its colours"
    if form.is_cut:
        yield "the highest 8 bits of each channel"
    if form.mode == "CMYK":
        yield "CMYK to RGB without its colour profile"


def _n_held(header: Header) -> int:
    """The bytes that decoding takes."""
    return prod(header.size) * pixel_bytes(header.form)
