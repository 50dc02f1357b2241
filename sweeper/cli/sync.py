"""`sweeper sync`: delivers the writes that wait for MLflow."""

import json
from dataclasses import asdict
from functools import partial

import click

from sweeper.cli.notes import note
from sweeper.cli.options import debug_option, json_option, resolve_store, store_options
from sweeper.errors import SweeperError, UsageError
from sweeper.quantities import counted
from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions


@click.command()
@click.argument("study", required=False)
@click.option(
    "--drop-deleted",
    is_flag=True,
    help="Give up the waiting writes of runs that were deleted in MLflow, with their files in the store.",
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="Make the runs of STUDY again from the study's own records, after MLflow's database in the store was lost.",
)
@store_options
@json_option
@debug_option
def sync(study: str | None, drop_deleted: bool, rebuild: bool, store: StoreOptions, as_json: bool) -> None:
    """Deliver the writes of STUDY, or of all studies, that wait in the store because MLflow was unavailable.

    Metrics keep the times of their epochs, and nothing is delivered twice.

    \b
    Example:
      sweeper sync
      sweeper sync fashion_mnist-lenet5 --drop-deleted
      sweeper sync fashion_mnist-lenet5 --rebuild
    """
    from sweeper.studies import delivered_runs, lost_runs
    from sweeper.studies.queries import find_study
    from sweeper.tracking.outbox import shortfall
    from sweeper.tracking.sync import sync as deliver

    if rebuild and drop_deleted:
        raise UsageError("--rebuild makes lost runs again, and --drop-deleted gives them up: take one of them")
    where = resolve_store(store)
    if rebuild:
        _rebuild(where, study, as_json=as_json)
        return
    n_given_up = lost_runs.give_up(where, study) if drop_deleted and study is not None else 0
    if n_given_up:
        lost = f"trial of {study} has lost its run, which was", f"trials of {study} have lost their runs, which were"
        them = "it" if n_given_up == 1 else "them"
        note(f"{counted(n_given_up, *lost)} deleted in MLflow for good; the study goes on without {them}")
    else:
        lost_runs.check(where, study)
    results = deliver(where, study, note, partial(delivered_runs.record_after_sync, where), drop_deleted=drop_deleted)
    if study is not None and not results:
        find_study(where, study)  # raises if there is no such study; otherwise nothing waits
    if as_json:
        click.echo(json.dumps({"schema_version": 1, "spools": [asdict(result) for result in results]}))
    elif not results:
        click.echo("Nothing waits for MLflow.")
    else:
        for result in results:
            kind = f" ({result.kind})" if result.kind in ("promotion", "ablation") else ""
            dropped = f", {result.dropped} of deleted runs dropped" if result.dropped else ""
            click.echo(f"{result.study}{kind}: {counted(result.delivered, 'write')} delivered{dropped}")
    errors = [f"{result.study}: {result.error}" for result in results if result.error]
    errors += [f"{result.study}: {shortfall(result.undelivered)}" for result in results if result.undelivered]
    for error in errors[1:]:
        note(error)
    if errors:
        raise SweeperError(errors[0])


def _rebuild(store: Store, study: str | None, *, as_json: bool) -> None:
    from sweeper.sweep.rebuild import LOST, rebuild
    from sweeper.tracking.outbox import shortfall

    if study is None:
        raise UsageError("--rebuild needs the name of a study: `sweeper studies` lists them")
    done = rebuild(store, study, note)
    if as_json:
        click.echo(json.dumps({"schema_version": 1, **asdict(done)}))
    elif done.runs:
        click.echo(f"{study}: {counted(done.runs, 'run')} made again, {done.with_artifacts} with the old artifacts")
        click.echo(f"{LOST}.")
    else:
        click.echo(f"{study}: MLflow lacks none of its runs.")
    if done.undelivered:
        raise SweeperError(f"{study}: {shortfall(done.undelivered)}")
