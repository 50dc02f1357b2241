"""Says before a search what a data set cannot carry: sentences, each with its remedy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.config import Protocol
from sweeper.data.splits import Indices, raised_parts, split_once
from sweeper.data.training_set import TrainingSet
from sweeper.errors import plain
from sweeper.evaluation.amounts import amount
from sweeper.images import alpha
from sweeper.images.options import Background
from sweeper.images.sizes import SIDES
from sweeper.quantities import counted

# A part of fewer images shows only differences of half a point and more, even without any noise.
FEW_IMAGES = 200
# Images that take this many times the computation of usual ones are worth a word.
MUCH_WORK = 4.0
# A class that is this many times as large as the smallest is worth a word.
IMBALANCE = 3.0
# Files in order that differ less than this share of what two images of one class differ are copies, or one scene.
ALIKE = 0.5
PAIRS, FEWEST_PAIRS = 400, 50
MOST_NAMED = 5
OTHER_BACKGROUND: dict[Background, Background] = {"white": "black", "black": "white"}
# With most images of a class grey and most of another in colour, the classes can be told apart by that alone.
MOSTLY = 0.9


def before_you_search(
    training_set: TrainingSet, duplicates: Mapping[str, Any], protocol: Protocol, tested: Mapping[str, int] | None
) -> list[str]:
    """The sentences about this data set under a protocol.

    `duplicates` is what `duplicate_summary` found, `tested` the number of test images of each class, if there are any.
    """
    images, labels, classes = training_set.images, training_set.labels, training_set.classes
    return [
        *_parts(training_set, protocol),
        *_size(training_set.input_shape),
        *_imbalance(labels, classes),
        *_untested(tested or {}),
        *_duplicates(duplicates),
        *_constant_images(training_set),
        *_grey_images(images, labels, classes),
        *_alike(images, labels),
    ]


def _parts(training_set: TrainingSet, protocol: Protocol) -> list[str]:
    """What the parts that a search would cut cannot do."""
    own = training_set.own_validation
    try:
        split = split_once(
            training_set.images,
            training_set.labels,
            validation=protocol.validation,
            confirm=protocol.confirm,
            seed=0,
            own_validation=own,
            classes=training_set.classes,
        )
    except ValueError as error:
        return [f"A search would be refused: {error}"]
    share = protocol.validation if own is None else None
    raised = raised_parts(split, share, protocol.confirm, len(training_set.classes))
    n_images = len(split.validation)
    if n_images >= FEW_IMAGES:
        return raised
    remedy = "--folds 5 scores on all images but those of the confirm part, in five times the time"
    if own is not None:
        remedy = f"--resplit cuts a part from all training images, {remedy}"
    one = "The only validation image" if n_images == 1 else f"One of the {n_images} validation images"
    return [*raised, f"{one} is {100 / n_images:.1f} points of accuracy: {remedy}"]


def _size(input_shape: tuple[int, int, int]) -> list[str]:
    """What images of this shape (channels, height, width) are too small or too large for."""
    _, height, width = input_shape
    smallest, large = SIDES
    if min(height, width) < smallest:
        return [
            f"Images of {height}x{width} pixels leave no room for convolutions and poolings, for which vgg_small needs "
            f"{smallest}x{smallest}: --resize {smallest} enlarges them, but shows nothing that they do not hold"
        ]
    if (times := height * width / large**2) < MUCH_WORK:
        return []
    return [
        f"Images of {height}x{width} take a network {times:.0f} times the computation of {large}x{large}: --resize "
        f"{large} makes a search that much faster, and is enough unless small details tell the classes apart"
    ]


def _imbalance(labels: Indices, classes: Sequence[str]) -> list[str]:
    counts = np.bincount(labels, minlength=len(classes))
    if counts.max() < IMBALANCE * counts.min():
        return []
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    score = amount("accuracy", counts[largest] / len(labels), 1)
    return [
        f"Always saying {plain(classes[largest])} scores {score} accuracy, and {plain(classes[smallest])} has "
        f"{100 * counts[smallest] / len(labels):.1f} % of the images: "
        "--metric balanced_accuracy or macro_f1 counts classes alike, --set class_weights=balanced trains on them alike"
    ]


def _untested(tested: Mapping[str, int]) -> list[str]:
    lacking = [plain(name) for name, n_images in tested.items() if not n_images]
    if not lacking:
        return []
    named = ", ".join(lacking[:MOST_NAMED]) + f" and {len(lacking) - MOST_NAMED} more" * (len(lacking) > MOST_NAMED)
    return [f"The test part has no images of {named}, so that a test says nothing about them"]


def _duplicates(found: Mapping[str, Any]) -> list[str]:
    sentences = []
    for key, part in (("validation_in_training", "validation"), ("test_in_training", "test")):
        shared = found[key]
        if shared is not None and shared["images"]:
            are, copies = ("is", "copy") if shared["images"] == 1 else ("are", "copies")
            sentences.append(
                f"{counted(shared['images'], f'{part} image')} ({100 * shared['share']:.1f} %) {are} in the training "
                f"part too, so that scores on that part are too high: remove the {copies}"
            )
    if mixed := found["training"]["groups_of_several_classes"]:
        of_each = "" if mixed == 1 else " of each group"
        sentences.append(
            f"{counted(mixed, 'group')} of equal training images with different labels; look at them: at least one "
            f"label{of_each} is wrong"
        )
    return sentences


def _constant_images(training_set: TrainingSet) -> list[str]:
    images, files = training_set.images, training_set.files
    constant = [index for index, image in enumerate(images) if (image.min(axis=(1, 2)) == image.max(axis=(1, 2))).all()]
    if not constant:
        return []
    first = [str(index) if files is None else plain(files[index]) for index in constant[:MOST_NAMED]]
    named = "index " * (files is None) + ", ".join(first) + ", ..." * (len(constant) > MOST_NAMED)
    # Ink of the background's colour is not seen.
    hidden = [
        f"; those with {one} ink show it with --background {other}"
        for one, other in OTHER_BACKGROUND.items()
        if alpha.conversion(one) in training_set.conversions
    ]
    have = counted(len(constant), "training image has", "training images have")
    their = "its" if len(constant) == 1 else "their"
    return [f"{have} one colour ({named}): only {their} colour can be learnt" + "".join(hidden)]


def _grey_images(images: NDArray[np.uint8], labels: Indices, classes: Sequence[str]) -> list[str]:
    """Whether images of three channels are grey: all of them, or most of one class and few of another."""
    if images.shape[1] == 1:
        return []
    # The image's first row tells of most images in colour.
    grey = np.array([(i[:, :1] == i[:1, :1]).all() and (i == i[:1]).all() for i in images])
    if grey.all():
        return ["All training images are grey, in three equal channels: --grayscale trains on one, in less time"]
    shares = np.bincount(labels, grey, len(classes)) / np.maximum(1, np.bincount(labels, minlength=len(classes)))
    most, least = int(shares.argmax()), int(shares.argmin())
    if shares[most] < MOSTLY or shares[least] > 1 - MOSTLY:
        return []
    return [
        f"{100 * shares[most]:.0f} % of the images of {plain(classes[most])} are grey, and {100 * shares[least]:.0f} % "
        f"of those of {plain(classes[least])}: a network can tell them apart by that alone; --grayscale makes all "
        "images grey"
    ]


def _alike(images: NDArray[np.uint8], labels: Indices) -> list[str]:
    """Whether neighbours in the order of the files are much more alike than other images of their class."""
    rng = np.random.default_rng(0)
    neighbours = np.flatnonzero(labels[:-1] == labels[1:])
    if len(neighbours) < FEWEST_PAIRS:
        return []
    drawn = np.sort(rng.choice(neighbours, min(PAIRS, len(neighbours)), replace=False))
    by_class = {label: np.flatnonzero(labels == label) for label in np.unique(labels).tolist()}
    others = np.array([rng.choice(by_class[int(labels[index])]) for index in drawn])
    near = np.median([_difference(images[index], images[index + 1]) for index in drawn])
    far = np.median([_difference(images[index], images[other]) for index, other in zip(drawn, others, strict=True)])
    if near >= ALIKE * far:
        return []
    return [
        f"Neighbouring files differ by {100 * near / far:.0f} % of what two images of a class usually differ, as "
        "copies or the frames of a video do: parts drawn at random share scenes, and scores are too high. Give parts "
        "of your own, with val/ and test/ folders or --split-column"
    ]


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The mean absolute difference of two images' pixels."""
    return float(np.abs(one.astype(np.int16) - other).mean())
