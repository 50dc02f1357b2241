"""`sweeper data`: fetch a data set, and show what it holds."""

import json
from pathlib import Path

import click

from sweeper.cli.completion import data_sets
from sweeper.cli.data_options import data_dir_option, offline_option, source_options
from sweeper.cli.notes import note, note_store
from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.data.source import DataSource
from sweeper.store.options import StoreOptions


@click.group()
def data() -> None:
    """Fetch data sets, and show what they hold.

    \b
    Example:
      sweeper data info fashion_mnist
    """


@data.command()
@click.argument("name")
@data_dir_option
@offline_option
def fetch(name: str, data_dir: Path | None, offline: bool) -> None:
    """Make the data set NAME available on this machine and check its files.

    NAME is one of fashion_mnist, mnist, kmnist, cifar10, cifar100 (100 fine labels),
    cifar100_coarse (20 coarse labels), svhn, stl10. Files that are here already are
    not downloaded. With --data-dir, files that are missing in that folder are added to it.

    \b
    Example:
      sweeper data fetch fashion_mnist
    """
    from sweeper.data.known import catalog, locate

    paths = locate.fetch(catalog.get(name), data_dir=data_dir, offline=offline, notify=note)
    click.echo(f"{name} is ready:")
    for path in paths:
        click.echo(f"  {path}")


@data.command()
@click.argument("dataset", shell_complete=data_sets)
@click.option("--log", "logged", is_flag=True, help="Also log all of this to MLflow, with plots.")
@source_options
@store_options
@json_option
def info(
    source: DataSource,
    logged: bool,
    store: StoreOptions,
    as_json: bool,
) -> None:
    """Show what DATASET holds: counts, class balance, pixel statistics, exact duplicates, hashes.

    With --log, the data set becomes a run in the experiment of its name, with plots of the mean and standard deviation
    of each pixel, a grid of training images, and the class counts. The same data are logged only once.

    \b
    Example:
      sweeper data info fashion_mnist --log
    """
    from sweeper.cli import data_info
    from sweeper.config import Protocol
    from sweeper.data.test_set import find_test_set
    from sweeper.data.training_set import load_training_set
    from sweeper.inspection.duplicates import Labelled, duplicate_summary
    from sweeper.inspection.readiness import before_you_search
    from sweeper.inspection.summary import part_summary, summarise

    training_set = load_training_set(source, notify=note)
    test = find_test_set(source, pixel_format=training_set.pixel_format, notify=note)
    summary = summarise(training_set) | {"options": source.options.as_json()}
    if test is not None:
        summary["test"] = part_summary(test.labels, test.classes, test.sha256, test.source)
        summary["test"]["conversions"] = list(test.conversions)
    summary["duplicates"] = duplicate_summary(
        Labelled(training_set.images, training_set.labels, training_set.files),
        None if test is None else Labelled(test.images, test.labels, test.files),
        training_set.classes,
        training_set.own_validation,
    )
    tested = summary["test"] and summary["test"]["class_counts"]
    summary["before_you_search"] = before_you_search(training_set, summary["duplicates"], Protocol(), tested)
    if logged:
        where = resolve_store(store)
        note_store(where)
        summary["mlflow_run_id"] = data_info.log(where, summary, training_set)
    if as_json:
        click.echo(json.dumps({"schema_version": 1, **summary}, indent=2))
        return
    click.echo("\n".join(data_info.summary_lines(summary)))
    if logged:
        click.echo(f"\nMLflow run {summary['mlflow_run_id']}, experiment {training_set.name}")
