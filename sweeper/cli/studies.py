"""`sweeper studies`: lists the studies in a store."""

import json
from typing import Any

import click

from sweeper.cli.notes import note
from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.events import done_of
from sweeper.store.options import StoreOptions


@click.command()
@store_options
@json_option
def studies(store: StoreOptions, as_json: bool) -> None:
    """List the studies in the store, the latest last.

    \b
    Example:
      sweeper studies
    """
    from sweeper.studies.queries import statuses

    where = resolve_store(store)
    found = statuses(where, lambda reason: note(f"Not shown: {reason}"))
    if as_json:
        click.echo(json.dumps({"schema_version": 1, "studies": found}))
    elif not found:
        click.echo(f"No studies in {where.root}.")
    else:
        _print(found)


def _print(found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from sweeper.cli.tables import stdout_console
    from sweeper.evaluation.amounts import amount
    from sweeper.studies.objective import LABELS

    table = Table()
    for name in ("study", "state", "data set", "space", "trials", "best"):
        # At 80 columns only the names are folded.
        table.add_column(name, no_wrap=name in ("state", "trials"), overflow="fold")
    for status in found:
        n, best, metric = status["n_trials"], status["best_trial"], status["metric"]
        table.add_row(
            status["study_name"], status["state"], status["dataset"], status["space"],
            done_of(n["complete"] + n["pruned"] + n["infeasible"], status["trials"]),
            "" if best is None else f"{LABELS[metric]} {amount(metric, best['value'])}",
        )  # fmt: skip
    stdout_console().print(table)
