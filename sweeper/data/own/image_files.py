"""Decodes image files into one array; reads all headers first, so that no unsuitable file is decoded."""

import hashlib
import logging
import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from sweeper.data.images.decoded_cache import Decoded, decoded, require_room
from sweeper.data.images.options import DataOptions
from sweeper.data.images.resize import fitted
from sweeper.errors import SweeperError, plain

# The formats that cameras, scanners and data sets write. Pillow knows more, and runs other programs for some of them.
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
# Modes of at most 8 bits per channel. Grey modes have one channel, not counting transparency.
GREY_MODES = ("1", "L", "LA", "La")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
# More pixels than any photograph has. A header can claim billions in a few bytes.
MOST_PIXELS = 64_000_000
MOST_NAMED = 5
THREADS = min(8, os.cpu_count() or 1)
# Below these sizes, processing a file takes less time than handing it to a thread.
MANY_BYTES, MANY_PIXELS = 262_144, 128 * 128
# Part of the cache key. Change it when decoding changes, because the arrays change too.
DECODING = 1


Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ImageFile:
    """A file that should hold an image of a class; `name` is its path relative to the data set's folder."""

    path: Path
    name: str
    class_name: str


@dataclass(frozen=True)
class Format:
    """The format that an image file claims or that all images are converted to; `size` is (width, height)."""

    size: tuple[int, int]
    is_grey: bool

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return 1 if self.is_grey else 3, self.size[1], self.size[0]


@dataclass(frozen=True)
class Inspected:
    """The result of reading a file without decoding it."""

    file: ImageFile
    sha256: str  # or the reason why the file cannot be read; empty if no hash was requested
    header: Format | str  # or the reason why the file is not an image


def inspect(files: Sequence[ImageFile], *, hashed: bool = True) -> list[Inspected]:
    """Inspects each file; reads only its header unless `hashed`. A bad file raises nothing: its result says why."""
    sample = [_n_bytes(file) for file in files[:: len(files) // 32 + 1]]
    with _silent_pillow():
        in_threads = hashed and bool(sample) and median(sample) >= MANY_BYTES
        return _map(partial(_inspect, hashed=hashed), files, in_threads=in_threads)


def content_sha256(inspected: Sequence[Inspected]) -> str:
    """One SHA-256 over the names and contents of the files, in order."""
    lines = "".join(f"{found.sha256} {found.file.name}\n" for found in inspected)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def common_format(inspected: Sequence[Inspected], options: DataOptions) -> Format:
    """The format for all images: the size asked for, else the most common one; grey if asked for or if all are grey.

    Raises SweeperError if no file is an image.
    """
    known = [found.header for found in inspected if isinstance(found.header, Format)]
    if not known:
        bad = {found.file.name: found.header for found in inspected if isinstance(found.header, str)}
        raise SweeperError(f"at least one file must be an image, got none: {describe_bad(bad)}")
    usual = Counter(header.size for header in known).most_common(1)[0][0]
    size = (options.resize, options.resize) if options.resize else usual
    return Format(size, options.grayscale or all(header.is_grey for header in known))


def read(
    inspected: Sequence[Inspected], content: str, classes: Sequence[str], wanted: Format, options: DataOptions
) -> Decoded:
    """The images of the files in the wanted format, decoded now or cached; labels are positions in `classes`.

    `content` is the SHA-256 of a set of files, and `inspected` has all files of that set that are in the classes.
    Raises SweeperError that names the first bad files, if there are any and the options do not skip them.
    """
    identity = f"{DECODING} {content} {classes} {wanted} {options.resize is not None} {options.skip_bad}"
    key = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    return decoded(key, partial(_decode, inspected, classes, wanted, options))


def _decode(
    inspected: Sequence[Inspected], classes: Sequence[str], wanted: Format, options: DataOptions, folder: Path
) -> dict[str, str]:
    bad: dict[str, str] = {}
    sizes: list[tuple[int, int]] = []
    for found in inspected:
        header, name = found.header, found.file.name
        if isinstance(header, str):
            bad[name] = header
        elif header.size != wanted.size and not options.resize:
            bad[name] = f"{_size(header.size)}, but the usual size is {_size(wanted.size)}; --resize makes all alike"
        else:
            sizes.append(header.size)
    good = _good([found.file for found in inspected], bad, options)
    shape = (len(good), *wanted.input_shape)
    require_room(shape, folder)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", dtype=np.uint8, shape=shape)

    def decode(place: int) -> str:
        try:
            with Image.open(good[place].path, formats=FORMATS) as image:
                if image.size != sizes[place]:
                    return "changed while it was read"
                images[place] = fitted(image, wanted.size, grey=wanted.is_grey)
        except Exception as error:  # damaged bytes make Pillow's decoders raise exceptions of any type
            return str(error) or type(error).__name__
        return ""

    with _silent_pillow():
        n_pixels = median(width * height for width, height in sizes)
        reasons = _map(decode, range(len(good)), in_threads=n_pixels >= MANY_PIXELS)
    bad |= {file.name: reason for file, reason in zip(good, reasons, strict=True) if reason}
    whole = _good(good, bad, options)
    if len(whole) < len(good):
        shape = (len(whole), *wanted.input_shape)
        require_room(shape, folder)
        kept = np.lib.format.open_memmap(folder / "kept.npy", "w+", dtype=np.uint8, shape=shape)
        for place, origin in enumerate(np.flatnonzero([not reason for reason in reasons])):
            kept[place] = images[origin]
        kept.flush()
        (folder / "kept.npy").replace(folder / "images.npy")
    else:
        images.flush()
    label_of = {name: label for label, name in enumerate(classes)}
    np.save(folder / "labels.npy", np.array([label_of[file.class_name] for file in whole], dtype=np.int64))
    return bad


def _good(files: Sequence[ImageFile], bad: Mapping[str, str], options: DataOptions) -> list[ImageFile]:
    """The files that are not bad. Raises SweeperError if some are bad and must not be skipped, or if all are bad."""
    good = [file for file in files if file.name not in bad]
    if bad and (not good or not options.skip_bad):
        hint = "; --skip-bad leaves them out" if good else ""
        raise SweeperError(f"all files must be images of one kind: {describe_bad(bad)}{hint}")
    return good


def describe_bad(bad: Mapping[str, str]) -> str:
    """The number of bad files, and the first ones with their reasons."""
    first = "; ".join(f"{plain(name)}: {plain(reason)}" for name, reason in list(bad.items())[:MOST_NAMED])
    return f"{len(bad):,} {'is' if len(bad) == 1 else 'are'} not ({first}{'; ...' * (len(bad) > MOST_NAMED)})"


def _map(work: Callable[[Item], Result], items: Sequence[Item], *, in_threads: bool) -> list[Result]:
    if not in_threads:
        return list(map(work, items))
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(work, items))


def _n_bytes(file: ImageFile) -> int:
    try:
        return os.stat(file.path).st_size
    except OSError:
        return 0


def _inspect(file: ImageFile, *, hashed: bool) -> Inspected:
    try:
        # Checked before the file is opened: a named pipe would wait for a writer.
        if not stat.S_ISREG(os.stat(file.path).st_mode):
            return Inspected(file, "no regular file", "no regular file")
        with open(file.path, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest() if hashed else ""
            stream.seek(0)
            return Inspected(file, digest, _header(stream))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Inspected(file, reason, reason)


def _header(stream: BinaryIO) -> Format | str:
    try:
        with Image.open(stream, formats=FORMATS) as image:
            (width, height), mode = image.size, image.mode
    except UnidentifiedImageError:
        return "no image"
    except Exception as error:  # damaged bytes make Pillow's readers raise exceptions of any type
        return str(error) or type(error).__name__
    if width * height > MOST_PIXELS:
        return f"claims {width:,} x {height:,} pixels, more than {MOST_PIXELS:,}"
    if mode not in GREY_MODES + COLOUR_MODES:
        return f"pixels of mode {mode}, more than 8 bits a channel"
    return Format((width, height), mode in GREY_MODES)


@contextmanager
def _silent_pillow() -> Iterator[None]:
    """Silences Pillow's warnings and log: real faults raise errors, and odd metadata does not matter."""
    logger = logging.getLogger("PIL")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    finally:
        logger.setLevel(level)


def _size(size: tuple[int, int]) -> str:
    return "x".join(map(str, size))
