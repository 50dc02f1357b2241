"""Prints the plan of a search for `sweeper search --dry-run`."""

import json
from typing import TYPE_CHECKING, Any

import click

from sweeper.cli.notes import note

if TYPE_CHECKING:
    from sweeper.sweep.request import SearchRequest


def show_plan(request: "SearchRequest", *, as_json: bool, quiet: bool) -> None:
    """Prints the plan, as text or as one JSON object, and unless `quiet` the notes of a search on stderr.

    Refuses what the search would refuse. Does not download data that are missing on this machine: without them it
    shows what the command line says, and refuses what can be refused without them.
    """
    from sweeper.data.lookup import name_of
    from sweeper.data.training_set import is_here
    from sweeper.sweep.preparation import dry_run, dry_run_without_data

    say = (lambda text: None) if quiet else note
    options = request.options
    shown: dict[str, Any] = {
        "schema_version": 1,
        "dry_run": True,
        "study_name": request.study,
        "dataset": name_of(request.source.dataset),
        "space": request.space.name,
        "searched": [] if options.variants_only else list(request.space.parameters),
        "variants": list(request.space.variants),
        "trials": options.trials,
        "epochs": request.protocol.epochs,
        "folds": request.protocol.folds,
        "repeats": request.protocol.repeats,
        "metric": options.metric,
        "sampler": "none" if options.variants_only else options.sampler,
        "pruner": options.pruner,
        "store": str(request.store.root),
        "data_source": None,
    }
    if request.source.offline or is_here(request.source, notify=say):
        prepared = dry_run(request, lambda event: say(getattr(event, "text", "")))
        planned = prepared.planned
        shown["study_name"], shown["pruner"] = prepared.name, prepared.spec.pruner
        shown["pruner_reason"] = prepared.pruner_reason
        shown["data_source"] = planned.training_set.source
        shown["images"] = {part: len(getattr(planned.splits[0], part)) for part in ("train", "validation", "confirm")}
        shown["workers"] = planned.execution.workers
    else:
        shown["study_name"], shown["pruner"] = dry_run_without_data(request)
    if as_json:
        click.echo(json.dumps(shown))
        return
    if reason := shown.pop("pruner_reason", ""):
        shown["pruner"] += f": {reason}"
    for key, value in shown.items():
        if key in ("schema_version", "dry_run"):
            continue
        if isinstance(value, dict):
            value = [f"{part} {number:,}" for part, number in value.items()]
        text = ", ".join(value) if isinstance(value, list) else value
        click.echo(f"{key:12} {'would be downloaded' if text is None else text}")
    click.echo("Nothing was written.")
