"""Section 6 of a report: what the data set's training part holds, and what it cannot carry."""

from collections.abc import Callable, Mapping
from typing import Any

from sweeper.data.source import DataSource
from sweeper.data.training_set import TrainingSet, load_training_set
from sweeper.errors import SweeperError
from sweeper.inspection.duplicates import Labelled, duplicate_summary
from sweeper.inspection.readiness import before_you_search
from sweeper.inspection.summary import pixel_statistics, sample_indices, summarise
from sweeper.plots import Plot
from sweeper.quantities import counted
from sweeper.report.blocks import Block, Facts, Figure, Heading, Section, Sentences, Table
from sweeper.report.subject import Subject
from sweeper.report.wording import count

TITLE, HOW = (
    "The data",
    "The data set's training images, before they are split into train, validation and confirm parts. Test images are "
    "not shown.",
)
Notify = Callable[[str], None]

# Sample images of each class, and the seed that draws them.
SAMPLES, SAMPLE_SEED = 4, 0
# Of more classes, only the smallest and the largest have a row, and the smallest have samples.
MOST_CLASSES = 15


def section(subject: Subject, training_set: TrainingSet | None, unread: str) -> Section:
    """The data's classes, samples, pixels and warnings; `unread` says why there is no `training_set`."""
    spec = subject.spec
    if training_set is None:
        return Section(TITLE, HOW, [Sentences([f"The images of {spec.dataset} were not read: {unread}"])])
    summary = summarise(training_set) | {"options": spec.data_options.as_json()}
    labelled = Labelled(training_set.images, training_set.labels, training_set.files)
    duplicates = duplicate_summary(labelled, None, training_set.classes, training_set.own_validation)
    warnings = before_you_search(training_set, duplicates, spec.protocol, None)
    summary |= {"duplicates": duplicates, "before_you_search": warnings}
    channels, height, width = training_set.input_shape
    blocks: list[Block] = [
        Facts(
            [
                ("Data set", spec.dataset),
                ("Training images", count(len(training_set.labels))),
                ("Classes", count(len(training_set.classes))),
                ("Size", f"{height} x {width} pixels (height x width), {counted(channels, 'channel')}"),
                ("SHA-256", training_set.sha256),
            ]
        ),
        Heading("Warnings", "What speaks against a search of these data, as the command sweeper data info says it."),
        Sentences(warnings or ["None: nothing speaks against a search."]),
        Heading("Classes", "If classes differ in size, the accuracy mostly reflects the large ones."),
        _classes(summary),
        *_figures(training_set, summary),
    ]
    return Section(TITLE, HOW, blocks, summary)


def load(subject: Subject, source: DataSource, notify: Notify) -> tuple[TrainingSet | None, str]:
    """The study's training set, or None and the reason if it cannot be read or is another one now."""
    try:
        training_set = load_training_set(source, notify=notify)
    except SweeperError as error:
        return None, str(error)
    if training_set.sha256 != subject.spec.data_sha256:
        return None, "the files there are not those of the search, or are read otherwise by this version"
    return training_set, ""


def _classes(summary: Mapping[str, Any]) -> Table:
    counts: Mapping[str, int] = summary["training"]["class_counts"]
    total = sum(counts.values())
    ordered = sorted(counts, key=lambda name: -counts[name]) if len(counts) > MOST_CLASSES else list(counts)
    shown, caption = ordered, "Training images of each class"
    if len(ordered) > MOST_CLASSES:
        half = MOST_CLASSES // 2
        shown = [*ordered[: MOST_CLASSES - half], *ordered[-half:]]
        caption += f": the {MOST_CLASSES - half} largest and the {half} smallest of {len(ordered)}"
    rows = [[name, count(counts[name]), f"{100 * counts[name] / total:.1f} %"] for name in shown]
    return Table(caption, ["class", "images", "share"], rows, (1, 2))


def _figures(training_set: TrainingSet, summary: Mapping[str, Any]) -> list[Block]:
    classes = training_set.classes
    mean, std = pixel_statistics(training_set.images)
    drawn = sample_indices(training_set.labels, len(classes), SAMPLES, SAMPLE_SEED)
    counts = summary["training"]["class_counts"]
    some = sorted(range(len(classes)), key=lambda label: counts[classes[label]])[:MOST_CLASSES]
    some = sorted(some)
    of = f" of the {len(some)} smallest classes" * (len(some) < len(classes))
    return [
        Figure(
            "Samples",
            f"Training images{of}, drawn at random: are the labels those that you would give?",
            f"{SAMPLES} training images of each of {len(some)} classes.",
            Plot(
                "sample_grid",
                {
                    "samples": [training_set.images[drawn[label]] for label in some],
                    "classes": [classes[label] for label in some],
                    "title": "",
                },
            ),
        ),
        Figure(
            "Each pixel over all training images",
            "Where the mean shows a clear shape, images look alike; a pixel with a deviation of 0 tells nothing.",
            "The mean and the standard deviation of each pixel.",
            Plot("pixel_statistics", {"mean": mean, "std": std, "title": ""}),
        ),
    ]
