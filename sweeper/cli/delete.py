"""`sweeper delete`: deletes a study and everything that belongs to it."""

import json
import sys
from typing import TYPE_CHECKING

import click

from sweeper.cli.notes import note
from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.errors import UsageError
from sweeper.quantities import counted
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    from sweeper.studies.delete import Removal


@click.command()
@click.argument("study")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation.")
@store_options
@json_option
def delete(study: str, yes: bool, store: StoreOptions, as_json: bool) -> None:
    """Delete STUDY, its runs in MLflow, and all their files.

    Its test evaluations stay, because they count for ever (`sweeper ledger`), and so do the runs from which
    models were registered.

    \b
    Example:
      sweeper delete fashion_mnist-lenet5
    """
    from sweeper.studies.delete import plan, remove
    from sweeper.studies.queries import find_study

    where = resolve_store(store)
    found = find_study(where, study, readable=False)
    removal = plan(where, found)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{_summary(removal)} would be deleted: without a terminal to confirm on, give --yes")
        click.echo(f"{_summary(removal)} will be deleted for ever.", err=True)
        _print_kept(removal, err=True)
        click.confirm("Delete?", abort=True, err=True)
    remove(where, removal, note)
    if as_json:
        click.echo(json.dumps({"schema_version": 1, **removal.as_json()}))
        return
    click.echo(f"Deleted: {_summary(removal)}.")
    _print_kept(removal)


def _summary(removal: "Removal") -> str:
    size = f"{removal.n_bytes / 1e6:.1f} MB" + (" here and the files on the server" if removal.bytes_on_server else "")
    held = f"{counted(removal.n_trials, 'trial')}, {counted(removal.n_runs, 'MLflow run')}"
    return f"{removal.study_name}: {held}, {size}"


def _print_kept(removal: "Removal", *, err: bool = False) -> None:
    for run_id, versions in removal.kept.items():
        click.echo(f"Kept: run {run_id}, from which {', '.join(versions)} was registered", err=err)
