"""`sweeper sync`: delivers the writes that wait for MLflow."""

import json
from dataclasses import asdict

import click

from sweeper.cli.notes import note
from sweeper.cli.options import debug_option, json_option, resolve_store, store_options
from sweeper.errors import SweeperError
from sweeper.store.layout import StoreOptions


@click.command()
@click.argument("study", required=False)
@click.option(
    "--drop-deleted",
    is_flag=True,
    help="Give up the waiting writes of runs that were deleted in MLflow, with their files in the store.",
)
@store_options
@json_option
@debug_option
def sync(study: str | None, drop_deleted: bool, store: StoreOptions, as_json: bool) -> None:
    """Deliver the writes of STUDY, or of all studies, that wait in the store because MLflow was unavailable.

    Metrics keep the times of their epochs, and nothing is delivered twice.

    \b
    Example:
      sweeper sync
      sweeper sync fashion_mnist-lenet5 --drop-deleted
    """
    from sweeper.studies.queries import find_study
    from sweeper.tracking.sync import sync as deliver
    from sweeper.tracking.tracker import shortfall

    where = resolve_store(store)
    results = deliver(where, study, note, drop_deleted=drop_deleted)
    if study is not None and not results:
        find_study(where, study)  # raises if there is no such study; otherwise nothing waits
    if as_json:
        click.echo(json.dumps({"schema_version": 1, "spools": [asdict(result) for result in results]}))
    elif not results:
        click.echo("Nothing waits for MLflow.")
    else:
        for result in results:
            kind = " (promotion)" if result.kind == "promotion" else ""
            dropped = f", {result.dropped} of deleted runs dropped" if result.dropped else ""
            click.echo(f"{result.study}{kind}: {result.delivered} writes delivered{dropped}")
    errors = [f"{result.study}: {result.error}" for result in results if result.error]
    errors += [f"{result.study}: {shortfall(result.undelivered)}" for result in results if result.undelivered]
    for error in errors[1:]:
        note(error)
    if errors:
        raise SweeperError(errors[0])
