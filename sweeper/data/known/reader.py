"""Decodes a part of a known data set from its files, whose digests are already checked."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sweeper.data.formats import idx, stl10
from sweeper.data.formats.cifar import read_batch
from sweeper.data.formats.gzipped import decompress
from sweeper.data.formats.svhn import read_svhn
from sweeper.data.known.catalog import DataFile, Dataset
from sweeper.data.known.locate import LocatedFiles
from sweeper.errors import SweeperError
from sweeper.images.class_choice import choose, class_counts
from sweeper.images.conversion import converted
from sweeper.images.image_set import ImageSet
from sweeper.images.options import DataOptions
from sweeper.images.reading import Reading
from sweeper.quantities import counted

# The most bytes that a compressed idx file may expand to: 60,000 images of 28 x 28 are 47 MB.
MOST_IDX_BYTES = 64_000_000


def known_part(
    dataset: Dataset, files: Sequence[DataFile], found: LocatedFiles, options: DataOptions, reading: Reading
) -> ImageSet:
    """The part that these files of the data set hold, with the options applied. Raises SweeperError and UsageError."""
    images, labels = decode(dataset, found)
    part = ImageSet(images, labels, dataset.classes, combined_sha256(files), str(found.folder))
    choice = choose(options, class_counts(labels, dataset.classes))
    if files == dataset.training:
        choice.tell(reading.notify)
    return converted(part, choice, options, reading)


def decode(dataset: Dataset, found: LocatedFiles) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, C, H, W) uint8 and labels (N,) int64. Raises SweeperError that names the file at fault."""
    pieces = []
    for images, labels, images_place, labels_place in _read(dataset, found):
        _check(dataset, images, labels, images_place, labels_place)
        pieces.append((images, labels))
    all_images, all_labels = zip(*pieces, strict=True)
    return np.concatenate(all_images), np.concatenate(all_labels)


def combined_sha256(part: Sequence[DataFile]) -> str:
    """One SHA-256 for the part, over the hex digests of its files, one per line.

    A line also names the labels in use, if the file holds several for each image.
    """
    lines = (f"{file.digest} {file.labels}" if file.labels else file.digest for file in part)
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def _read(dataset: Dataset, found: LocatedFiles) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64], str, str]]:
    """Images and labels, piece by piece, and the paths that each came from."""
    contents, places = found.contents, [str(path) for path in found.paths]
    match dataset.format:
        case "idx":
            images, labels = (
                idx.read_idx(decompress(content, place, MOST_IDX_BYTES), place, ndim)
                for content, place, ndim in zip(contents, places, (3, 1), strict=True)
            )
            yield images[:, None], labels.astype(np.int64), places[0], places[1]
        case "stl10":
            images, numbers = stl10.read_stl10(contents[0], contents[1], places[0], places[1])
            yield images, numbers, places[0], places[1]
        case "cifar":
            key = dataset.training[0].labels or "labels"
            for content, place in zip(contents, places, strict=True):
                images, numbers = read_batch(content, place, key)
                yield images, numbers, place, place
        case "svhn":
            images, numbers = read_svhn(contents[0], places[0])
            yield images, numbers, places[0], places[0]


def _check(
    dataset: Dataset, images: NDArray[np.uint8], labels: NDArray[np.int64], images_place: str, labels_place: str
) -> None:
    if images.shape[1:] != dataset.input_shape:
        expected, got = (" x ".join(map(str, shape)) for shape in (dataset.input_shape, images.shape[1:]))
        raise SweeperError(f"images must be {expected}, got {got} ({images_place})")
    if len(images) != len(labels):
        raise SweeperError(
            f"there must be one label per image, got {counted(len(images), 'image')} and "
            f"{counted(len(labels), 'label')} ({labels_place})"
        )
    if len(labels) == 0:
        raise SweeperError(f"there must be at least one image, got none ({images_place})")
    if labels.max() >= len(dataset.classes):
        raise SweeperError(
            f"labels must be in 0..{len(dataset.classes) - 1}, got {labels.max()} "
            f"for image {labels.argmax()} ({labels_place})"
        )
