"""`sweeper studies`: the studies in a store."""

import json
from pathlib import Path
from typing import Any

import click

from sweeper.cli.options import json_option, resolve_store, store_options


@click.command()
@store_options
@json_option
def studies(store: Path | None, storage: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """List the studies in the store, the latest last.

    \b
    Example:
      sweeper studies
    """
    from sweeper.search.inspect import status_of, studies_in

    where = resolve_store(store, storage, tracking_uri)
    found = [status_of(where, study) for study in studies_in(where)]
    if as_json:
        click.echo(json.dumps({"schema_version": 1, "studies": found}))
    elif not found:
        click.echo(f"No studies in {where.root}.")
    else:
        _print(found)


def _print(found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from sweeper.cli.tables import stdout_console

    table = Table("study", "state", "data set", "space", "complete", "pruned", "failed", "running", "best")
    for status in found:
        n, best = status["n_trials"], status["best_trial"]
        shown = "" if best is None else f"{best['value']:.4f} (trial {best['number']})"
        table.add_row(
            status["study_name"], status["state"], status["dataset"], status["space"],
            *(str(n[state]) for state in ("complete", "pruned", "fail", "running")), shown,
        )  # fmt: skip
    stdout_console().print(table)
