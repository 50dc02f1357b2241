"""Converts images that came as arrays to the classes, size and channels that the options ask for."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sweeper.images.bounds import check_size
from sweeper.images.decoded_cache import decoded, require_room
from sweeper.images.image_set import ImageSet
from sweeper.images.options import DataOptions, Fit, chosen_classes
from sweeper.images.reading import Reading
from sweeper.images.resize import fitted


def converted(part: ImageSet, options: DataOptions, reading: Reading) -> ImageSet:
    """The part with the options applied. Resized and grey images are cached. Raises SweeperError and UsageError."""
    classes = chosen_classes(options, part.classes)
    # Part of the cache key, because the hash of an .npz file's test part does not cover the class names.
    kept = [part.classes.index(name) for name in classes]
    if classes != part.classes:
        part = _select_classes(part, classes)
    channels, height, width = part.images.shape[1:]
    side = options.resize or height, options.resize or width
    grey = options.grayscale or channels == 1
    if side == (height, width) and grey == (channels == 1):
        return part
    check_size((len(part.images), 1 if grey else channels, *side), None, reading.max_bytes, part.source)
    wanted = f"{part.sha256} {len(part.labels)} {classes} {kept} {side} {grey}"
    if options.resize and options.fit != "crop":  # the only way before there was a choice
        wanted += f" {options.fit}"
    key = hashlib.sha256(wanted.encode()).hexdigest()
    found = decoded(key, lambda folder: _convert(part, side, grey, options.fit, folder), reading.notify)
    return replace(part, images=found.images, labels=found.labels)


def _select_classes(part: ImageSet, classes: tuple[str, ...]) -> ImageSet:
    label_of = np.full(len(part.classes), -1, dtype=np.int64)
    label_of[[part.classes.index(name) for name in classes]] = np.arange(len(classes))
    labels = label_of[part.labels]
    kept = labels >= 0
    n_validation = int(kept[len(kept) - part.n_validation :].sum())
    return replace(part, images=part.images[kept], labels=labels[kept], classes=classes, n_validation=n_validation)


def _convert(part: ImageSet, side: tuple[int, int], grey: bool, fit: Fit, folder: Path) -> dict[str, str]:
    shape = (len(part.images), 1 if grey else part.images.shape[1], *side)
    require_room(shape, folder)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", dtype=np.uint8, shape=shape)
    for place, image in enumerate(part.images):
        images[place] = fitted(_picture(image), side[::-1], grey=grey, fit=fit)
    images.flush()
    np.save(folder / "labels.npy", part.labels)
    return {}


def _picture(image: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)))
