"""`sweeper retry`: requeues failed trials."""

import json

import click

from sweeper.cli.notes import note
from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.errors import UsageError
from sweeper.quantities import counted
from sweeper.store.options import StoreOptions


@click.command()
@click.argument("study", required=False)
@click.option("--failed", is_flag=True, help="Requeue every configuration that has only failed trials.")
@store_options
@json_option
def retry(
    study: str | None,
    failed: bool,
    store: StoreOptions,
    as_json: bool,
) -> None:
    """Requeue the failed trials of STUDY (the latest, if not given); the next search starts with them.

    Trials that were pruned, diverged or took more memory than there was have a result, and are not requeued. A search
    that has at least a tenth more memory for a trial tries those that took too much again by itself.

    \b
    Example:
      sweeper retry --failed
    """
    if not failed:
        raise UsageError("say which trials to requeue: --failed")
    from dataclasses import asdict

    from sweeper.studies.queries import find_study
    from sweeper.studies.retry import retry_failed

    where = resolve_store(store)
    retried = retry_failed(where, find_study(where, study), note)
    if as_json:
        click.echo(json.dumps({"schema_version": 1, **asdict(retried)}))
        return
    name, n = retried.study_name, len(retried.numbers)
    if not n:
        click.echo(f"{name}: no trials to requeue")
        return
    click.echo(f"{name}: {counted(n, 'failed trial is', 'failed trials are')} requeued")
    if retried.command:
        click.echo(f"To run them: {retried.command}")
