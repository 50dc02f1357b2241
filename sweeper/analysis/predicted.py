"""Looks at what networks predict: their confusions."""

from collections.abc import Sequence

from sweeper.analysis.look import Look
from sweeper.analysis.subject import Subject
from sweeper.evaluation.metrics import confusion_matrix, largest_confusions
from sweeper.plots import Plot


def confusions(subjects: Sequence[Subject]) -> Look:
    """The networks' confusion matrices side by side, with the largest confusions of each in words."""
    images = subjects[0].images
    n, names = len(images.classes), images.classes
    matrices = {subject.name: confusion_matrix(subject.labels, subject.predicted, n) for subject in subjects}
    sentences = []
    for name, matrix in matrices.items():
        totals = matrix.sum(axis=1)
        largest = [f"{names[i]} for {names[j]} {k} of {totals[i]}" for i, j, k in largest_confusions(matrix)]
        sentences.append(f"{name} takes {', '.join(largest)}." if largest else f"{name} confuses no image.")
    networks = [{"name": name, "matrix": matrix.tolist()} for name, matrix in matrices.items()]
    return Look(
        name="confusions",
        title="Confusion matrices",
        how_to_read="Each row is a true class, each column what the network says: the diagonal is right, and a dark "
        "cell beside it is a confusion.",
        images_used=images.described,
        plot=Plot("confusion_matrices", {"networks": networks, "classes": list(names), "title": ""}),
        sentences=sentences,
        data={"classes": list(names), "networks": networks},
    )
