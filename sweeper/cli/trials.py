"""`sweeper trials`: every trial of a study."""

import json
from pathlib import Path

import click

from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.studies.attributes import spec_of


@click.command()
@click.argument("study", required=False)
@store_options
@json_option
def trials(study: str | None, store: Path | None, storage: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Show every trial of STUDY (the latest, if not given) with its state, score and parameters.

    \b
    Example:
      sweeper trials fashion_mnist-lenet5
    """
    from sweeper.studies import trial_records
    from sweeper.studies.queries import described, find_study

    found = find_study(resolve_store(store, storage, tracking_uri), study)
    records = trial_records.records(found)
    metric = spec_of(found)["metric"]
    if as_json:
        entries = [described(record) for record in records]
        click.echo(
            json.dumps({"schema_version": 1, "study_name": found.study_name, "metric": metric, "trials": entries})
        )
        return
    from sweeper.cli.tables import stdout_console, trials_table

    click.echo(found.study_name)
    stdout_console().print(trials_table(records, metric))
