"""Decodes inspected image files into one array, from the very bytes that were hashed."""

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from sweeper.data.own.image_files import FORMATS, Format, Inspected, content_of, describe_bad
from sweeper.data.own.many_files import HELD_BYTES, each, silent_pillow
from sweeper.errors import SweeperError, plain
from sweeper.images.bounds import check_size, require_memory
from sweeper.images.decoded_cache import Decoded, decoded, require_room
from sweeper.images.options import DataOptions
from sweeper.images.progress import Progress
from sweeper.images.reading import Reading
from sweeper.images.resize import fitted

# What a pixel takes while it is decoded: four channels as stored, three as converted, and its share of the file.
PIXEL_BYTES = 8
# With fewer pixels, decoding an image takes less time than handing it to a thread.
MANY_PIXELS = 128 * 128
# Part of the cache key. Change it when decoding changes, because the arrays change too.
DECODING = 1


def read(
    inspected: Sequence[Inspected],
    content: str,
    classes: Sequence[str],
    wanted: Format,
    options: DataOptions,
    reading: Reading,
) -> Decoded:
    """The images of the files in the wanted format, decoded now or cached; labels are positions in `classes`.

    `content` is the SHA-256 of a set of files, and `inspected` has all files of that set that are in the classes.
    Raises SweeperError that names the first bad files, if there are any and the options do not skip them.
    """
    fitting = [found for found in inspected if _refusal(found, wanted, options) is None]
    if fitting:
        place = os.path.commonpath([found.file.path for found in fitting])
        stored = None if options.resize else sum(found.n_bytes for found in fitting)
        check_size((len(fitting), *wanted.input_shape), stored, reading.max_bytes, plain(place))
    identity = f"{DECODING} {content} {classes} {wanted} {options.resize is not None} {options.skip_bad}"
    if options.resize and options.fit != "crop":  # the only way before there was a choice
        identity += f" {options.fit}"
    key = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    return decoded(key, partial(_decode, inspected, classes, wanted, options, reading), reading.notify)


def _decode(
    inspected: Sequence[Inspected],
    classes: Sequence[str],
    wanted: Format,
    options: DataOptions,
    reading: Reading,
    folder: Path,
) -> dict[str, str]:
    bad: dict[str, str] = {}
    good: list[Inspected] = []
    sizes: list[int] = []  # in pixels
    for found in inspected:
        refusal = _refusal(found, wanted, options)
        if refusal is not None:
            bad[found.file.name] = refusal
        elif isinstance(found.header, Format):
            good.append(found)
            sizes.append(prod(found.header.size))
    _refuse_bad(bad, len(good), options)
    if reading.max_bytes is None:
        largest = plain(str(good[int(np.argmax(sizes))].file.path))
        require_memory(PIXEL_BYTES * max(sizes), "while one image is decoded", largest)
    shape = (len(good), *wanted.input_shape)
    require_room(shape, folder)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", dtype=np.uint8, shape=shape)

    progress = Progress(f"decoding {len(good):,} files", sum(found.n_bytes for found in good), reading.notify)

    def decode(place: int) -> str:
        content = _unchanged(good[place])
        progress.add(len(content))
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                images[place] = fitted(image, wanted.size, grey=wanted.is_grey, fit=options.fit)
        except MemoryError:
            raise
        except Exception as error:  # damaged bytes make Pillow's decoders raise exceptions of any type
            return str(error) or type(error).__name__
        return ""

    with silent_pillow():
        n_at_once = HELD_BYTES // (PIXEL_BYTES * max(sizes)) if median(sizes) >= MANY_PIXELS else 1
        reasons = each(decode, range(len(good)), n_at_once)
    bad |= {found.file.name: reason for found, reason in zip(good, reasons, strict=True) if reason}
    whole = [found.file for found in good if found.file.name not in bad]
    _refuse_bad(bad, len(whole), options)
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


def _refusal(found: Inspected, wanted: Format, options: DataOptions) -> str | None:
    """Why a file cannot be one of the images, by its header; None if it can."""
    if isinstance(found.header, str):
        return found.header
    if found.header.size != wanted.size and not options.resize:
        return f"{_size(found.header.size)}, but the usual size is {_size(wanted.size)}; --resize makes all alike"
    return None


def _unchanged(inspected: Inspected) -> bytes:
    """The content of a file. Raises SweeperError if it is no longer what was inspected."""
    try:
        content = content_of(inspected.file)
    except OSError as error:
        found = error.strerror or type(error).__name__
    else:
        if hashlib.sha256(content).hexdigest() == inspected.sha256:
            return content
        found = "another content"
    raise SweeperError(
        f"a file must not change while it is read, got {found} ({plain(str(inspected.file.path))}); "
        "run the command again"
    )


def _refuse_bad(bad: Mapping[str, str], n_good: int, options: DataOptions) -> None:
    """Raises SweeperError if some files are bad and must not be skipped, or if none is good."""
    if bad and (not n_good or not options.skip_bad):
        hint = "; --skip-bad leaves them out" if n_good else ""
        raise SweeperError(f"all files must be images of one kind: {describe_bad(bad)}{hint}")


def _size(size: tuple[int, int]) -> str:
    return "x".join(map(str, size))
