"""Reads an .npz file of images and labels: a pair of arrays, or one for each part, under any usual names.

As with a folder of images, a file of another layout is a UsageError, and damaged content is a SweeperError.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.own.npz_arrays import opened
from sweeper.data.own.npz_content import (
    Content,
    class_names_in,
    decode_parts,
    hash_array,
    labels_in,
    read_parts,
    training_images,
)
from sweeper.data.own.npz_images import images_in
from sweeper.data.own.npz_keys import Keys, keys_of
from sweeper.data.own.npz_labels import Classes, Labels, classes_of, require_one_kind
from sweeper.errors import SweeperError, UsageError, joined, plain
from sweeper.folders.names import TEST, TRAIN, VAL
from sweeper.images.bounds import check_size
from sweeper.images.class_choice import choose, class_counts
from sweeper.images.conversion import converted
from sweeper.images.decoded_cache import decoded
from sweeper.images.image_set import ImageSet, NoTestImages, PixelFormat, UnusableTestImages
from sweeper.images.options import DataOptions
from sweeper.images.reading import Reading
from sweeper.quantities import counted


def training_shape(path: Path, options: DataOptions) -> tuple[int, int, int]:
    """Channels, height and width of the training images, from the header. Raises SweeperError and UsageError."""
    return training_images(keys_of(path), options).layout.shape[1:]


def training_part(path: Path, options: DataOptions, reading: Reading) -> ImageSet:
    """The images for training and validation, those of validation last. Reads nothing of the test arrays.

    An array of class names gives the classes their names; without it, they are called as the labels. Raises
    SweeperError and UsageError.
    """
    keys = keys_of(path)
    keys.refuse_division()
    parts = [TRAIN] + [VAL] * keys.has(VAL)
    _tell(keys, reading)
    _check_size(keys, parts, options, reading)
    content = read_parts(keys, parts, options, reading)
    classes = _classes(content.labels, content.class_names, options)
    if classes.empty:
        reading.notify(f"left out classes without training images: {joined(classes.empty)} ({plain(path)})")
    numbers = [classes.numbers(labels) for labels in content.labels]
    for part, stored, known in zip(parts, content.labels, numbers, strict=True):
        _tell_unknown(part, stored, known, options, reading)
        if (known < 0).any() and not options.own_classes:
            raise UsageError(
                f"{part} images must be of classes that have training images, got {_unknown(stored, known)} "
                f"({stored.place}); --resplit joins them to the training images, --classes names the classes to use"
            )
    n_validation = 0 if options.resplit else sum(int((known >= 0).sum()) for known in numbers[1:])
    labels = np.concatenate(numbers)
    choice = choose(options, class_counts(labels[labels >= 0], classes.names))
    choice.tell(reading.notify)
    found = replace(_part(keys, parts, content, classes, labels, options, reading), n_validation=n_validation)
    return converted(found, choice, options, reading)


def test_part(path: Path, options: DataOptions, wanted: PixelFormat, reading: Reading) -> ImageSet:
    """The test images, their values scaled as those of the training images.

    Raises NoTestImages if there are none that can be tested on, and SweeperError and UsageError.
    """
    keys = keys_of(path)
    if not _has_test_part(keys):
        raise NoTestImages(f"there must be a test part, got no test_images and test_labels ({plain(path)})")
    trained = [labels_in(keys, part) for part in (TRAIN, VAL) if keys.has(part)]
    classes = _classes(trained, class_names_in(keys), options)
    try:
        _check_size(keys, [TEST], options, reading)
        content = read_parts(keys, [TEST], options, reading, wanted)
        require_one_kind(trained[0], content.labels[0])
    except SweeperError as error:
        raise UnusableTestImages(str(error)) from error
    labels = classes.numbers(content.labels[0])
    _tell_unknown(TEST, content.labels[0], labels, options, reading)
    if (labels < 0).any() and not options.own_classes:
        raise UnusableTestImages(
            f"test images must be of classes that have training images, got {_unknown(content.labels[0], labels)} "
            f"({content.labels[0].place}); --classes names those to use"
        )
    known = np.concatenate([classes.numbers(each) for each in trained])
    choice = choose(options, class_counts(known[known >= 0], classes.names))
    part = converted(_part(keys, [TEST], content, classes, labels, options, reading), choice, options, reading)
    if not len(part.labels):
        raise NoTestImages(f"there must be a test part, got none of the classes asked for ({plain(path)})")
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
    hash_array(path, keys.array(TEST, "images"), digest)
    hash_array(path, keys.array(TEST, "labels"), digest)
    return digest.hexdigest()


def _tell(keys: Keys, reading: Reading) -> None:
    place = plain(keys.path)
    if keys.are_without_parts:
        reading.notify(f"{place} names no parts: all its images are training images, and there is no test part")
    if keys.others:
        names = joined(keys.others)
        reading.notify(f"ignored arrays whose names say neither images, labels nor classes: {names} ({place})")
    if keys.unused:
        names = joined(keys.unused)
        reading.notify(f"ignored arrays of images or labels beside those that are read: {names} ({place})")


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
    check_size(shape, n_stored, reading.max_bytes, plain(keys.path), advice="")


def _part(
    keys: Keys,
    parts: Sequence[str],
    content: Content,
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
    found = decoded(key, partial(decode_parts, keys, parts, content, labels, options, reading), reading.notify)
    kept = labels >= 0
    return ImageSet(
        images=found.images if kept.all() else found.images[kept],
        labels=labels[kept],
        classes=classes.names,
        sha256=content.sha256,
        source=str(keys.path),
        conversions=tuple(dict.fromkeys(phrase for phrase in (*sum(pixels, ()), *of_labels) if phrase)),
        value_range=content.value_range,
        scales_bytes=content.value_range is not None and content.images[0].dtype == np.uint8,
    )


def _classes(trained: Sequence[Labels], class_names: tuple[str, ...], options: DataOptions) -> Classes:
    """The classes of the training images, to which those of validation belong if the options join them."""
    for labels in trained[1:]:
        require_one_kind(trained[0], labels)
    return classes_of(trained if options.resplit else trained[:1], class_names, trained, options.own_classes)


def _tell_unknown(
    part: str, stored: Labels, numbers: NDArray[np.int64], options: DataOptions, reading: Reading
) -> None:
    """Tells which images are left out because the training images, of which the options name classes, have none."""
    if options.own_classes and (n_unknown := int(np.count_nonzero(numbers < 0))):
        images, unknown = counted(n_unknown, f"{part} image"), _unknown(stored, numbers)
        its = "its class" if n_unknown == 1 else "their classes"
        reading.notify(f"left out {images}, because no training image is of {its}: {unknown} ({stored.place})")


def _unknown(stored: Labels, numbers: NDArray[np.int64]) -> str:
    return joined(list(map(str, np.unique(stored.values[numbers < 0]).tolist())))
