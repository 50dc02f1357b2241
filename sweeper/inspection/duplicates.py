"""Finds exact duplicates in a data set: images that agree in every pixel, within one part or in two parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data.splits import Indices, duplicate_groups

MOST_EXAMPLES = 5
# Per example, because a group of blank images may have thousands of copies.
MOST_NAMED = 5

LIMITS = (
    "Only copies that agree in every pixel are found: one that was re-encoded, cropped, shifted or brightened is not. "
    "3.3 % of CIFAR-10's test images have a near-duplicate in its training part (Barz and Denzler 2020, Do we train "
    "on test data?, ciFAIR); exact hashing finds few of these."
)


@dataclass(frozen=True, eq=False)
class Labelled:
    """One part of a data set: images (N, C, H, W), labels (N,), and perhaps the files of the images."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    files: Sequence[str] | None = None


def duplicate_summary(
    training: Labelled, test: Labelled | None, classes: Sequence[str], own_validation: Indices | None = None
) -> dict[str, Any]:
    """The exact duplicates within each part, and the images of one part that occur in another part too.

    `own_validation` holds indices into the training part. These images are compared with the rest of that part. The
    results for a part that is None are None. Examples identify an image by its class, its index in its own part, and
    its file if it has one.
    """
    parts = [training] if test is None else [training, test]
    images = [image for part in parts for image in np.asarray(part.images)]  # views: nothing is copied
    labels = np.concatenate([part.labels for part in parts])
    n_training = len(training.labels)
    groups = list(duplicate_groups(images, np.arange(len(labels))))
    of_training = [group[group < n_training] for group in groups]
    of_test = [group[group >= n_training] for group in groups]

    def named(indices: Indices) -> list[dict[str, Any]]:
        found = []
        for overall in indices[:MOST_NAMED].tolist():
            part, index = (training, overall) if overall < n_training else (parts[-1], overall - n_training)
            file = {} if part.files is None else {"file": part.files[index]}
            found.append({"index": index, **file, "class": classes[labels[overall]]})
        return found

    def within(found: Sequence[Indices]) -> dict[str, Any]:
        several = [group for group in found if len(group) > 1]
        mixed = [len(np.unique(labels[group])) > 1 for group in several]
        # If copies have different labels, at least one label is wrong: such groups are shown first.
        order = np.argsort(np.logical_not(mixed), kind="stable")[:MOST_EXAMPLES]
        return {
            "groups": len(several),
            "images": sum(map(len, several)),
            "groups_of_several_classes": sum(mixed),
            "examples": [{"images": len(several[i]), "first": named(several[i])} for i in order],
        }

    def shared(some: Sequence[Indices], others: Sequence[Indices], n_images: int) -> dict[str, Any]:
        pairs = [
            (image, other) for group, other in zip(some, others, strict=True) if len(other) for image in group.tolist()
        ]
        return {
            "images": len(pairs),
            "share": len(pairs) / n_images if n_images else 0.0,
            "images_of_another_class": sum(bool((labels[other] != labels[image]).any()) for image, other in pairs),
            "examples": [
                {**named(np.array([image]))[0], "copies": len(other), "first": named(other)}
                for image, other in pairs[:MOST_EXAMPLES]
            ],
        }

    found: dict[str, Any] = {
        "limits": LIMITS,
        "training": within(of_training),
        "validation_in_training": None,
        "test": None,
        "test_in_training": None,
    }
    if own_validation is not None:
        is_own = np.zeros(n_training, dtype=bool)
        is_own[own_validation] = True
        of_validation = [group[is_own[group]] for group in of_training]
        of_rest = [group[~is_own[group]] for group in of_training]
        found["validation_in_training"] = shared(of_validation, of_rest, len(own_validation))
    if test is not None:
        found["test"] = within(of_test)
        found["test_in_training"] = shared(of_test, of_training, len(test.labels))
    return found
