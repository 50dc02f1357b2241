"""`sweeper trials`: lists every trial of a study."""

import json

import click

from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.store.layout import StoreOptions


@click.command()
@click.argument("study", required=False)
@store_options
@json_option
def trials(study: str | None, store: StoreOptions, as_json: bool) -> None:
    """Show every trial of STUDY (the latest, if not given) with its state, score and parameters.

    \b
    Example:
      sweeper trials fashion_mnist-lenet5
    """
    from sweeper.studies import trial_records
    from sweeper.studies.attributes import spec_of
    from sweeper.studies.queries import find_study, trial_as_dict

    found = find_study(resolve_store(store), study)
    records = trial_records.records(found)
    metric = spec_of(found).metric
    if as_json:
        entries = [trial_as_dict(record) for record in records]
        click.echo(
            json.dumps({"schema_version": 1, "study_name": found.study_name, "metric": metric, "trials": entries})
        )
        return
    from sweeper.cli.tables import stdout_console, trials_table
    from sweeper.studies.findings import constant_of, reference

    click.echo(found.study_name)
    stdout_console().print(trials_table(records, metric, reference(metric, constant_of(found))))
