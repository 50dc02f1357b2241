"""`sweeper status`: shows the state and progress of a study."""

import json
from typing import Any

import click

from sweeper.cli.notes import by_state
from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.errors import plain
from sweeper.evaluation.amounts import amount
from sweeper.events import done_of
from sweeper.quantities import counted
from sweeper.store.arguments import store_arguments
from sweeper.store.options import StoreOptions
from sweeper.studies.objective import LABELS


@click.command()
@click.argument("study", required=False)
@store_options
@json_option
def status(study: str | None, store: StoreOptions, as_json: bool) -> None:
    """Show the progress of STUDY (the latest, if not given): its state, trials by state, the best so far.

    A process works on a running study. A stopped study was ended on purpose. The process of a dead study was
    killed, or its machine was lost. The command that is shown resumes a stopped or dead study.

    \b
    Example:
      sweeper status
    """
    from sweeper.evaluation.constant import Constant
    from sweeper.studies import lost_runs
    from sweeper.studies.findings import reference
    from sweeper.studies.ownership import activity_on
    from sweeper.studies.queries import find_study, status_of

    where = resolve_store(store)
    of_study = find_study(where, study)
    found = status_of(where, of_study)
    if as_json:
        click.echo(json.dumps({"schema_version": 1, **found}))
        return
    n, best, metric = found["n_trials"], found["best_trial"], found["metric"]
    activity = activity_on(where, of_study)
    click.echo(f"{found['study_name']}: {_state(found, activity)}")
    done = n["complete"] + n["pruned"] + n["infeasible"]
    states = by_state(n, is_searched=bool(found["owner"]) and not activity)
    click.echo(f"{states}; {done_of(done, found['trials'], 'trial')} done")
    for trial in found["running_trials"]:
        value = "" if trial["value"] is None else f", validation {LABELS[metric]} {amount(metric, trial['value'])}"
        done = f"epoch {trial['epochs']} of {trial['of_epochs']}"
        if found["trainings"] > 1:
            done = f"{trial['scored']} of {found['trainings']} trainings"
        place = f", on {plain(trial['place'])}" if trial["place"] else ""
        click.echo(f"trial {trial['number']}: {done}{value}{place}")
    if best is not None:
        click.echo(f"best: trial {best['number']}, validation {LABELS[metric]} {amount(metric, best['value'])}")
        if found["constant_predictor"]:
            click.echo(reference(metric, Constant(**found["constant_predictor"])))
    if not found["owner"] and activity == "promotion":
        click.echo(f"Its promotion was killed: see `sweeper promotions {of_study.study_name}{store_arguments(where)}`")
    for sentence in found["findings"]:
        click.echo(sentence)
    if lost := lost_runs.lost_runs(where).get(found["study_name"]):
        click.echo(f"Warning: {lost_runs.told(where, found['study_name'], lost)}")
    if found["undelivered"] is None:
        click.echo("the writes that wait for MLflow cannot be read: `sweeper sync` says why")
    if found["undelivered"]:
        waiting = counted(found["undelivered"], "write waits", "writes wait")
        click.echo(f"{waiting} for MLflow; to deliver: `sweeper sync{store_arguments(where)}`")
    if found["state"] in ("stopped", "dead") and found["command"]:
        click.echo(f"To resume: {found['command']}")
    if found["state"] == "deleting":
        click.echo(f"To resume: sweeper delete {found['study_name']}{store_arguments(where)}")


def _state(found: dict[str, Any], activity: str) -> str:
    """The state with its details; `activity` is what the process does, if it is no search."""
    match found["state"]:
        case "running":
            return f"{activity} running, {found['owner']}".lstrip()
        case "stopped":
            return f"stopped by {plain(found['ended'])}"
        case "dead":
            return "dead: its process was killed, or its machine was lost"
        case "deleting":
            return "half deleted"
    return str(found["state"])
