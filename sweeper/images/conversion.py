"""Converts images that came as arrays to the classes, size and channels that the options ask for."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sweeper.images import resize
from sweeper.images.alpha import BACKGROUNDS
from sweeper.images.bounds import check_size
from sweeper.images.class_choice import ClassChoice
from sweeper.images.decoded_cache import decoded, new_images
from sweeper.images.image_set import ImageSet
from sweeper.images.options import DataOptions
from sweeper.images.reading import Reading
from sweeper.images.resize import fitted


def converted(part: ImageSet, choice: ClassChoice, options: DataOptions, reading: Reading) -> ImageSet:
    """The part with the options applied. Resized and grey images are cached. Raises SweeperError and UsageError."""
    # Part of the cache key, because the hash of an .npz file's test part does not cover the class names.
    labels = choice.labels_of(part.classes).tolist()
    if choice.classes != part.classes or labels != list(range(len(labels))):
        part = _select_classes(part, choice)
    channels, height, width = part.images.shape[1:]
    side = options.resize or height, options.resize or width
    grey = options.grayscale or channels == 1
    if side == (height, width) and grey == (channels == 1):
        return part
    check_size((len(part.images), 1 if grey else channels, *side), None, reading.max_bytes, part.source)
    wanted = f"{part.sha256} {len(part.labels)} {choice.classes} {labels} {side} {grey}"
    conversions = (*part.conversions, *resize.conversions([(width, height)], options))
    if conversions:  # the same arrays, read in another way
        wanted += f" {conversions} {part.value_range!r}"
    key = hashlib.sha256(wanted.encode()).hexdigest()
    found = decoded(key, lambda folder: _convert(part, side, grey, options, folder), reading.notify)
    return replace(part, images=found.images, labels=found.labels, conversions=conversions)


def _select_classes(part: ImageSet, choice: ClassChoice) -> ImageSet:
    labels = choice.labels_of(part.classes)[part.labels]
    kept = labels >= 0
    n_validation = int(kept[len(kept) - part.n_validation :].sum())
    return replace(
        part, images=part.images[kept], labels=labels[kept], classes=choice.classes, n_validation=n_validation
    )


def _convert(part: ImageSet, side: tuple[int, int], grey: bool, options: DataOptions, folder: Path) -> dict[str, str]:
    shape = (len(part.images), 1 if grey else part.images.shape[1], *side)
    images = new_images(folder / "images.npy", shape)
    behind = BACKGROUNDS[options.background]
    for place, image in enumerate(part.images):
        images[place] = fitted(_picture(image), side[::-1], grey=grey, fit=options.fit, background=behind)
    images.flush()
    np.save(folder / "labels.npy", part.labels)
    return {}


def _picture(image: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)))
