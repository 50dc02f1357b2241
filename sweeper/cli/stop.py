"""`sweeper stop`: stops a running study after its current epochs."""

import click

from sweeper.cli.notes import note
from sweeper.cli.options import resolve_store, store_options
from sweeper.errors import SweeperError, plain
from sweeper.store.options import StoreOptions


@click.command()
@click.argument("study", required=False)
@click.option("--no-wait", is_flag=True, help="Request the stop, and do not wait for it.")
@store_options
def stop(
    study: str | None,
    no_wait: bool,
    store: StoreOptions,
) -> None:
    """Stop the running STUDY (the latest, if not given) after its current epochs; nothing is lost.

    The process that runs it may be on another machine with the same store.

    \b
    Example:
      sweeper stop
    """
    from sweeper.studies.ownership import check_free
    from sweeper.studies.queries import find_study, state_without_owner, status_of

    where = resolve_store(store)
    found = find_study(where, study)
    name = found.study_name
    owner = where.owner(name) and where.request_stop(name)
    if owner is None:
        check_free(where, found)
        raise SweeperError(f"no process runs {name}: it is {state_without_owner(found)}")
    if no_wait:
        click.echo(f"{name}: {owner} is asked to stop")
        return
    note(f"{name}: {owner} records the running epochs; Ctrl-C ends only the waiting, not the stop")
    where.wait_for_owner(name)
    status = status_of(where, found)
    click.echo(f"{name}: {status['state']}" + (f" by {plain(status['ended'])}" if status["state"] == "stopped" else ""))
    if status["state"] in ("stopped", "dead") and status["command"]:
        click.echo(f"To resume: {status['command']}")
