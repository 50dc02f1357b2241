"""The test set, which only evaluations by promotion or by name and `sweeper data info` may import.

It is separate from the training set so that no search can see it: a metric that influenced a choice is no longer an
honest estimate. A test asserts which modules import it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.data import lookup
from sweeper.data.known import catalog, locate
from sweeper.data.known.reader import combined_sha256, known_part
from sweeper.data.source import DataSource
from sweeper.images.image_set import ImageSet, NoTestImages, PixelFormat, UnusableTestImages
from sweeper.images.reading import Reading
from sweeper.images.value_range import ValueRange


@dataclass(frozen=True, eq=False)
class TestSet:
    """The test images and labels of a data set."""

    __test__ = False  # pytest would take a class of this name for tests

    name: str
    images: NDArray[np.uint8]  # (N, C, H, W); may be mapped and read-only
    labels: NDArray[np.int64]  # (N,), in 0..len(classes)-1
    classes: tuple[str, ...]
    sha256: str  # of the test files only, as stored; the key in the ledger of test evaluations
    source: str  # where the files were found
    conversions: tuple[str, ...] = ()  # as ImageSet's
    files: tuple[str, ...] | None = None  # as ImageSet's
    value_range: ValueRange | None = None  # as ImageSet's


def load_whole(source: DataSource, path: Path, *, notify: Callable[[str], None]) -> TestSet:
    """All labelled images of the user's own data at `path`, for which the data set names no parts.

    Those that a search would set aside as the test part are there too. Arguments and errors are those of
    load_training_set.
    """
    return _test_set(source, lookup.whole_part(path, source.options, Reading(notify, source.max_bytes)))


def load_test_set(
    source: DataSource, *, pixel_format: PixelFormat, notify: Callable[[str], None] = lambda note: None
) -> TestSet:
    """Loads the test set, downloaded if needed and allowed; arguments and errors are those of load_training_set.

    `pixel_format` is that of the training images. A folder's images are converted to its channels, and stored values to
    bytes by its range; other sizes are refused unless the options resize the images.
    """
    path = lookup.path_of(source.dataset)
    if path is not None:
        return _test_set(
            source, lookup.test_part(path, source.options, pixel_format, Reading(notify, source.max_bytes))
        )
    known = catalog.get(source.dataset)
    files = locate.read(known, known.test, data_dir=source.data_dir, offline=source.offline, notify=notify)
    return _test_set(source, known_part(known, known.test, files, source.options, Reading(notify, source.max_bytes)))


def find_test_set(
    source: DataSource, *, pixel_format: PixelFormat, notify: Callable[[str], None] = lambda note: None
) -> TestSet | None:
    """Loads the test set if there is one on this machine, else returns None. Never downloads."""
    path = lookup.path_of(source.dataset)
    if path is not None:
        try:
            part = lookup.test_part(path, source.options, pixel_format, Reading(notify, source.max_bytes))
        except UnusableTestImages as error:
            notify(str(error))
            return None
        except NoTestImages:
            return None
        return _test_set(source, part)
    known = catalog.get(source.dataset)
    files = locate.find(known, known.test, data_dir=source.data_dir, notify=notify)
    if files is None:
        return None
    return _test_set(source, known_part(known, known.test, files, source.options, Reading(notify, source.max_bytes)))


def test_sha256(source: DataSource) -> str | None:
    """The hash of the test set, computed without decoding any image; None if there is no test set.

    The catalog gives the hash of a known data set. The user's own files are read to compute it. Raises SweeperError.
    """
    path = lookup.path_of(source.dataset)
    if path is None:
        return combined_sha256(catalog.get(source.dataset).test)
    return lookup.test_sha256(path, source.options)


def _test_set(source: DataSource, part: ImageSet) -> TestSet:
    return TestSet(
        name=lookup.name_of(source.dataset),
        images=part.images,
        labels=part.labels,
        classes=part.classes,
        sha256=part.sha256,
        source=part.source,
        conversions=part.conversions,
        files=part.files,
        value_range=part.value_range,
    )
