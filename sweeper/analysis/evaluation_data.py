"""Reads the labelled images that a trained network is evaluated on, with the network's own classes as labels."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray

from sweeper.analysis.network import TrainedNetwork
from sweeper.data import lookup
from sweeper.data.source import DataAccess, DataSource
from sweeper.data.test_set import TestSet, load_test_set, load_whole, test_sha256
from sweeper.data.training_set import TrainingSet, load_training_set
from sweeper.errors import SweeperError, UsageError, joined, nearest, plain
from sweeper.events import Listener, Note
from sweeper.images.class_choice import MOST_KNOWN
from sweeper.images.class_names import composed, listed
from sweeper.images.image_set import PixelFormat
from sweeper.images.value_range import OPTION, ValueRange
from sweeper.quantities import counted
from sweeper.studies import data_source

PARTS = ("test", "train", "all")
# The parts in words, before "images".
IN_WORDS = {"test": "test", "train": "training", "all": "labelled"}


@dataclass(frozen=True, eq=False)
class EvaluationData:
    """Images uint8 (n, channels, height, width) for a network, and labels (n,) as positions in its classes.

    `part` is one of PARTS. `files` names the file of each image, None for images without files of their own.
    `test_sha256` is the hash of the test part that is among the images, None if none is, and `training_sha256` that of
    the training files, None unless they were read. `missing` are the network's
    classes without an image. `conversions` says how the stored images became these, `value_range` which stored values
    became 0 and 255.
    """

    name: str
    part: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    files: tuple[str, ...] | None
    test_sha256: str | None
    training_sha256: str | None
    missing: tuple[str, ...]
    conversions: tuple[str, ...]
    value_range: ValueRange | None

    @property
    def described(self) -> str:
        """The images in words, such as "10,000 test images of fashion_mnist"."""
        return f"{counted(len(self.labels), f'{IN_WORDS[self.part]} image')} of {plain(self.name)}"


def read(
    source: DataSource,
    network: TrainedNetwork,
    part: str | None,
    known_tests: Collection[str | None],
    *,
    invert: bool,
    listener: Listener,
) -> EvaluationData:
    """The images of a part of the data set; without a `part` the test part, or else all labelled images.

    Images that a search would set aside as a test part count as one only if their hash is among `known_tests`. With
    `invert`, black becomes white. Raises UsageError for images and classes that the network does not know, with the
    option that helps, and SweeperError.
    """
    lookup.check_options(source.dataset, source.options)
    path = lookup.path_of(source.dataset)
    names_test, test = lookup.names_test_part(source.dataset, source.options), test_sha256(source)
    if part is None:
        part = "test" if names_test or (test is not None and test in known_tests) else "all"
    found, training_set = _sets(source, path, part, names_test, lambda text: listener(Note(text)))
    if part == "all" and test is not None and not names_test:
        listener(Note(f"{plain(source.dataset)} names no test part: all its labelled images are evaluated"))
    images = np.concatenate([each.images for each in found]) if len(found) > 1 else found[0].images
    images = _fitting(images, network, source)
    labels, missing = _labels(found, network, source)
    files = [each.files for each in found]
    return EvaluationData(
        name=found[0].name,
        part=part,
        images=np.bitwise_not(images) if invert else images,
        labels=labels,
        files=None if None in files else sum((each for each in files if each), ()),
        test_sha256=None if part == "train" else test,
        training_sha256=None if training_set is None else training_set.sha256,
        missing=missing,
        conversions=tuple(dict.fromkeys(phrase for each in found for phrase in each.conversions)),
        value_range=found[0].value_range,
    )


def test_of(study: optuna.Study, data_dir: Path | None) -> str | None:
    """The hash of the study's test part; None if there is none, or none that can be read here."""
    try:
        return test_sha256(data_source.source_of(study, DataAccess(data_dir, offline=True)))
    except SweeperError:
        return None


def _sets(
    source: DataSource, path: Path | None, part: str, names_test: bool, notify: Callable[[str], None]
) -> tuple[Sequence[TestSet | TrainingSet], TrainingSet | None]:
    """The sets that hold the part's images, and the training set if it was read."""
    if part == "all" and path is not None and not names_test:
        return [load_whole(source, path, notify=notify)], None
    if part == "test" and path is None:
        pixel_format = PixelFormat(lookup.input_shape(source.dataset, source.options))
        return [load_test_set(source, pixel_format=pixel_format, notify=notify)], None
    training_set = load_training_set(source, notify=notify)
    if part == "train":
        return [training_set], training_set
    # The test images become what the data set's own training images are, and only then must fit the network.
    test_set = load_test_set(source, pixel_format=training_set.pixel_format, notify=notify)
    return [test_set] if part == "test" else [training_set, test_set], training_set


def _fitting(images: NDArray[np.uint8], network: TrainedNetwork, source: DataSource) -> NDArray[np.uint8]:
    """The images, grey ones in three equal channels for a network of colour images. Raises UsageError."""
    channels, height, width = network.input_shape
    found_channels, found_height, found_width = images.shape[1:]
    wanted, found = f"{height} high and {width} wide", f"{found_height} high and {found_width} wide"
    place = plain(source.dataset)
    if (found_height, found_width) != (height, width):
        remedy = f"--resize {width} makes them so" if height == width else "store them at that size"
        raise UsageError(f"images must be {wanted}, as those of {network.name}, got {found} ({place}); {remedy}")
    if found_channels > channels:
        raise UsageError(
            f"images must be grey, as those of {network.name}, got colour ({place}); --grayscale makes them so"
        )
    if found_channels < channels:
        return np.broadcast_to(images, (len(images), channels, height, width))
    return images


def _labels(
    sets: Sequence[TestSet | TrainingSet], network: TrainedNetwork, source: DataSource
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The labels as positions in the network's classes, and those of its classes that have no image."""
    place = {composed(name): label for label, name in enumerate(network.classes)}
    labels = []
    for each in sets:
        unknown = [
            each.classes[label] for label in np.unique(each.labels) if composed(each.classes[label]) not in place
        ]
        if unknown:
            name = unknown[0]
            raise UsageError(
                f"the classes of the images must be those of {network.name}, got {joined(unknown)} "
                f"({plain(source.dataset)}){nearest(name, network.classes)}; --map FILE renames, joins and leaves out "
                f"classes, a line for each of the network's: {listed(network.classes, MOST_KNOWN)}"
            )
        labels.append(np.array([place.get(composed(name), -1) for name in each.classes], dtype=np.int64)[each.labels])
    found = np.concatenate(labels)
    counts = np.bincount(found, minlength=len(network.classes))
    return found, tuple(name for name, n in zip(network.classes, counts, strict=True) if not n)


def refuse_other_range(data: EvaluationData, trained: ValueRange | None, network: TrainedNetwork) -> None:
    """Raises UsageError if the stored values were scaled otherwise than those of the training images were."""
    if data.value_range is not None and trained is not None and data.value_range != trained:
        raise UsageError(
            f"stored values from {trained} became black to white for {network.name}, of {plain(data.name)} those from "
            f"{data.value_range}: {OPTION} {trained.low:g},{trained.high:g} reads them alike"
        )
