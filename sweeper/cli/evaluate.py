"""`sweeper evaluate`: how good a trained network is on any labelled data."""

import json
from typing import TYPE_CHECKING

import click

from sweeper.cli.completion import data_sets
from sweeper.cli.data_options import source_options
from sweeper.cli.notes import command_line, note
from sweeper.cli.options import code_option, debug_option, json_option, resolve_store, store_options
from sweeper.cli.running import note_imports, running
from sweeper.data.source import DataSource
from sweeper.errors import plain
from sweeper.evaluation.amounts import number
from sweeper.store.arguments import store_arguments
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    from rich.table import Table

    from sweeper.analysis.evaluation_outcome import Evaluation

# With more classes, the table has only those with the least F1.
MOST_CLASSES, SHOWN_OF_MORE = 20, 15


@click.command()
@click.argument("model")
@click.argument("dataset", shell_complete=data_sets)
@click.option(
    "--part",
    type=click.Choice(["test", "train", "all"]),
    help="The images of DATASET to evaluate on.  [default: its test part if it names one, else all]",
)
@click.option("--invert", is_flag=True, help="Exchange black and white, for networks trained on white on black.")
@click.option("--allow-retest", is_flag=True, help="Test a study again on a test part; the ledger counts each test.")
@source_options
@code_option
@store_options
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@debug_option
def evaluate(
    model: str,
    source: DataSource,
    part: str | None,
    invert: bool,
    allow_retest: bool,
    store: StoreOptions,
    as_json: bool,
    quiet: bool,
) -> None:
    """Evaluate the trained network MODEL on the labelled images of DATASET.

    MODEL is NAME@ALIAS or NAME/VERSION of a registered model, STUDY:TRIAL with kept weights, or the id of a run.
    DATASET is a known name, a folder or an .npz file, with the options of `sweeper search`. Its classes must have the
    names of the network's: --map renames, joins and leaves out classes. If the network was trained on some of the
    images, the result says so. An evaluation on the test part of a known data set, or of the network's own, is entered
    into the ledger: a study has one such test.

    \b
    Example:
      sweeper evaluate sweeper-fashion_mnist-lenet5@champion fashion_mnist
      sweeper evaluate fashion_mnist-lenet5:12 shop/ --map types.toml --resize 28 --grayscale --invert
    """
    note_imports(quiet=quiet)
    from sweeper.analysis.evaluation import EvaluationRequest, run
    from sweeper.runs.stop import StopRequest

    where = resolve_store(store)
    request = EvaluationRequest(model, source, part, invert, allow_retest, where, command_line(where))
    stop = StopRequest()
    with running(stop, where, quiet=quiet, verbose=False) as listener:
        outcome = run(request, listener, stop)
    if as_json:
        click.echo(json.dumps(outcome.as_json()))
        return
    _show(outcome)
    if where.tracking_file:
        note(f"The confusion matrix and each image's predictions: `sweeper ui{store_arguments(where)}`")


def _show(outcome: "Evaluation") -> None:
    from sweeper.cli.tables import stdout_console
    from sweeper.evaluation.amounts import confusion

    for sentence in outcome.sentences:
        click.echo(sentence)
    stdout_console().print(_classes_table(outcome))
    largest = [confusion(*one) for one in outcome.metrics.confusions]
    click.echo(f"Largest confusions: {', '.join(largest) or 'none'}.")
    click.echo(f"Recorded in MLflow's run {outcome.run_id}.")


def _classes_table(outcome: "Evaluation") -> "Table":
    """The classes with their scores in percent; those that are worst, if there are many."""
    from rich.table import Table

    rows = [row for row in outcome.classes if row["images"] or row["f1"] is not None]
    title = ""
    if len(rows) > MOST_CLASSES:
        title = f"The {SHOWN_OF_MORE} of {len(rows)} classes with the least F1"
        rows = sorted(rows, key=lambda row: row["f1"])[:SHOWN_OF_MORE]
    table = Table(title=title or None, title_justify="left")
    table.add_column("class", overflow="fold")
    for name in ("images", "accuracy (%)", "F1 (%)"):
        table.add_column(name, justify="right")
    for row in rows:
        accuracy, low, high, f1 = (
            "-" if row[name] is None else number("accuracy", row[name]) for name in ("accuracy", "low", "high", "f1")
        )
        table.add_row(plain(row["class"]), f"{row['images']:,}", f"{accuracy} [{low}, {high}]", f1)
    return table
