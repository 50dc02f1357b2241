"""Reads parts of an .npz file: all arrays once, to hash and check them, and the images again to decode them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.own.npz_arrays import StoredArray, opened
from sweeper.data.own.npz_images import StoredImages, check_values, decode, images_in, training_range, values_of
from sweeper.data.own.npz_keys import Keys, keys_of
from sweeper.data.own.npz_labels import Labels, class_names_of, labels_of
from sweeper.errors import SweeperError, UsageError, plain
from sweeper.folders.names import TRAIN
from sweeper.images.decoded_cache import new_images
from sweeper.images.image_set import PixelFormat
from sweeper.images.options import DataOptions
from sweeper.images.progress import Progress
from sweeper.images.reading import Reading
from sweeper.images.value_range import BYTES, ValueRange


@dataclass(frozen=True, eq=False)
class Content:
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


def read_parts(
    keys: Keys, parts: Sequence[str], options: DataOptions, reading: Reading, wanted: PixelFormat | None = None
) -> Content:
    """Reads the parts once, in a fixed order. `wanted` is what test images must become; training images tell it."""
    digest = hashlib.sha256()
    images: list[StoredImages] = []
    labels: list[Labels] = []
    training, value_range = None, options.value_range
    if wanted is not None:
        training, value_range = training_images(keys, options), wanted.value_range
    for part in parts:
        with opened(keys.path, keys.array(part, "images"), digest) as array:
            stored = images_in(array, options)
            if images and stored.layout.shape[1:] != images[0].layout.shape[1:]:
                first, other = ("x".join(map(str, each.layout.shape[1:])) for each in (images[0], stored))
                raise SweeperError(
                    f"images must be {first} like the training images, got {other} ({array.place}); store both parts "
                    "at one size"
                )
            known = (value_range or BYTES) if training else value_range
            values = values_of(array, stored, known, _progress("hashing", array, reading))
        if training is None:
            training, value_range = stored, training_range(stored, values, value_range)
        check_values(training, stored, values, value_range, options, reading.notify)
        images.append(stored)
        labels.append(labels_in(keys, part, digest, stored))
        if (n_labels := len(labels[-1].values)) != stored.layout.n:
            raise _not_one_each(n_labels, stored)
    class_names = class_names_in(keys, digest) if parts[0] == TRAIN else ()
    return Content(digest.hexdigest(), images, labels, value_range, class_names)


def decode_parts(
    keys: Keys,
    parts: Sequence[str],
    content: Content,
    labels: NDArray[np.int64],
    options: DataOptions,
    reading: Reading,
    folder: Path,
) -> dict[str, str]:
    """Decodes the images of the parts into the folder, as `decoded` wants it; no file is left out.

    `labels` are stored beside them. Raises SweeperError if the file was changed since `content` was read.
    """
    images = new_images(folder / "images.npy", content.shape)
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
        hash_array(keys.path, keys.array(part, "labels"), digest)
    if parts[0] == TRAIN and (name := keys.of_classes()):
        hash_array(keys.path, name, digest)
    if digest.hexdigest() != content.sha256:
        raise _changed(keys.path)
    images.flush()
    np.save(folder / "labels.npy", labels)  # never read: those of test images depend on the training labels too
    return {}


def training_images(keys: Keys, options: DataOptions) -> StoredImages:
    """The training images by their header. Raises SweeperError and UsageError."""
    with opened(keys.path, keys.array(TRAIN, "images")) as array:
        return images_in(array, options)


def labels_in(
    keys: Keys, part: str, digest: "hashlib._Hash | None" = None, images: StoredImages | None = None
) -> Labels:
    """The labels of a part, not read if its header has more of them than there are `images`.

    `digest` gets all that is read. Raises SweeperError and UsageError.
    """
    with opened(keys.path, keys.array(part, "labels"), digest) as array:
        longest = max(array.shape, default=0)
        n_labels = longest if prod(array.shape) == longest or not array.shape else array.shape[0]
        if images is not None and n_labels > images.layout.n:
            raise _not_one_each(n_labels, images)
        return labels_of(array)


def class_names_in(keys: Keys, digest: "hashlib._Hash | None" = None) -> tuple[str, ...]:
    """The class names that the file gives; empty if it gives none."""
    if (name := keys.of_classes()) is None:
        return ()
    with opened(keys.path, name, digest) as array:
        return class_names_of(array)


def hash_array(path: Path, name: str, digest: "hashlib._Hash") -> None:
    """Reads an array only to hash it: `digest` gets its name, its header and its values. Raises SweeperError."""
    with opened(path, name, digest) as array:
        for _ in array.chunks():
            pass


def _not_one_each(n_labels: int, stored: StoredImages) -> UsageError:
    remedy = "give each image its label, in the same order"
    if n_labels in stored.shape:
        remedy = f"numpy.moveaxis makes the axis of {n_labels:,} images the first"
    return UsageError(
        f"there must be one label per image, got {n_labels:,} for {stored.layout.n:,} images ({stored.place}); {remedy}"
    )


def _progress(what: str, array: StoredArray, reading: Reading) -> Progress:
    return Progress(f"{what} {array.place}", prod(array.shape) * array.dtype.itemsize, reading.notify)


def _changed(path: Path) -> SweeperError:
    return SweeperError(f"the file was changed while it was read ({plain(path)}); run the command again")
