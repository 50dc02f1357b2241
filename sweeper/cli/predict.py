"""`sweeper predict`: what a trained network makes of image files."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeper.cli.csv_file import csv_file, note_rows
from sweeper.cli.notes import note
from sweeper.cli.options import code_option, debug_option, json_option, resolve_store, store_options
from sweeper.cli.running import note_imports
from sweeper.cli.values import Pixels
from sweeper.errors import SweeperError, UsageError
from sweeper.evaluation.amounts import amount
from sweeper.quantities import counted
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    from sweeper.analysis.prediction import Prediction, Unreadable


@click.command()
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    metavar="N",
    help="How many classes to name for each image.",
)
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Write a row for each image to a CSV file, or with - to stdout.",
)
@click.option(
    "--max-pixels",
    type=Pixels(),
    metavar="N",
    help="Most pixels that an image file may have, such as 108M: larger ones are not read.  [default: 64M]",
)
@code_option
@store_options
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@debug_option
def predict(
    model: str,
    paths: tuple[str, ...],
    top: int,
    csv_path: Path | None,
    max_pixels: int | None,
    store: StoreOptions,
    as_json: bool,
    quiet: bool,
) -> None:
    """Name the most probable classes of image files, by the trained network MODEL.

    MODEL is NAME@ALIAS or NAME/VERSION of a registered model, STUDY:TRIAL with kept weights, or the id of a run. PATH
    is a file, a folder with all images in it and below, or - for a list of paths on stdin, one a line. Files are read
    as the training images were: images of another size are fitted, and brackets say what was changed. Files that cannot
    be read are named and skipped, with exit code 1 at the end. Probabilities are the softmax of the network's logits.

    \b
    Example:
      sweeper predict sweeper-fashion_mnist-lenet5@champion shoes/ coat.jpg
      sweeper predict fashion_mnist-lenet5:12 - --csv predictions.csv < list-of-paths.txt
    """
    if as_json and csv_path:
        raise UsageError("--csv and --json both choose the form of the predictions: give one of them")
    note_imports(quiet=quiet)
    from sweeper.analysis import network
    from sweeper.analysis.prediction import predict_files
    from sweeper.display.files import file_progress

    where = resolve_store(store)
    found = network.find(where, model, "MODEL")
    top = min(top, len(found.classes))
    unreadable: list[Unreadable] = []
    with file_progress(quiet=quiet) as progress:
        results = predict_files(
            where, found, _paths(paths), top=top, max_pixels=max_pixels, notify=note, progress=progress
        )
        predictions = _readable(results, unreadable)
        if as_json:
            about = {"schema_version": 1, "model": found.name, "run_id": found.run_id, "classes": found.classes}
            known = {"predictions": [asdict(each) for each in predictions]}
            known["unreadable"] = [asdict(each) for each in unreadable]
            click.echo(json.dumps({**about, **known}))
        elif csv_path:
            n_rows = _write(csv_path, predictions, top)
            if not quiet:
                note_rows(csv_path, n_rows)
        else:
            for prediction in predictions:
                click.echo(_line(prediction))
    if unreadable:
        n_paths = counted(len(unreadable), "path")
        raise SweeperError(f"{n_paths} could not be read (named above); all others were predicted")


def _paths(given: Sequence[str]) -> list[str]:
    """The paths, with those of the list on stdin in place of -."""
    found: list[str] = []
    for path in given:
        if path == "-":
            lines = sys.stdin.buffer.read().splitlines()
            found += [os.fsdecode(line) for line in lines if line]
        else:
            found.append(path)
    return found


def _readable(results: "Iterable[Prediction | Unreadable]", unreadable: "list[Unreadable]") -> "Iterator[Prediction]":
    """The predictions; names the others on stderr, and keeps them."""
    from sweeper.analysis.prediction import Unreadable

    for result in results:
        if isinstance(result, Unreadable):
            note(f"{_named(result.file)}: {result.reason}")
            unreadable.append(result)
        else:
            yield result


def _line(prediction: "Prediction") -> str:
    shares = zip(prediction.classes, prediction.probabilities, strict=True)
    classes = ", ".join(f"{_named(name)} {amount('accuracy', share, 1)}" for name, share in shares)
    return f"{_named(prediction.file or '')}: {classes}" + f" ({prediction.changed})" * bool(prediction.changed)


def _named(text: str) -> str:
    """A whole name on one line."""
    return text if text.isprintable() else repr(text)


def _write(path: Path, predictions: "Iterable[Prediction]", top: int) -> int:
    """Writes the table; returns how many rows it has beneath the head."""
    n_rows = 0
    places = ["", *(f"_{place}" for place in range(2, top + 1))]
    columns = [f"{name}{place}" for place in places for name in ("class", "probability")]
    with csv_file(path, "file") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["file", *columns, "changed"])
        for each in predictions:
            cells = [cell for pair in zip(each.classes, each.probabilities, strict=True) for cell in pair]
            writer.writerow([each.file, *cells, each.changed])
            n_rows += 1
    return n_rows
