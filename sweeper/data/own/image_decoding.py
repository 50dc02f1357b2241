"""Decodes inspected image files into one array, from the very bytes that were hashed."""

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from math import prod
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from sweeper.data.own.image_files import MOST_PIXELS, Format, Header, Inspected, content_of, formats_of
from sweeper.data.own.many_files import HELD_BYTES, each, silent_pillow
from sweeper.data.own.refusals import refuse_bad
from sweeper.errors import SweeperError, UsageError, plain
from sweeper.images import resize
from sweeper.images.alpha import BACKGROUNDS
from sweeper.images.bounds import check_size, require_memory
from sweeper.images.decoded_cache import Decoded, decoded, new_images, store_conversions
from sweeper.images.deep_values import deep_values, range_of
from sweeper.images.eight_bit import Converted, conversions, eight_bit, pixel_bytes
from sweeper.images.image_set import UnusableTestImages
from sweeper.images.options import DataOptions
from sweeper.images.progress import Progress
from sweeper.images.reading import Reading
from sweeper.images.resize import fitted
from sweeper.images.scaling import LEAST_REACHED
from sweeper.images.stored_form import UPRIGHT
from sweeper.images.value_range import OPTION, ValueRange
from sweeper.quantities import counted

# With fewer pixels, decoding an image takes less time than handing it to a thread.
MANY_PIXELS = 128 * 128
# Part of the cache key. Change it when decoding changes, because the arrays change too.
DECODING = 3


def read(
    inspected: Sequence[Inspected],
    content: str,
    classes: Sequence[str],
    wanted: Format,
    options: DataOptions,
    reading: Reading,
    *,
    test: bool = False,
) -> Decoded:
    """The images of the files in the wanted format, decoded now or cached; labels are positions in `classes`.

    `content` is the SHA-256 of a set of files, and `inspected` has all files of that set that are in the classes; their
    images have the wanted size unless the options resize them. Raises SweeperError that names the first bad files, if
    there are any and the options do not skip them: UnusableTestImages for files of the test part.
    """
    fitting = [found for found in inspected if isinstance(found.header, Format)]
    if fitting:
        stored = None if options.resize else sum(found.n_bytes for found in fitting)
        check_size((len(fitting), *wanted.input_shape), stored, reading.max_bytes, _common(fitting))
    identity = f"{DECODING} {content} {classes} {wanted} {options.resize is not None} {options.skip_bad}"
    # Options that change no pixel of these files are no part of it.
    headers = [found.header for found in inspected if isinstance(found.header, Header)]
    bad = [found.file.name for found in inspected if isinstance(found.header, str)]
    is_turned = any(header.form.orientation in UPRIGHT for header in headers)
    background = options.background if any(header.form.has_alpha or header.form.is_deep for header in headers) else None
    identity += f" {bad} {is_turned} {background} {options.value_range} {_fitting(headers, options)}"
    key = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    return decoded(key, partial(_decode, inspected, classes, wanted, options, reading, test), reading.notify)


def _decode(
    inspected: Sequence[Inspected],
    classes: Sequence[str],
    wanted: Format,
    options: DataOptions,
    reading: Reading,
    test: bool,
    folder: Path,
) -> dict[str, str]:
    bad: dict[str, str] = {}
    good: list[Inspected] = []
    headers: list[Header] = []
    sizes: list[int] = []  # in pixels
    held: list[int] = []  # bytes while the image is decoded
    for found in inspected:
        if isinstance(found.header, str):
            bad[found.file.name] = found.header
        else:
            good.append(found)
            headers.append(found.header)
            sizes.append(prod(found.header.size))
            held.append(sizes[-1] * pixel_bytes(found.header.form))
    class_of = {found.file.name: found.file.class_name for found in inspected}
    refuse_bad(class_of, bad, options, decoded=False, test=test)
    if reading.max_bytes is None:
        largest = plain(str(good[int(np.argmax(held))].file.path))
        require_memory(max(held), "while one image is decoded", largest)
    shape = (len(good), *wanted.input_shape)
    images = new_images(folder / "images.npy", shape)

    n_at_once = HELD_BYTES // max(held) if median(sizes) >= MANY_PIXELS else 1
    deep = [found for found, header in zip(good, headers, strict=True) if header.form.is_deep]
    value_range = None
    if options.value_range is not None and not deep and wanted.value_range is None:
        raise UsageError(f"{OPTION} is for files of more than 8 bits a channel, got none ({_common(good)})")
    if test and deep and wanted.value_range is None:
        raise UnusableTestImages(
            f"test images must have 8 bits a channel like the training images, got more in {len(deep):,} of "
            f"{len(good):,} files, such as {plain(deep[0].file.name)} ({_common(deep)}); convert them to 8 bits as the "
            "training images were"
        )
    _refuse_kinds(deep)
    if deep:
        value_range = wanted.value_range or options.value_range or _range_of(deep, n_at_once, options, reading)
    progress = Progress(f"decoding {counted(len(good), 'file')}", sum(found.n_bytes for found in good), reading.notify)

    def decode(place: int) -> Converted | str:
        content, header = _unchanged(good[place], options), headers[place]
        progress.add(len(content))
        found = pixels_of(content, good[place].file.name, header, wanted, options, value_range)
        if isinstance(found, str):
            return found
        images[place], made = found
        return made

    with silent_pillow(options.max_pixels or MOST_PIXELS):
        results = each(decode, range(len(good)), n_at_once)
    bad |= {found.file.name: result for found, result in zip(good, results, strict=True) if isinstance(result, str)}
    whole = [found.file for found in good if found.file.name not in bad]
    refuse_bad(class_of, bad, options, decoded=True, test=test)
    scaled = [result.largest for result in results if isinstance(result, Converted) and result.is_scaled]
    if test and value_range and scaled and options.value_range is None and max(scaled) < LEAST_REACHED * 255:
        least = value_range.low + LEAST_REACHED * (value_range.high - value_range.low)
        raise UnusableTestImages(
            f"test images must have values from {value_range} as the training images have, got none above {least:,.4g} "
            f"({_common(deep)}); store all parts on one scale"
        )
    if len(whole) < len(good):
        kept = new_images(folder / "kept.npy", (len(whole), *wanted.input_shape))
        for place, origin in enumerate(np.flatnonzero([isinstance(result, Converted) for result in results])):
            kept[place] = images[origin]
        kept.flush()
        (folder / "kept.npy").replace(folder / "images.npy")
    else:
        images.flush()
    label_of = {name: label for label, name in enumerate(classes)}
    np.save(folder / "labels.npy", np.array([label_of[file.class_name] for file in whole], dtype=np.int64))
    told = conversions([made for made in results if isinstance(made, Converted)], options.background, value_range)
    told += _fitting(headers, options)
    store_conversions(folder, told, value_range)
    return bad


def pixels_of(
    content: bytes, name: str, header: Header, wanted: Format, options: DataOptions, value_range: ValueRange | None
) -> tuple[NDArray[np.uint8], Converted] | str:
    """The pixels of a file of this name and header in the wanted format; a text says why they cannot be decoded."""
    try:
        image, made = eight_bit(content, formats_of(name), header.form, options.background, value_range)
        behind = BACKGROUNDS[options.background]
        return fitted(image, wanted.size, grey=wanted.is_grey, fit=options.fit, background=behind), made
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes make Pillow's decoders raise exceptions of any type
        return str(error) or type(error).__name__


def _refuse_kinds(deep: Sequence[Inspected]) -> None:
    """Raises UsageError for integers beside floats: no range holds for both."""
    integers: list[Inspected] = []
    floats: list[Inspected] = []
    for found in deep:
        assert isinstance(found.header, Header)
        (floats if found.header.form.mode == "F" else integers).append(found)
    if floats and integers:
        raise UsageError(
            "files of more than 8 bits a channel must all hold integers or all floats, got integers in "
            f"{len(integers):,}, such as {plain(integers[0].file.name)}, and floats in {len(floats):,}, such as "
            f"{plain(floats[0].file.name)} ({_common(deep)}); store all as one type"
        )


def _fitting(headers: Sequence[Header], options: DataOptions) -> tuple[str, ...]:
    return resize.conversions([header.size for header in headers], options)


def _range_of(deep: Sequence[Inspected], n_at_once: int, options: DataOptions, reading: Reading) -> ValueRange | None:
    """The range of the values of these files, which have more than 8 bits; None if there are none that can be decoded.

    Raises UsageError if the values do not tell their range.
    """
    progress = Progress(
        f"finding the range of {counted(len(deep), 'file')}", sum(found.n_bytes for found in deep), reading.notify
    )

    def extremes(found: Inspected) -> tuple[float, float, bool] | None:
        content = _unchanged(found, options)
        progress.add(len(content))
        try:
            values = deep_values(content, formats_of(found.file.name)).values
        except MemoryError:
            raise
        except Exception:  # decoding the images will tell of the damage
            return None
        return values.min().item(), values.max().item(), values.dtype.kind == "f"

    with silent_pillow(options.max_pixels or MOST_PIXELS):
        known = [found for found in each(extremes, deep, n_at_once) if found]
    if not known:
        return None
    try:
        return range_of(known)
    except ValueError as error:
        raise UsageError(f"{error} ({_common(deep)})") from error


def _unchanged(inspected: Inspected, options: DataOptions) -> bytes:
    """The content of a file. Raises SweeperError if it is no longer what was inspected."""
    try:
        content = content_of(inspected.file, options.max_pixels or MOST_PIXELS)
    except OSError as error:
        found = error.strerror or type(error).__name__
    else:
        if hashlib.sha256(content).hexdigest() == inspected.sha256:
            return content
        found = "another content"
    raise SweeperError(
        f"a file must not change while it is read, got {found} ({plain(inspected.file.path)}); run the command again"
    )


def _common(inspected: Sequence[Inspected]) -> str:
    """The place of the files, for people."""
    return plain(os.path.commonpath([found.file.path for found in inspected]))
