"""Prints and logs the summary of a data set for `sweeper data info`."""

import hashlib
import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeper.errors import plain
from sweeper.quantities import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sweeper.data.training_set import TrainingSet
    from sweeper.store.layout import Store

# Sample images of each class in the grid (nine make a square), and the seed that draws them.
SAMPLES, SAMPLE_SEED = 9, 0
BAR_WIDTH = 20
LONGEST_NAME = 40
# The displayed names of the parts, by their keys in the summary.
PARTS = {"training": "training", "own_validation": "validation", "test": "test"}


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """The summary as lines for people."""
    shape = " x ".join(str(size) for size in summary["input_shape"])
    pixel_std = summary["pixel_std"]
    rows = [
        ("shape", f"{shape} (channels, height, width), {len(summary['classes'])} classes"),
        ("mean", _decimals(summary["mean"]) + "  (training images, pixels in [0, 1])"),
        ("std", _decimals(summary["std"])),
        ("pixels", f"std of a single pixel {pixel_std['smallest']:.4f} to {pixel_std['largest']:.4f}"),
    ]
    if n := pixel_std["constant"]:
        rows.append(("", f"{n:,} of {pixel_std['pixels']:,} {'is' if n == 1 else 'are'} equal in all training images"))
    options = [f"{name} {_option(name, value)}" for name, value in summary["options"].items() if value]
    if options:
        rows.append(("options", "; ".join(options)))
    if summary["conversions"]:
        rows.append(("converted", "; ".join(summary["conversions"])))
    for title in ("training", "test"):
        part = summary[title]
        if part is None:
            rows.append((title, "absent"))
            continue
        rows.append((title, _images(part["images"])))
        if title == "training" and summary["own_validation"] is not None:
            n = summary["own_validation"]["images"]
            rows.append(("", f"{n:,} of them {'is' if n == 1 else 'are'} the data set's own validation part"))
        if title == "test" and part["conversions"] != summary["conversions"]:
            rows.append(("", f"converted: {'; '.join(part['conversions']) or 'none'}"))
        rows += [("", part["source"]), ("", f"SHA-256 {part['sha256']}")]
    lines = [summary["name"], *(f"  {title:<9} {text}" for title, text in rows), ""]
    found = summary["before_you_search"] or ["nothing speaks against a search of these data"]
    advice = textwrap.indent("\n".join(textwrap.fill(each, 100, subsequent_indent="  ") for each in found), "    ")
    duplicates = _duplicate_lines(summary["duplicates"])
    return [*lines, *_class_lines(summary), "", *duplicates, "", "  before you search", advice]


def log(store: "Store", summary: Mapping[str, Any], training_set: "TrainingSet") -> str:
    """Logs the summary with its plots to the experiment of the data set's name. Returns the run's id."""
    from sweeper.tracking.data_sets import log_data_set

    parts = {title: summary[title] and summary[title]["sha256"] for title in ("training", "test")}
    # These determine every pixel and label, wherever the files are.
    counts = [summary[title] and summary[title]["class_counts"] for title in parts]
    identity = [parts, counts, summary["classes"], summary["input_shape"], *summary["conversions"]]
    if (class_map := summary["options"].get("map")) is not None:
        identity.append(class_map)
    if training_set.value_range is not None:  # the conversions round it
        identity.append(asdict(training_set.value_range))
    if summary["test"] and summary["test"]["conversions"] != summary["conversions"]:
        identity.append(summary["test"]["conversions"])
    content = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    tags = {f"sweeper.{title}_sha256": sha256 for title, sha256 in parts.items() if sha256}
    params = {"input_shape": summary["input_shape"], "n_classes": len(summary["classes"]), **summary["options"]}
    store.prepare()
    return log_data_set(
        store,
        summary["name"],
        training_set.sha256,
        content,
        summary=summary,
        tags=tags,
        params=params,
        metrics=_metrics(summary),
        plots=_plots(summary, training_set),
    )


def _plots(summary: Mapping[str, Any], training_set: "TrainingSet") -> dict[str, "Callable[[], Figure]"]:
    from sweeper.inspection.summary import pixel_statistics, sample_indices
    from sweeper.plots import dataset

    name, classes = summary["name"], summary["classes"]
    counts = {
        title + " (part of training)" * (key == "own_validation"): [part["class_counts"][label] for label in classes]
        for key, title in PARTS.items()
        if (part := summary[key]) is not None
    }
    samples = sample_indices(training_set.labels, len(classes), SAMPLES, SAMPLE_SEED)
    return {
        "class_distribution.png": lambda: dataset.class_distribution(counts, classes, f"{name}: images of each class"),
        "pixel_mean_std.png": lambda: dataset.pixel_statistics(
            *pixel_statistics(training_set.images), f"{name}: each pixel over all training images, in [0, 1]"
        ),
        "samples.png": lambda: dataset.sample_grid(
            [training_set.images[drawn] for drawn in samples], classes, f"{name}: training images, drawn at random"
        ),
    }


def _metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    duplicates = summary["duplicates"]
    found = {f"{key}_images": part["images"] for key in PARTS if (part := summary[key]) is not None}
    for statistic in ("mean", "std"):
        found |= {f"{statistic}_{channel}": value for channel, value in enumerate(summary[statistic])}
    for key in ("training", "test", "validation_in_training", "test_in_training"):
        if duplicates[key] is not None:
            found[f"duplicates_{key}"] = duplicates[key]["images"]
    return {name: float(value) for name, value in found.items()}


def _class_lines(summary: Mapping[str, Any]) -> list[str]:
    """A line for each class: its count in each part, its share of the training part, and a bar of this share."""
    from rich.cells import cell_len

    classes, training = summary["classes"], summary["training"]
    shown = [key for key in PARTS if key != "own_validation" or summary[key] is not None]
    columns = [_in_column(name) for name in classes]
    width = max(map(cell_len, ["class", *columns]))
    heads = "".join(f"  {PARTS[key]:>10}" for key in shown)
    lines = [f"  {'class':<{width}}{heads}   share of training"]
    most = max(training["class_counts"].values())
    for name, column in zip(classes, columns, strict=True):
        counts = [f"{summary[key]['class_counts'][name]:,}" if summary[key] else "-" for key in shown]
        n = training["class_counts"][name]
        bar = "#" * round(BAR_WIDTH * n / most)
        share = f"{100 * n / training['images']:.1f} %"
        padded = column + " " * (width - cell_len(column))
        lines.append(f"  {padded}{''.join(f'  {count:>10}' for count in counts)}  {share:>7}  {bar}".rstrip())
    least = min(training["class_counts"].values())
    if least < most:
        lines.append(f"  The smallest class has {_images(least, 'training ')}, the largest {most:,}.")
    return lines


def _in_column(name: str) -> str:
    """A class's name: quoted if spaces at its ends would not be seen, and without its middle if it is long."""
    shown = name if name == name.strip() else repr(name)
    half = LONGEST_NAME // 2
    return shown if len(shown) <= LONGEST_NAME else f"{shown[: half - 1]}...{shown[2 - half :]}"


def _duplicate_lines(found: Mapping[str, Any]) -> list[str]:
    lines = ["  exact duplicates"]
    for key, title in (("training", "within training"), ("test", "within test")):
        if (within := found[key]) is None:
            continue
        if not within["groups"]:
            lines.append(f"    {title}: none")
            continue
        n, mixed = within["groups"], within["groups_of_several_classes"]
        groups = f"{counted(n, 'group')} of equal images ({mixed:,} with different labels)"
        lines.append(f"    {title}: {within['images']:,} images in {groups}")
        for example in within["examples"]:
            lines.append(f"      {_named(example['first'])}{_more(example['images'], example['first'])}")
    for key, part in (("validation_in_training", "validation"), ("test_in_training", "test")):
        if (shared := found[key]) is None:
            continue
        n = shared["images"]
        if not n:
            lines.append(f"    {part} images that are also in training: none")
            continue
        other = shared["images_of_another_class"]
        lines.append(
            f"    {part} images that are also in training: {n:,} ({100 * shared['share']:.2f} % of {part}); "
            f"{_labels_there(n, other)}"
        )
        for example in shared["examples"]:
            copies = f"{_named(example['first'])}{_more(example['copies'], example['first'])}"
            lines.append(f"      {part} {_named([example])} = training {copies}")
    return lines + [f"    {line}" for line in textwrap.wrap(found["limits"], 100)]


def _images(n: int, kind: str = "") -> str:
    return counted(n, f"{kind}image")


def _labels_there(n: int, n_other: int) -> str:
    """How many of `n` copies have another label in the training part."""
    if n == 1:
        return "it has another label there" if n_other else "it has the same label there"
    return f"{n_other:,} of them {'has' if n_other == 1 else 'have'} another label there"


def _named(images: list[dict[str, Any]]) -> str:
    return ", ".join(f"{plain(image.get('file', str(image['index'])))} ({plain(image['class'])})" for image in images)


def _more(n_images: int, named: list[dict[str, Any]]) -> str:
    return f" and {n_images - len(named):,} more" if n_images > len(named) else ""


def _option(name: str, value: Any) -> str:
    if name == "map":
        value = [f"{new} = {' + '.join(olds)}" for new, olds in value]
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:g}" for name, number in value.items())
    return ", ".join(value) if isinstance(value, list) else "yes" if value is True else str(value)


def _decimals(values: list[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
