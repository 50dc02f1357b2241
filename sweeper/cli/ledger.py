"""`sweeper ledger`: every look at a test set."""

import json
from dataclasses import asdict

import click

from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.store.layout import StoreOptions


@click.command()
@store_options
@json_option
def ledger(store: StoreOptions, as_json: bool) -> None:
    """Show every look that was taken at a test set: when, by which study, at which models.

    Every look after the first is worth less: what is chosen after it was chosen with the test set in view.

    \b
    Example:
      sweeper ledger
    """
    from sweeper.tracking.ledger import Ledger

    evaluations = Ledger(resolve_store(store)).evaluations()
    if as_json:
        click.echo(json.dumps({"schema_version": 1, "looks": [asdict(evaluation) for evaluation in evaluations]}))
        return
    if not evaluations:
        click.echo("No look at a test set was taken yet.")
        return
    from sweeper.cli.tables import looks_table, stdout_console

    stdout_console().print(looks_table(evaluations))
