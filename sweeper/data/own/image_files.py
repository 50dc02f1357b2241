"""Image files as they are before they are decoded: their hashes, and the formats that their headers claim."""

import errno
import hashlib
import io
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from statistics import median
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from sweeper.data.own.many_files import HELD_BYTES, each, silent_pillow
from sweeper.data.own.refusals import describe_bad
from sweeper.errors import SweeperError
from sweeper.images import foreign_files
from sweeper.images.options import DataOptions
from sweeper.images.png_chunks import check_chunks
from sweeper.images.progress import Progress
from sweeper.images.stored_form import ON_ITS_SIDE, StoredForm, stored_form
from sweeper.images.value_range import ValueRange
from sweeper.quantities import counted

# The formats that cameras, scanners and data sets write. Pillow knows more, and runs other programs for some of them.
FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "QOI", "TIFF", "WEBP")
# Formats that nearly any bytes may be, by the ending of the name that makes them likely.
NAMED_FORMATS = {".pcx": "PCX", ".rgb": "SGI", ".sgi": "SGI", ".tga": "TGA"}
# More pixels than most photographs have.
MOST_PIXELS = 64_000_000
# More pixels than any image has that a network can be trained on. A header can claim them in a few bytes.
MOST_REAL_PIXELS = 2_000_000_000
# More bytes than such an image takes, with four channels and not compressed. A file is read whole, to hash and decode
# the same bytes.
MOST_BYTES = 300_000_000
# Hashing a smaller file takes less time than handing it to a thread.
MANY_BYTES = 262_144


@dataclass(frozen=True)
class ImageFile:
    """A file that should hold an image of a class; `name` is its path relative to the data set's folder.

    `identity` is what the data set's hash depends on besides the content: the name, and the class unless the name
    tells it.
    """

    path: Path
    name: str
    class_name: str
    identity: str = ""


@dataclass(frozen=True)
class Format:
    """The format that an image file claims or that all images are converted to.

    `size` is (width, height) of the upright image. `value_range` is that of the training images, for test images.
    """

    size: tuple[int, int]
    is_grey: bool
    value_range: ValueRange | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return 1 if self.is_grey else 3, self.size[1], self.size[0]


@dataclass(frozen=True)
class Header(Format):
    """What an image file claims to hold."""

    form: StoredForm = field(kw_only=True)


@dataclass(frozen=True)
class Inspected:
    """The result of reading a file without decoding it."""

    file: ImageFile
    sha256: str  # or the reason why the file cannot be read; empty if no hash was requested
    header: Header | str  # or the reason why the file is not an image
    n_bytes: int = 0  # that were hashed


def inspect(
    files: Sequence[ImageFile],
    *,
    exif: bool = True,
    hashed: bool = True,
    max_pixels: int | None = None,
    notify: Callable[[str], None] = lambda note: None,
) -> list[Inspected]:
    """Inspects each file; reads only its header unless `hashed`. A bad file raises nothing: its result says why.

    Without `exif`, images are not turned upright as their EXIF blocks ask for. `max_pixels` is the most pixels that an
    image may have, MOST_PIXELS if None. `notify` is told how far the hashing is if it takes long.
    """
    most = max_pixels or MOST_PIXELS
    sizes = [_n_bytes(file, most) for file in files] if hashed else []
    n_at_once = HELD_BYTES // (max(sizes) or 1) if sizes and median(sizes) >= MANY_BYTES else 1
    progress = Progress(f"hashing {counted(len(files), 'file')}", sum(sizes), notify)

    def inspected(file: ImageFile) -> Inspected:
        found = _inspect(file, most, exif=exif, hashed=hashed)
        progress.add(found.n_bytes)
        return found

    with silent_pillow(most):
        return each(inspected, files, n_at_once)


def content_sha256(inspected: Sequence[Inspected]) -> str:
    """One SHA-256 over the identities and contents of the files, in order."""
    lines = "".join(f"{found.sha256} {found.file.identity or found.file.name}\n" for found in inspected)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def common_format(inspected: Sequence[Inspected], options: DataOptions) -> Format:
    """The format for all images: the size asked for, else the most common one; grey if asked for or if all are grey.

    Raises SweeperError if no file is an image.
    """
    known = [found.header for found in inspected if isinstance(found.header, Header)]
    if not known:
        bad = {found.file.name: found.header for found in inspected if isinstance(found.header, str)}
        raise SweeperError(f"at least one file must be an image, got none: {describe_bad(bad)}")
    usual = Counter(header.size for header in known).most_common(1)[0][0]
    size = (options.resize, options.resize) if options.resize else usual
    return Format(size, options.grayscale or all(header.is_grey for header in known))


def remarks(inspected: Sequence[Inspected], part: str) -> Iterator[str]:
    """What is worth a word about how files of a part are read, though it changes nothing: a line for each kind."""
    forms = [found.header.form for found in inspected if isinstance(found.header, Header)]
    n_all = f"{len(forms):,} {part} files"
    if n_files := sum(form.has_frames for form in forms):
        yield f"{n_files:,} of {n_all} hold several images (frames or pages): the first of each is used"
    if n_files := sum(form.has_other_band for form in forms):
        yield f"{n_files:,} of {n_all} have a band that is neither colour nor marked as opacity, left out"
    if n_files := sum(form.is_cut for form in forms):
        yield f"{n_files:,} of {n_all} hold more than 8 bits a channel, of which the highest 8 are used"
    if n_files := sum(form.mode == "CMYK" for form in forms):
        yield f"{n_files:,} of {n_all} are CMYK: they become RGB without their colour profiles"


def formats_of(name: str) -> tuple[str, ...]:
    """The formats that a file of this name may have."""
    return (*FORMATS, *(format for ending, format in NAMED_FORMATS.items() if name.lower().endswith(ending)))


def opened(file: ImageFile, max_pixels: int = MOST_PIXELS) -> BinaryIO:
    """The file, if it is a regular one of no more bytes than so many pixels take.

    Raises OSError, whose strerror is the reason.
    """
    # Checked before the file is opened: a named pipe would wait for a writer.
    found, most = os.stat(file.path), _most_bytes(max_pixels)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "no regular file")
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"{found.st_size:,} bytes, more than {most:,}")
    return open(file.path, "rb")


def content_of(file: ImageFile, max_pixels: int = MOST_PIXELS) -> bytes:
    """The content of the file, of no more bytes than so many pixels take, whatever becomes of the file.

    Raises OSError as `opened` does.
    """
    with opened(file, max_pixels) as stream:
        return stream.read(_most_bytes(max_pixels))


def _most_bytes(max_pixels: int) -> int:
    return max(MOST_BYTES, MOST_BYTES * max_pixels // MOST_PIXELS)


def _n_bytes(file: ImageFile, max_pixels: int) -> int:
    """How many bytes are to be read."""
    try:
        return min(os.stat(file.path).st_size, _most_bytes(max_pixels))
    except OSError:
        return 0


def _inspect(file: ImageFile, max_pixels: int, *, exif: bool, hashed: bool) -> Inspected:
    try:
        if not hashed:
            with opened(file, max_pixels) as stream:
                return Inspected(file, "", header_of(stream, file.name, max_pixels, exif=exif))
        content = content_of(file, max_pixels)
        # The header is that of the hashed bytes, whatever the file holds by now.
        header = header_of(io.BytesIO(content), file.name, max_pixels, exif=exif)
        return Inspected(file, hashlib.sha256(content).hexdigest(), header, len(content))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        told = reason
        if error.errno == errno.ENOENT and file.path.is_symlink():
            told = foreign_files.broken_link(file.path)
        elif error.errno == errno.EFBIG:
            told += "; --max-pixels lifts this bound"
        return Inspected(file, reason, told)  # the hash has the system's words, as it always had


def header_of(stream: BinaryIO, name: str, max_pixels: int = MOST_PIXELS, *, exif: bool) -> Header | str:
    """What the file of this name claims to hold, or the reason why it is not an image."""
    try:
        check_chunks(stream)
        with Image.open(stream, formats=formats_of(name)) as image:
            if foreign := foreign_files.why_no_picture(image, name):
                return foreign
            (width, height), form = image.size, stored_form(image, exif=exif)
    except UnidentifiedImageError:
        return foreign_files.named(stream, name)
    except Image.DecompressionBombError as error:
        n_pixels = re.search("[0-9]+", str(error))
        return _too_large(int(n_pixels[0]) if n_pixels else 0, "", max_pixels)
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes make Pillow's readers raise exceptions of any type
        return str(error) or type(error).__name__
    if width * height > max_pixels:
        return _too_large(width * height, f"{height:,} x {width:,} = ", max_pixels)
    size = (height, width) if form.orientation in ON_ITS_SIDE else (width, height)
    return Header(size, form.is_grey, form=form)


def _too_large(n_pixels: int, sides: str, max_pixels: int) -> str:
    remedy = f"; --max-pixels {ceil(n_pixels / 1e6)}M reads it" if n_pixels <= MOST_REAL_PIXELS else ""
    return f"claims {sides}{n_pixels:,} pixels, more than {max_pixels:,}{remedy}"
