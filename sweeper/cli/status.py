"""`sweeper status`: how far a study is."""

import json
from pathlib import Path

import click

from sweeper.cli.options import json_option, resolve_store, store_options


@click.command()
@click.argument("study", required=False)
@store_options
@json_option
def status(study: str | None, store: Path | None, storage: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Show how far STUDY (the latest, if not given) is: running or stopped, trials by state, the best so far.

    \b
    Example:
      sweeper status
    """
    from sweeper.search.inspect import find_study, status_of

    where = resolve_store(store, storage, tracking_uri)
    found = status_of(where, find_study(where, study))
    if as_json:
        click.echo(json.dumps({"schema_version": 1, **found}))
        return
    n, best = found["n_trials"], found["best_trial"]
    click.echo(f"{found['study_name']}: {found['state']}")
    click.echo(
        f"{n['complete']} complete, {n['pruned']} pruned, {n['fail']} failed, {n['running']} unfinished "
        f"of {found['trials']} trials"
    )
    for trial in found["running_trials"]:
        value = "" if trial["value"] is None else f", validation {found['metric']} {trial['value']:.4f}"
        click.echo(f"trial {trial['number']}: epoch {trial['epochs']} of {found['epochs']}{value}")
    if best is not None:
        click.echo(f"best: trial {best['number']}, validation {found['metric']} {best['value']:.4f}")
