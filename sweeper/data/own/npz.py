"""Reads an .npz file in MedMNIST's layout: train_images, train_labels, and perhaps val_... and test_... arrays.

As with a folder of images, a file of another layout is a UsageError, and damaged content is a SweeperError.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data.formats.gzipped import MOST_EXPANSION
from sweeper.data.images.conversion import converted
from sweeper.data.images.decoded_cache import decoded, require_room
from sweeper.data.images.image_set import ImageSet, NoTestImages
from sweeper.data.images.options import DataOptions
from sweeper.errors import SweeperError, UsageError, first_line, plain

CHUNK = 1 << 20
# The most bytes of labels or names, which are held in memory: as int64, the labels of 60 million images.
MOST_HELD = 500_000_000


def training_shape(path: Path) -> tuple[int, int, int]:
    """Channels, height and width of the training images, from the header. Raises SweeperError and UsageError."""
    shape = _header(path, "train_images")[0]
    return _layout(shape, _place(path, "train_images"))


def training_part(path: Path, options: DataOptions) -> ImageSet:
    """The images for training and validation, those of val_images last. Reads nothing of the test arrays.

    A text array `classes` gives the classes their names; without it, they are numbers. Raises SweeperError and
    UsageError.
    """
    parts = ["train"] + ["val"] * _has(path, "val")
    part = converted(_part(path, parts, _class_names(path) or _numbers(_n_classes(path))), options)
    n_images = np.bincount(part.labels[: len(part.labels) - part.n_validation], minlength=len(part.classes))
    if not n_images.all():
        name = part.classes[int(n_images.argmin())]
        raise UsageError(f"class {plain(name)} must have at least one image, got none ({_place(path, 'train_labels')})")
    return part


def test_part(path: Path, options: DataOptions) -> ImageSet:
    """The test images. Raises NoTestImages if there are none, and SweeperError and UsageError."""
    if not _has(path, "test"):
        raise NoTestImages(f"there must be a test part, got no test_images and test_labels ({plain(str(path))})")
    part = converted(_part(path, ["test"], _class_names(path) or _numbers(_n_classes(path))), options)
    if not len(part.labels):
        raise NoTestImages(f"there must be a test part, got none of the classes asked for ({plain(str(path))})")
    return part


def has_test_part(path: Path) -> bool:
    """Whether the file has test arrays, by their names: reads none. Raises SweeperError and UsageError."""
    return _has(path, "test")


def test_sha256(path: Path) -> str | None:
    """The hash of the test arrays; None if there are none."""
    return _content_sha256(path, ["test"]) if _has(path, "test") else None


def _part(path: Path, parts: Sequence[str], classes: tuple[str, ...]) -> ImageSet:
    content = _content_sha256(path, parts)
    found = decoded(content, partial(_decode, path, parts))
    if len(classes) < 2:
        raise UsageError(f"there must be at least two classes, got only {classes[0]} ({_place(path, 'train_labels')})")
    if found.labels.max() >= len(classes):
        where = " or ".join(f"{name}_labels" for name in parts)
        raise UsageError(f"labels must be in 0..{len(classes) - 1}, got {found.labels.max()} ({_place(path, where)})")
    n_validation = _header(path, "val_images")[0][0] if "val" in parts else 0
    return ImageSet(found.images, found.labels, classes, content, str(path), n_validation)


def _decode(path: Path, parts: Sequence[str], folder: Path) -> dict[str, str]:
    shapes: list[tuple[int, int, int, int]] = []
    labels = []
    for name in parts:
        place = _place(path, f"{name}_images")
        shape, dtype = _header(path, f"{name}_images")
        if dtype != np.uint8:
            raise UsageError(f"images must be of type uint8, got {dtype} ({place})")
        found = _layout(shape, place)
        if shapes and found != shapes[0][1:]:
            first, other = ("x".join(map(str, sizes)) for sizes in (shapes[0][1:], found))
            raise SweeperError(f"images must be {first} like the training images, got {other} ({place})")
        shapes.append((shape[0], *found))
        labels.append(_labels(path, name))
        if len(labels[-1]) != shape[0]:
            raise UsageError(
                f"there must be one label per image, got {len(labels[-1]):,} for {shape[0]:,} images ({place})"
            )
    total = (sum(shape[0] for shape in shapes), *shapes[0][1:])
    require_room(total, folder)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", dtype=np.uint8, shape=total)
    start = 0
    for name, shape in zip(parts, shapes, strict=True):
        _copy(path, f"{name}_images", images[start : start + shape[0]])
        start += shape[0]
    images.flush()
    np.save(folder / "labels.npy", np.concatenate(labels))
    return {}


def _copy(path: Path, name: str, target: NDArray[np.uint8]) -> None:
    """Copies stored images to (N, C, H, W), a few at a time, because all of them may not fit into memory."""
    n_images, channels, height, width = target.shape
    stored = height, width, channels
    with _opened(path, name) as (_, stream):
        np.lib.format.read_magic(stream)
        _, is_fortran, _ = np.lib.format.read_array_header_1_0(stream)
        step = n_images if is_fortran else max(1, CHUNK // prod(stored))
        for start in range(0, n_images, step):
            n_read = min(step, n_images - start)
            pixels = np.frombuffer(stream.read(n_read * prod(stored)), np.uint8)
            images = pixels.reshape((n_read, *stored), order="F" if is_fortran else "C")
            target[start : start + n_read] = images.transpose(0, 3, 1, 2)


def _layout(shape: Sequence[int], place: str) -> tuple[int, int, int]:
    """Channels, height and width of images that are stored with this shape."""
    if len(shape) == 3:
        shape = (*shape, 1)
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise UsageError(
            "images must have shape (n, height, width) or (n, height, width, 1 or 3), got "
            f"({', '.join(map(str, shape))}) ({place})"
        )
    if not prod(shape):
        raise UsageError(f"there must be at least one image, got shape ({', '.join(map(str, shape))}) ({place})")
    return shape[3], shape[1], shape[2]


def _labels(path: Path, part: str) -> NDArray[np.int64]:
    place = _place(path, f"{part}_labels")
    labels = _read(path, f"{part}_labels")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not len(labels):
        raise UsageError(f"labels must have shape (n,) or (n, 1), got {labels.shape} ({place})")
    if labels.dtype.kind not in "iu":
        raise UsageError(f"labels must be whole numbers, got {labels.dtype} ({place})")
    if labels.min() < 0 or labels.max() > np.iinfo(np.int64).max:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise UsageError(f"labels must be class numbers from 0 up, got {wrong} ({place})")
    return labels.astype(np.int64)


def _class_names(path: Path) -> tuple[str, ...]:
    """The class names that the file gives; empty if it gives none."""
    if "classes" not in _names(path):
        return ()
    names, place = _read(path, "classes"), _place(path, "classes")
    if names.ndim != 1 or names.dtype.kind != "U":
        raise UsageError(f"classes must be an array of text, got {names.dtype} of shape {names.shape} ({place})")
    for name in names.tolist():
        if not name.isprintable() or not name.strip():
            raise UsageError(f"a class must have a printable name, got {plain(name)} ({place})")
    if len(set(names.tolist())) < len(names):
        raise UsageError(f"classes must have different names ({place})")
    return tuple(names.tolist())


def _n_classes(path: Path) -> int:
    """The number of classes, which is the largest training label plus 1."""
    labels = _labels(path, "train")
    if labels.max() >= len(labels):
        # The names of so many classes might not fit into memory.
        place = _place(path, "train_labels")
        raise UsageError(f"labels must be below the number of images, {len(labels):,}, got {labels.max()} ({place})")
    return int(labels.max()) + 1


def _numbers(n_classes: int) -> tuple[str, ...]:
    return tuple(map(str, range(n_classes)))


def _has(path: Path, part: str) -> bool:
    """Whether the file has the part. Raises UsageError if it has only the images or only the labels."""
    found = [f"{part}_{kind}" in _names(path) for kind in ("images", "labels")]
    if any(found) != all(found):
        raise UsageError(f"the file must hold both {part}_images and {part}_labels, or neither ({plain(str(path))})")
    return all(found)


def _content_sha256(path: Path, parts: Sequence[str]) -> str:
    """One SHA-256 over the parts' stored arrays, header and values; for training, over the class names too."""
    digest = hashlib.sha256()
    names = [f"{part}_{kind}" for part in parts for kind in ("images", "labels")]
    for name in names + ["classes"] * ("train" in parts and "classes" in _names(path)):
        _header(path, name)  # its checks limit how many bytes are expanded here
        digest.update(f"{name}\n".encode())
        with _opened(path, name) as (_, stream):
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _read(path: Path, name: str) -> NDArray[Any]:
    """Reads labels or names. Unpickles nothing, and allocates nothing before the header is checked."""
    shape, dtype = _header(path, name)
    if dtype.itemsize * prod(shape) > MOST_HELD:
        sizes = " x ".join(map(str, shape))
        place = _place(path, name)
        raise SweeperError(f"labels or names must take {MOST_HELD:,} bytes at most, got {sizes} of {dtype} ({place})")
    with _opened(path, name) as (_, stream):
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _header(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type in an array's header. Raises SweeperError if the content cannot be that large."""
    with _opened(path, name) as (info, stream):
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            # Later versions are for records of many fields, and allow headers of gigabytes.
            raise ValueError(f"version {version[0]}.{version[1]} of the npy format, only 1.0 is supported")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        start = stream.tell()
    place = _place(path, name)
    if dtype.hasobject:
        raise SweeperError(f"arrays must hold numbers or text, got objects, which are not unpickled ({place})")
    if min(shape, default=0) < 0 or not dtype.itemsize:
        # The product of such sizes can equal the size of the content.
        sizes = " x ".join(map(str, shape))
        raise SweeperError(
            "an array must have sizes that are not negative and a type that is not empty, "
            f"got {sizes} of {dtype} ({place})"
        )
    n_bytes, most = dtype.itemsize * prod(shape), MOST_EXPANSION * info.compress_size + CHUNK
    if n_bytes != info.file_size - start or info.file_size > most:
        raise SweeperError(
            f"the header says {' x '.join(map(str, shape))} of {dtype}, {n_bytes:,} bytes, but the file holds "
            f"{min(info.file_size - start, most):,} at most ({place})"
        )
    return shape, dtype


def _names(path: Path) -> list[str]:
    with _readable(path, "the file"), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


@contextmanager
def _opened(path: Path, name: str) -> Iterator[tuple[zipfile.ZipInfo, IO[bytes]]]:
    if name not in _names(path):
        raise UsageError(f"the file must hold {name} ({plain(str(path))})")
    with _readable(path, name), zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
        with archive.open(info) as stream:
            yield info, stream


@contextmanager
def _readable(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except SweeperError:
        raise
    except Exception as error:  # damaged bytes make zipfile, zlib and numpy raise exceptions of any type
        text = first_line(error)
        raise SweeperError(f"{name} must be readable as .npz data, got: {plain(text)} ({plain(str(path))})") from error


def _place(path: Path, name: str) -> str:
    return f"{plain(str(path))}, {name}"
