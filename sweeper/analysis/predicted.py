"""Looks at what networks predict: confusions, mistakes, probabilities, and whether these can be trusted."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.analysis.subject import Subject
from sweeper.analysis.view import View
from sweeper.evaluation.amounts import amount
from sweeper.evaluation.metrics import confusion_matrix, largest_confusions
from sweeper.explain.calibration import reliability
from sweeper.explain.mistakes import most_probable, most_wrong
from sweeper.explain.pixels import thumbnail
from sweeper.plots import Plot
from sweeper.quantities import counted

# Classes whose probabilities are shown for an image.
MOST_CLASSES = 4


def confusions(subjects: Sequence[Subject]) -> View:
    """The networks' confusion matrices side by side, with the largest confusions of each in words."""
    images = subjects[0].images
    matrices = {
        subject.name: confusion_matrix(subject.labels, subject.predicted, len(images.classes)) for subject in subjects
    }
    return confusions_of(matrices, images.classes, "confusions", "Confusion matrices", images.described)


def confusions_of(
    matrices: dict[str, NDArray[np.int64]], classes: Sequence[str], name: str, title: str, images_used: str
) -> View:
    """Confusion matrices by the names of their networks, rows true and columns predicted, as a view."""
    sentences = []
    for network, matrix in matrices.items():
        totals = matrix.sum(axis=1)
        largest = [
            f"{classes[i]} taken for {classes[j]} ({k:,} of {totals[i]:,})" for i, j, k in largest_confusions(matrix)
        ]
        sentences.append(
            f"Largest confusions of {network}: {', '.join(largest)}." if largest else f"{network} confuses no image."
        )
    networks = [{"name": network, "matrix": matrix.tolist()} for network, matrix in matrices.items()]
    arguments = {"networks": networks, "classes": list(classes), "title": f"{title}: {images_used}"}
    return View(
        name=name,
        title=title,
        how_to_read="Each row is a true class, each column a predicted one: the diagonal is right, and a coloured cell "
        "beside it is a confusion.",
        images_used=images_used,
        plot=Plot("confusion_matrices", arguments),
        sentences=sentences,
        data={"classes": list(classes), "networks": networks},
    )


def reliabilities(subjects: Sequence[Subject]) -> View:
    """The networks' reliability diagrams side by side, with the expected calibration error of each."""
    images = subjects[0].images
    networks: list[dict[str, Any]] = []
    sentences = []
    for subject in subjects:
        found = reliability(subject.labels, subject.log_probabilities)
        networks.append({"name": subject.name, **asdict(found)})
        sentences.append(
            f"{subject.name}: expected calibration error {_percent(found.error)} on {counted(found.n, 'image')}; mean "
            f"confidence {_percent(found.confidence)}, accuracy {_percent(found.accuracy)}."
        )
    return View(
        name="reliability",
        title="Reliability of the probabilities",
        how_to_read="Of the images that a network is 80 % sure of, it should get 80 % right. Dots below the diagonal "
        "mean that it is overconfident. With few images in a bin, chance alone makes the calibration error larger.",
        images_used=images.described,
        plot=Plot("reliability_diagram", {"networks": networks, "title": f"Reliability: {images.described}"}),
        sentences=sentences,
        data={"networks": networks},
    )


def mistakes(subject: Subject, n: int, name: str = "mistakes") -> View:
    """The images that the network gets most wrong, with its probabilities."""
    chosen = most_wrong(subject.labels, subject.log_probabilities, n)
    n_wrong, n_images = int((subject.predicted != subject.labels).sum()), len(subject.labels)
    sentence = f"{subject.name} gets {n_wrong:,} of {counted(n_images, 'image')} wrong" + (
        f"; these {len(chosen)} have the highest loss (they give the true class the least probability)."
        if len(chosen)
        else "."
    )
    how = (
        "The orange bar is the predicted class, which is wrong; (true) marks the true class. Where the network is sure "
        "and you would agree with it, the label may be wrong."
    )
    return _tiles(subject, chosen, name, f"Worst mistakes of {subject.name}", how, [sentence])


def probabilities(subject: Subject, chosen: NDArray[np.int64], name: str = "probabilities") -> View:
    """The class probabilities of the `chosen` images, the largest marked."""
    how = "The bold class is the predicted one: its bar is blue if that is right or unknown, and orange if it is wrong."
    n_images, which = len(subject.images.images), ""
    if len(chosen) < n_images:
        given = f" (the first {len(chosen)})"
        which = given if subject.images.part == "given" else " (random images, not chosen by their predictions)"
    return _tiles(subject, chosen, name, f"Class probabilities of {subject.name}{which}", how, [])


def _tiles(
    subject: Subject, chosen: NDArray[np.int64], name: str, title: str, how_to_read: str, sentences: Sequence[str]
) -> View:
    images = subject.images
    labels = None if images.labels is None else images.labels[chosen]
    classes, shares = most_probable(subject.log_probabilities[chosen], MOST_CLASSES, labels)
    rows = [
        {
            "image": int(position),
            "name": image_name(subject, int(position)),
            "true": None if images.labels is None else images.classes[images.labels[position]],
            "classes": [images.classes[one] for one in classes[row]],
            "probabilities": [round(float(share), 6) for share in shares[row]],
        }
        for row, position in enumerate(chosen)
    ]
    tiles = [
        {**row, "image": thumbnail(images.images[position]).tolist()}
        for row, position in zip(rows, chosen, strict=True)
    ]
    shown = Plot("image_probabilities", {"tiles": tiles, "title": f"{title}: {images.described}"}) if tiles else None
    return View(
        name=name,
        title=title,
        how_to_read=how_to_read,
        images_used=images.described,
        plot=shown,
        sentences=sentences,
        data={"network": subject.name, "images": rows},
    )


def image_name(subject: Subject, position: int) -> str:
    """How figures call an image: by its file, or by its position in its part."""
    files = subject.images.files
    return f"image {position}" if files is None else PurePath(files[position]).name


def _percent(share: float) -> str:
    return amount("accuracy", share, 1)
