"""`sweeper ledger`: lists all test evaluations."""

import json
from dataclasses import asdict

import click

from sweeper.cli.notes import note
from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.store.options import StoreOptions


@click.command()
@store_options
@json_option
def ledger(store: StoreOptions, as_json: bool) -> None:
    """Show every test evaluation: when, by which study, of which models.

    A test evaluation after the first is worth less, because the test set may have influenced choices in between.

    \b
    Example:
      sweeper ledger
    """
    from sweeper.tracking.ledger import Ledger

    found = Ledger(resolve_store(store))
    evaluations, differences = found.evaluations(), found.differences()
    if as_json:
        looks = [asdict(evaluation) for evaluation in evaluations]
        click.echo(json.dumps({"schema_version": 1, "looks": looks, "differences": differences}))
        return
    for difference in differences:
        note(f"Warning: {difference}")
    if not evaluations:
        click.echo("No test evaluation yet.")
        return
    from sweeper.cli.tables import stdout_console, test_evaluations_table

    stdout_console().print(test_evaluations_table(evaluations))
