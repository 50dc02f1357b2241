"""Reads an .npz file in MedMNIST's layout: train_images, train_labels, and perhaps val_... and test_... arrays.

As with a folder of images, a file of another layout is a UsageError, and damaged content is a SweeperError.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data.own.npz_arrays import CHUNK, StoredArray, names, opened, place
from sweeper.errors import SweeperError, UsageError, plain
from sweeper.images.bounds import check_size
from sweeper.images.class_choice import choose, counted
from sweeper.images.conversion import converted
from sweeper.images.decoded_cache import decoded, require_room
from sweeper.images.image_set import ImageSet, NoTestImages
from sweeper.images.options import DataOptions
from sweeper.images.progress import Progress
from sweeper.images.reading import Reading


@dataclass(frozen=True, eq=False)
class _Content:
    """What some parts hold, all found in one reading: the shapes (N, C, H, W), the labels, and the class names.

    `sha256` is over the stored arrays, header and values. The class names belong to the training part, and are empty
    if the file gives none.
    """

    sha256: str
    shapes: list[tuple[int, int, int, int]]
    labels: list[NDArray[np.int64]]
    classes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the images of all parts together."""
        return sum(shape[0] for shape in self.shapes), *self.shapes[0][1:]


def training_shape(path: Path) -> tuple[int, int, int]:
    """Channels, height and width of the training images, from the header. Raises SweeperError and UsageError."""
    with opened(path, "train_images") as array:
        return _layout(array)[1:]


def training_part(path: Path, options: DataOptions, reading: Reading) -> ImageSet:
    """The images for training and validation, those of val_images last. Reads nothing of the test arrays.

    A text array `classes` gives the classes their names; without it, they are numbers. Raises SweeperError and
    UsageError.
    """
    parts = ["train"] + ["val"] * _has(path, "val")
    _check_size(path, parts, reading)
    content = _read(path, parts, reading)
    classes = content.classes or _numbers(path, content.labels[0])
    part = _part(path, parts, content, classes, reading)
    choice = choose(options, counted(part.labels, classes))
    choice.tell(reading.notify)
    part = converted(part, choice, options, reading)
    n_images = np.bincount(part.labels[: len(part.labels) - part.n_validation], minlength=len(part.classes))
    if not n_images.all():
        name = part.classes[int(n_images.argmin())]
        raise UsageError(f"class {plain(name)} must have at least one image, got none ({place(path, 'train_labels')})")
    return part


def test_part(path: Path, options: DataOptions, reading: Reading) -> ImageSet:
    """The test images. Raises NoTestImages if there are none, and SweeperError and UsageError."""
    if not _has(path, "test"):
        raise NoTestImages(f"there must be a test part, got no test_images and test_labels ({plain(str(path))})")
    _check_size(path, ["test"], reading)
    labels = np.concatenate([_labels(path, name) for name in ("train", "val") if _has(path, name)])
    classes = _class_names(path) or _numbers(path, _labels(path, "train"))
    part = _part(path, ["test"], _read(path, ["test"], reading), classes, reading)
    part = converted(part, choose(options, counted(labels, classes)), options, reading)
    if not len(part.labels):
        raise NoTestImages(f"there must be a test part, got none of the classes asked for ({plain(str(path))})")
    return part


def has_test_part(path: Path) -> bool:
    """Whether the file has test arrays, by their names: reads none. Raises SweeperError and UsageError."""
    return _has(path, "test")


def test_sha256(path: Path) -> str | None:
    """The hash of the test arrays; None if there are none."""
    if not _has(path, "test"):
        return None
    digest = hashlib.sha256()
    for kind in ("images", "labels"):
        with opened(path, f"test_{kind}", digest) as array:
            array.skip()
    return digest.hexdigest()


def _check_size(path: Path, parts: Sequence[str], reading: Reading) -> None:
    """Refuses too many or too large images by the headers, before anything is expanded, be it to hash it."""
    shapes, n_stored = [], 0
    for name in parts:
        with opened(path, f"{name}_images") as array:
            shapes.append(_layout(array))
            n_stored += array.n_stored
    check_size(
        (sum(shape[0] for shape in shapes), *shapes[0][1:]), n_stored, reading.max_bytes, plain(str(path)), advice=""
    )


def _part(path: Path, parts: Sequence[str], content: _Content, classes: tuple[str, ...], reading: Reading) -> ImageSet:
    found = decoded(content.sha256, partial(_decode, path, parts, content, reading), reading.notify)
    if len(classes) < 2:
        raise UsageError(f"there must be at least two classes, got only {classes[0]} ({place(path, 'train_labels')})")
    if found.labels.max() >= len(classes):
        where = " or ".join(f"{name}_labels" for name in parts)
        raise UsageError(f"labels must be in 0..{len(classes) - 1}, got {found.labels.max()} ({place(path, where)})")
    n_validation = content.shapes[1][0] if "val" in parts else 0
    return ImageSet(found.images, found.labels, classes, content.sha256, str(path), n_validation)


def _decode(path: Path, parts: Sequence[str], content: _Content, reading: Reading, folder: Path) -> dict[str, str]:
    require_room(content.shape, folder)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", dtype=np.uint8, shape=content.shape)
    # The pixels come from a second reading, since only the hash of the first one told that they are not cached.
    if _read(path, parts, reading, images).sha256 != content.sha256:
        raise _changed(path)
    images.flush()
    np.save(folder / "labels.npy", np.concatenate(content.labels))
    return {}


def _read(path: Path, parts: Sequence[str], reading: Reading, target: NDArray[np.uint8] | None = None) -> _Content:
    """Reads the parts once, in a fixed order; copies the images into `target` (N, C, H, W) if there is one."""
    digest = hashlib.sha256()
    shapes: list[tuple[int, int, int, int]] = []
    labels: list[NDArray[np.int64]] = []
    for name in parts:
        with opened(path, f"{name}_images", digest) as array:
            shape = _layout(array)
            if shapes and shape[1:] != shapes[0][1:]:
                first, other = ("x".join(map(str, sizes[1:])) for sizes in (shapes[0], shape))
                raise SweeperError(f"images must be {first} like the training images, got {other} ({array.place})")
            what = "hashing" if target is None else "decoding"
            progress = Progress(f"{what} {array.place}", prod(shape), reading.notify)
            if target is None:
                array.skip(progress)
            else:
                start = sum(before[0] for before in shapes)
                _copy(path, array, target[start : start + shape[0]], progress)
        shapes.append(shape)
        labels.append(_labels(path, name, digest))
        if len(labels[-1]) != shape[0]:
            raise UsageError(
                f"there must be one label per image, got {len(labels[-1]):,} for {shape[0]:,} images ({array.place})"
            )
    classes = _class_names(path, digest) if "train" in parts else ()
    return _Content(digest.hexdigest(), shapes, labels, classes)


def _copy(path: Path, array: StoredArray, target: NDArray[np.uint8], progress: Progress) -> None:
    """Copies stored images to (N, C, H, W), a few at a time, because all of them may not fit into memory."""
    if _layout(array) != target.shape:
        raise _changed(path)
    n_images, channels, height, width = target.shape
    stored = height, width, channels
    step = n_images if array.is_fortran else max(1, CHUNK // prod(stored))
    for start in range(0, n_images, step):
        n_read = min(step, n_images - start)
        pixels = np.frombuffer(array.stream.read(n_read * prod(stored)), np.uint8)
        images = pixels.reshape((n_read, *stored), order="F" if array.is_fortran else "C")
        target[start : start + n_read] = images.transpose(0, 3, 1, 2)
        progress.add(images.nbytes)


def _changed(path: Path) -> SweeperError:
    return SweeperError(f"the file was changed while it was read ({plain(str(path))}); run the command again")


def _layout(array: StoredArray) -> tuple[int, int, int, int]:
    """The shape (N, C, H, W) of an array that must hold images."""
    shape, got = array.shape, f"({', '.join(map(str, array.shape))}) ({array.place})"
    if array.dtype != np.uint8:
        raise UsageError(f"images must be of type uint8, got {array.dtype} ({array.place})")
    if len(shape) == 3:
        shape = (*shape, 1)
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise UsageError(f"images must have shape (n, height, width) or (n, height, width, 1 or 3), got {got}")
    if not prod(shape):
        raise UsageError(f"there must be at least one image, got shape {got}")
    return shape[0], shape[3], shape[1], shape[2]


def _labels(path: Path, part: str, digest: "hashlib._Hash | None" = None) -> NDArray[np.int64]:
    with opened(path, f"{part}_labels", digest) as array:
        labels = array.values()
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not len(labels):
        raise UsageError(f"labels must have shape (n,) or (n, 1), got {labels.shape} ({array.place})")
    if labels.dtype.kind not in "iu":
        raise UsageError(f"labels must be whole numbers, got {labels.dtype} ({array.place})")
    if labels.min() < 0 or labels.max() > np.iinfo(np.int64).max:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise UsageError(f"labels must be class numbers from 0 up, got {wrong} ({array.place})")
    return labels.astype(np.int64)


def _class_names(path: Path, digest: "hashlib._Hash | None" = None) -> tuple[str, ...]:
    """The class names that the file gives; empty if it gives none."""
    if "classes" not in names(path):
        return ()
    with opened(path, "classes", digest) as array:
        given = array.values()
    if given.ndim != 1 or given.dtype.kind != "U":
        raise UsageError(f"classes must be an array of text, got {given.dtype} of shape {given.shape} ({array.place})")
    for name in given.tolist():
        if not name.isprintable() or not name.strip():
            raise UsageError(f"a class must have a printable name, got {plain(name)} ({array.place})")
    if len(set(given.tolist())) < len(given):
        raise UsageError(f"classes must have different names ({array.place})")
    return tuple(given.tolist())


def _numbers(path: Path, labels: NDArray[np.int64]) -> tuple[str, ...]:
    """Numbers as the names of the classes, of which there are as many as the largest training label plus 1."""
    if labels.max() >= len(labels):
        # The names of so many classes might not fit into memory.
        where = place(path, "train_labels")
        raise UsageError(f"labels must be below the number of images, {len(labels):,}, got {labels.max()} ({where})")
    return tuple(map(str, range(int(labels.max()) + 1)))


def _has(path: Path, part: str) -> bool:
    """Whether the file has the part. Raises UsageError if it has only the images or only the labels."""
    found = [f"{part}_{kind}" in names(path) for kind in ("images", "labels")]
    if any(found) != all(found):
        raise UsageError(f"the file must hold both {part}_images and {part}_labels, or neither ({plain(str(path))})")
    return all(found)
