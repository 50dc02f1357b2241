"""Reads an .npz file of images and labels: a pair of arrays, or one for each part, under any usual names.

As with a folder of images, a file of another layout is a UsageError, and damaged content is a SweeperError.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.own.folder_layout import TEST, TRAIN, VAL
from sweeper.data.own.npz_arrays import StoredArray, opened
from sweeper.data.own.npz_images import StoredImages, check_values, decode, images_in, training_range, values_of
from sweeper.data.own.npz_keys import Keys, keys_of
from sweeper.data.own.npz_labels import Classes, Labels, class_names_of, classes_of, labels_of
from sweeper.errors import SweeperError, UsageError, plain, shortened
from sweeper.images.bounds import check_size
from sweeper.images.class_choice import choose, counted
from sweeper.images.conversion import converted
from sweeper.images.decoded_cache import decoded, require_room
from sweeper.images.image_set import ImageSet, NoTestImages, PixelFormat, UnusableTestImages
from sweeper.images.options import DataOptions
from sweeper.images.progress import Progress
from sweeper.images.reading import Reading
from sweeper.images.value_range import BYTES, ValueRange


@dataclass(frozen=True, eq=False)
class _Content:
    """What some parts hold, all found in one reading: images and labels, the range of their values, the class names.

    `sha256` is over the stored arrays, header and values. The class names belong to the training part, and are empty
    if the file gives none.
    """

    sha256: str
    images: list[StoredImages]
    labels: list[Labels]
    value_range: ValueRange | None
    class_names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape (N, C, H, W) of the images of all parts together."""
        shapes = [images.layout.shape for images in self.images]
        return sum(shape[0] for shape in shapes), *shapes[0][1:]


def training_shape(path: Path, options: DataOptions) -> tuple[int, int, int]:
    """Channels, height and width of the training images, from the header. Raises SweeperError and UsageError."""
    return _training_images(keys_of(path), options).layout.shape[1:]


def training_part(path: Path, options: DataOptions, reading: Reading) -> ImageSet:
    """The images for training and validation, those of validation last. Reads nothing of the test arrays.

    An array of class names gives the classes their names; without it, they are called as the labels. Raises
    SweeperError and UsageError.
    """
    keys = keys_of(path)
    parts = [TRAIN] + [VAL] * keys.has(VAL)
    _tell(keys, reading)
    _check_size(keys, parts, options, reading)
    content = _read(keys, parts, options, reading)
    classes = _classes(content.labels, content.class_names, options)
    if classes.empty:
        reading.notify(f"left out classes without training images: {_listed(classes.empty)} ({plain(str(path))})")
    numbers = [classes.numbers(labels) for labels in content.labels]
    for part, stored, known in zip(parts, content.labels, numbers, strict=True):
        if (known < 0).any() and not options.own_classes:
            raise UsageError(
                f"{part} images must be of classes that have training images, got {_unknown(stored, known)} "
                f"({stored.place}); --resplit joins them to the training images, --classes names the classes to use"
            )
    n_validation = 0 if options.resplit else sum(int((known >= 0).sum()) for known in numbers[1:])
    labels = np.concatenate(numbers)
    choice = choose(options, counted(labels[labels >= 0], classes.names))
    choice.tell(reading.notify)
    found = replace(_part(keys, parts, content, classes, labels, options, reading), n_validation=n_validation)
    return converted(found, choice, options, reading)


def test_part(path: Path, options: DataOptions, wanted: PixelFormat, reading: Reading) -> ImageSet:
    """The test images, their values scaled as those of the training images.

    Raises NoTestImages if there are none that can be tested on, and SweeperError and UsageError.
    """
    keys = keys_of(path)
    if not _has_test_part(keys):
        raise NoTestImages(f"there must be a test part, got no test_images and test_labels ({plain(str(path))})")
    _check_size(keys, [TEST], options, reading)
    trained = [_labels(keys, part) for part in (TRAIN, VAL) if keys.has(part)]
    classes = _classes(trained, _class_names(keys), options)
    content = _read(keys, [TEST], options, reading, wanted)
    labels = classes.numbers(content.labels[0])
    if (labels < 0).any() and not options.own_classes:
        raise UnusableTestImages(
            f"test images must be of classes that have training images, got {_unknown(content.labels[0], labels)} "
            f"({content.labels[0].place}); --classes names those to use"
        )
    known = np.concatenate([classes.numbers(each) for each in trained])
    choice = choose(options, counted(known[known >= 0], classes.names))
    part = converted(_part(keys, [TEST], content, classes, labels, options, reading), choice, options, reading)
    if not len(part.labels):
        raise NoTestImages(f"there must be a test part, got none of the classes asked for ({plain(str(path))})")
    return part


def has_test_part(path: Path) -> bool:
    """Whether the file has test images and labels, by their names: reads none. Raises SweeperError and UsageError."""
    return _has_test_part(keys_of(path))


def test_sha256(path: Path) -> str | None:
    """The hash of the test arrays; None if there are none."""
    keys = keys_of(path)
    if not _has_test_part(keys):
        return None
    digest = hashlib.sha256()
    _hash(path, keys.array(TEST, "images"), digest)
    _hash(path, keys.array(TEST, "labels"), digest)
    return digest.hexdigest()


def _tell(keys: Keys, reading: Reading) -> None:
    place = plain(str(keys.path))
    if keys.without_parts:
        reading.notify(f"{place} names no parts: all its images are training images, and there is no test part")
    if keys.others:
        names = _listed(keys.others)
        reading.notify(f"ignored arrays whose names say neither images, labels nor classes: {names} ({place})")


def _has_test_part(keys: Keys) -> bool:
    """Whether there are test images and labels. Raises UnusableTestImages if there are only one of both."""
    try:
        return keys.has(TEST)
    except UsageError as error:
        raise UnusableTestImages(str(error)) from error


def _check_size(keys: Keys, parts: Sequence[str], options: DataOptions, reading: Reading) -> None:
    """Refuses too many or too large images by the headers, before anything is expanded, be it to hash it."""
    shapes, n_stored = [], 0
    for part in parts:
        with opened(keys.path, keys.array(part, "images")) as array:
            shapes.append(images_in(array, options).layout.shape)
            n_stored += array.n_stored
    shape = sum(shape[0] for shape in shapes), *shapes[0][1:]
    check_size(shape, n_stored, reading.max_bytes, plain(str(keys.path)), advice="")


def _part(
    keys: Keys,
    parts: Sequence[str],
    content: _Content,
    classes: Classes,
    labels: NDArray[np.int64],
    options: DataOptions,
    reading: Reading,
) -> ImageSet:
    """The decoded images of the parts, without those whose label is no class."""
    pixels = [images.conversions(content.value_range, options) for images in content.images]
    of_labels = [labels.conversion for labels in content.labels] + [classes.conversion]
    # With other options, the same arrays give other pixels. Images that are stored as bytes, with the channels last,
    # have the key that they always had.
    key = content.sha256
    if any(pixels):
        key = hashlib.sha256(f"{content.sha256} {pixels} {content.value_range!r}".encode()).hexdigest()
    found = decoded(key, partial(_decode, keys, parts, content, labels, options, reading), reading.notify)
    kept = labels >= 0
    return ImageSet(
        images=found.images if kept.all() else found.images[kept],
        labels=labels[kept],
        classes=classes.names,
        sha256=content.sha256,
        source=str(keys.path),
        conversions=tuple(dict.fromkeys(phrase for phrase in (*sum(pixels, ()), *of_labels) if phrase)),
        value_range=content.value_range,
    )


def _decode(
    keys: Keys,
    parts: Sequence[str],
    content: _Content,
    labels: NDArray[np.int64],
    options: DataOptions,
    reading: Reading,
    folder: Path,
) -> dict[str, str]:
    require_room(content.shape, folder)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", dtype=np.uint8, shape=content.shape)
    # The pixels come from a second reading, since only the hash of the first one told that they are not cached.
    if keys_of(keys.path) != keys:
        raise _changed(keys.path)
    digest, start = hashlib.sha256(), 0
    for part, stored in zip(parts, content.images, strict=True):
        with opened(keys.path, keys.array(part, "images"), digest) as array:
            if (array.shape, array.dtype, array.is_fortran) != (stored.shape, stored.dtype, stored.is_fortran):
                raise _changed(keys.path)
            target = images[start : start + stored.layout.n]
            decode(array, stored.layout, content.value_range, options, target, _progress("decoding", array, reading))
        start += stored.layout.n
        _hash(keys.path, keys.array(part, "labels"), digest)
    if parts[0] == TRAIN and (name := keys.of_classes()):
        _hash(keys.path, name, digest)
    if digest.hexdigest() != content.sha256:
        raise _changed(keys.path)
    images.flush()
    np.save(folder / "labels.npy", labels)  # never read: those of test images depend on the training labels too
    return {}


def _read(
    keys: Keys, parts: Sequence[str], options: DataOptions, reading: Reading, wanted: PixelFormat | None = None
) -> _Content:
    """Reads the parts once, in a fixed order. `wanted` is what test images must become; training images tell it."""
    digest = hashlib.sha256()
    images: list[StoredImages] = []
    labels: list[Labels] = []
    training, value_range = None, options.value_range
    if wanted is not None:
        training, value_range = _training_images(keys, options), wanted.value_range
    for part in parts:
        with opened(keys.path, keys.array(part, "images"), digest) as array:
            stored = images_in(array, options)
            if images and stored.layout.shape[1:] != images[0].layout.shape[1:]:
                first, other = ("x".join(map(str, each.layout.shape[1:])) for each in (images[0], stored))
                raise SweeperError(f"images must be {first} like the training images, got {other} ({array.place})")
            known = (value_range or BYTES) if training else value_range
            values = values_of(array, known, _progress("hashing", array, reading))
        if training is None:
            training, value_range = stored, training_range(stored, values, value_range)
        check_values(training, stored, values, value_range, options, reading.notify)
        images.append(stored)
        labels.append(_labels(keys, part, digest))
        if len(labels[-1].values) != stored.layout.n:
            raise UsageError(
                f"there must be one label per image, got {len(labels[-1].values):,} for {stored.layout.n:,} images "
                f"({stored.place})"
            )
    class_names = _class_names(keys, digest) if parts[0] == TRAIN else ()
    return _Content(digest.hexdigest(), images, labels, value_range, class_names)


def _training_images(keys: Keys, options: DataOptions) -> StoredImages:
    with opened(keys.path, keys.array(TRAIN, "images")) as array:
        return images_in(array, options)


def _labels(keys: Keys, part: str, digest: "hashlib._Hash | None" = None) -> Labels:
    with opened(keys.path, keys.array(part, "labels"), digest) as array:
        return labels_of(array)


def _class_names(keys: Keys, digest: "hashlib._Hash | None" = None) -> tuple[str, ...]:
    """The class names that the file gives; empty if it gives none."""
    if (name := keys.of_classes()) is None:
        return ()
    with opened(keys.path, name, digest) as array:
        return class_names_of(array)


def _classes(trained: Sequence[Labels], class_names: tuple[str, ...], options: DataOptions) -> Classes:
    """The classes of the training images, to which those of validation belong if the options join them."""
    return classes_of(trained if options.resplit else trained[:1], class_names)


def _hash(path: Path, name: str, digest: "hashlib._Hash") -> None:
    with opened(path, name, digest) as array:
        for _ in array.chunks():
            pass


def _progress(what: str, array: StoredArray, reading: Reading) -> Progress:
    return Progress(f"{what} {array.place}", prod(array.shape) * array.dtype.itemsize, reading.notify)


def _changed(path: Path) -> SweeperError:
    return SweeperError(f"the file was changed while it was read ({plain(str(path))}); run the command again")


def _unknown(stored: Labels, numbers: NDArray[np.int64]) -> str:
    return _listed(list(map(str, np.unique(stored.values[numbers < 0]).tolist())))


def _listed(names: Sequence[str]) -> str:
    return shortened(", ".join(map(plain, names)))
