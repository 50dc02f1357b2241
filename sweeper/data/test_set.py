"""The test set, which only promotion, evaluation by name and `sweeper data info` may import.

It stands apart from the training pool so that no search can see it: a number that a choice was made on is no
longer an honest estimate. A test asserts who imports it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data import lookup
from sweeper.data.images.image_set import ImageSet, NoTestImages
from sweeper.data.images.options import AS_IT_IS, DataOptions
from sweeper.data.known import catalog, locate
from sweeper.data.known.reader import combined_sha256, known_part


@dataclass(frozen=True, eq=False)
class TestSet:
    """The test images and labels of a data set."""

    __test__ = False  # pytest takes a class of this name for tests

    name: str
    images: NDArray[np.uint8]  # (N, C, H, W); may be mapped and read-only
    labels: NDArray[np.int64]  # (N,), in 0..len(classes)-1
    classes: tuple[str, ...]
    sha256: str  # of the test files only, as they lie there: the key of the ledger of looks
    source: str  # where the files were


def load_test_set(
    dataset: str,
    *,
    input_shape: tuple[int, int, int],
    options: DataOptions = AS_IT_IS,
    data_dir: Path | None = None,
    offline: bool = False,
    notify: Callable[[str], None] = lambda note: None,
) -> TestSet:
    """The test set of a data set, as load_training_pool gives the training pool.

    `input_shape` (channels, height, width) is that of the training images, which the images of a folder are given.
    """
    path = lookup.path_of(dataset)
    if path is not None:
        return _test_set(dataset, lookup.test_part(path, options, input_shape, notify))
    known = catalog.get(dataset)
    found = locate.read(known, known.test, data_dir=data_dir, offline=offline, notify=notify)
    return _test_set(dataset, known_part(known, known.test, found, options))


def find_test_set(
    dataset: str,
    *,
    input_shape: tuple[int, int, int],
    options: DataOptions = AS_IT_IS,
    data_dir: Path | None = None,
    notify: Callable[[str], None] = lambda note: None,
) -> TestSet | None:
    """The test set of a data set if it has one that is on this machine, else None; never downloads."""
    path = lookup.path_of(dataset)
    if path is not None:
        try:
            return _test_set(dataset, lookup.test_part(path, options, input_shape, notify))
        except NoTestImages:
            return None
    known = catalog.get(dataset)
    found = locate.find(known, known.test, data_dir=data_dir, notify=notify)
    return None if found is None else _test_set(dataset, known_part(known, known.test, found, options))


def test_sha256(dataset: str) -> str | None:
    """The hash that the test set has, without decoding any of it; None where there is none.

    That of a known data set stands in the catalog; the files of another are read for it.
    """
    path = lookup.path_of(dataset)
    return combined_sha256(catalog.get(dataset).test) if path is None else lookup.test_sha256(path)


def _test_set(dataset: str, part: ImageSet) -> TestSet:
    return TestSet(
        name=lookup.name_of(dataset),
        images=part.images,
        labels=part.labels,
        classes=part.classes,
        sha256=part.sha256,
        source=part.source,
    )
