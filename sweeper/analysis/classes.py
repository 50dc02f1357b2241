"""A view of each class: accuracy and F1 of one network, or of two with their differences."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sweeper.analysis.subject import Subject
from sweeper.analysis.view import View
from sweeper.evaluation import bootstrap
from sweeper.evaluation.amounts import amount, signed_with_interval, with_interval
from sweeper.evaluation.metrics import macro_f1
from sweeper.explain.classwise import ClassDifference, class_differences, class_scores, most_different, worst
from sweeper.plots import Plot

# With more classes, the figure shows this many.
MOST_CLASSES = 15


def classwise(subjects: Sequence[Subject]) -> View:
    """Accuracy and F1 of each class of the first network and, if there are more, of the last one beside it."""
    subjects = [subjects[0], subjects[-1]] if len(subjects) > 1 else list(subjects)
    images, n_classes = subjects[0].images, len(subjects[0].images.classes)
    labels, classes = subjects[0].labels, images.classes
    scores = [class_scores(labels, subject.predicted, n_classes) for subject in subjects]
    differences = (
        class_differences(labels, subjects[0].predicted, subjects[1].predicted, n_classes) if len(subjects) > 1 else []
    )
    shown, which = list(range(n_classes)), ""
    if n_classes > MOST_CLASSES:
        shown = most_different(differences, scores[0], MOST_CLASSES) if differences else worst(scores[0], MOST_CLASSES)
        which = f", the {len(shown)} of {n_classes} classes " + (
            "that differ most" if differences else "that are worst"
        )
    networks = [
        {"name": subject.name, **{key: [getattr(own[one], key) for one in shown] for key in _KEYS}}
        for subject, own in zip(subjects, scores, strict=True)
    ]
    drawn = {key: [getattr(differences[one], key) for one in shown] for key in _DRAWN} if differences else None
    names = [classes[one] for one in shown]
    arguments = {
        "networks": networks,
        "classes": names,
        "differences": drawn,
        "title": f"Accuracy and F1 by class{which}: {images.described}",
    }
    columns = ["class", "images"] + [f"{key} of {subject.name}" for subject in subjects for key in ("accuracy", "F1")]
    rows: list[list[Any]] = [[name, score.n] for name, score in zip(classes, scores[0], strict=True)]
    for own in scores:
        for row, score in zip(rows, own, strict=True):
            row += [_range(score.accuracy, score.low, score.high), _share(score.f1)]
    if differences:
        columns += ["difference of accuracy (points)", "difference of F1 (points)"]
        for row, found in zip(rows, differences, strict=True):
            row += [_points(found.accuracy, found.low, found.high), _points(found.f1, found.f1_low, found.f1_high)]
    return View(
        name="classes",
        title="Accuracy and F1 by class",
        how_to_read="The accuracy of a class is the share of its images that are right (its recall), the line its 95 % "
        "interval (Wilson); F1 also counts images of other classes that are taken for it. The intervals cover the "
        "images, not the seeds of training, and are not adjusted for the number of classes."
        + " A filled dot of the differences is still clear after correcting for all classes."
        * bool(differences),
        images_used=images.described,
        plot=Plot("class_scores", arguments),
        sentences=_sentences(subjects, differences),
        table={"columns": columns, "rows": rows},
        data={
            "classes": list(classes),
            "networks": [
                {"name": subject.name, "scores": [asdict(one) for one in own]}
                for subject, own in zip(subjects, scores, strict=True)
            ],
            "differences": [asdict(one) for one in differences],
        },
    )


_KEYS = ("accuracy", "low", "high", "f1")
_DRAWN = ("accuracy", "low", "high", "decided")


def _sentences(subjects: Sequence[Subject], differences: Sequence[ClassDifference]) -> list[str]:
    labels, classes = subjects[0].labels, subjects[0].images.classes
    found = [
        f"{subject.name}: macro F1 {amount('macro_f1', macro_f1(labels, subject.predicted, len(classes)), 1)}."
        for subject in subjects
    ]
    if not differences:
        return found
    first, second = subjects
    macro = bootstrap.over_images("macro_f1", labels, first.predicted, len(classes), minus=second.predicted)
    interval = macro.interval()
    found.append(
        f"{first.name} minus {second.name}: macro F1 "
        + _points(macro.value, *(interval if interval else (None, None)))
        + " points (95 % interval by a paired bootstrap of the images)."
    )
    decided = [one for one, difference in enumerate(differences) if difference.decided]
    known = sum(difference.accuracy is not None for difference in differences)
    named = ", ".join(f"{classes[one]} ({_points(differences[one].accuracy, None, None)} points)" for one in decided)
    rest = f"the other {known - len(decided)} classes" if decided else f"any of the {known} classes"
    found.append(
        (f"The accuracy differs for {named}. " if decided else "")
        + (f"No clear difference for {rest}" if known > len(decided) else f"That is all {known} classes")
        + f" after correcting for {known} classes (McNemar's test, Holm's method)."
    )
    return found


def _share(value: float | None) -> str:
    return "" if value is None else amount("accuracy", value, 1)


def _range(value: float | None, low: float | None, high: float | None) -> str:
    return with_interval("accuracy", value, low, high, 1)


def _points(value: float | None, low: float | None, high: float | None) -> str:
    return signed_with_interval("accuracy", value, low, high)
