"""The test set, which only promotion, evaluation by name and `sweeper data info` may import.

It stands apart from the training pool so that no search can see it: a number that a choice was made on is no
longer an honest estimate. A test asserts who imports it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data import catalog, sources
from sweeper.data.arrays import combined_sha256, decode


@dataclass(frozen=True, eq=False)
class TestSet:
    """The test images and labels of a data set."""

    __test__ = False  # pytest takes a class of this name for tests

    name: str
    images: NDArray[np.uint8]  # (N, C, H, W)
    labels: NDArray[np.int64]  # (N,), in 0..len(classes)-1
    classes: tuple[str, ...]
    sha256: str  # of the test files only: the key of the ledger of looks
    source: str  # the folder the files were in


def load_test_set(
    name: str,
    *,
    data_dir: Path | None = None,
    offline: bool = False,
    notify: Callable[[str], None] = lambda note: None,
) -> TestSet:
    """The test set of the data set `name`, as load_training_pool gives the training pool."""
    dataset = catalog.get(name)
    found = sources.read(dataset, dataset.test, data_dir=data_dir, offline=offline, notify=notify)
    return _test_set(dataset, found)


def find_test_set(
    name: str, *, data_dir: Path | None = None, notify: Callable[[str], None] = lambda note: None
) -> TestSet | None:
    """The test set of the data set `name` if it is on this machine, else None; never downloads."""
    dataset = catalog.get(name)
    found = sources.find(dataset, dataset.test, data_dir=data_dir, notify=notify)
    return None if found is None else _test_set(dataset, found)


def _test_set(dataset: catalog.Dataset, found: sources.Found) -> TestSet:
    """The files' arrays with what is known of them."""
    images, labels = decode(dataset, found)
    return TestSet(
        name=dataset.name,
        images=images,
        labels=labels,
        classes=dataset.classes,
        sha256=combined_sha256(dataset.test),
        source=str(found.folder),
    )
