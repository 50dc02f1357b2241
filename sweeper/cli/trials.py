"""`sweeper trials`: lists the trials of a study, or shows one whole."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweeper.cli.csv_file import csv_file, note_rows
from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.errors import UsageError
from sweeper.events import State
from sweeper.quantities import counted
from sweeper.store.arguments import store_arguments
from sweeper.store.options import StoreOptions
from sweeper.store.shown import shown

if TYPE_CHECKING:
    from sweeper.store.layout import Store
    from sweeper.studies.trial_records import TrialRecord


@click.command()
@click.argument("study", required=False)
@click.option(
    "--sort",
    metavar="KEY",
    help="Sort by value (the best first), number, state, epochs, n_parameters, seconds, or a parameter such as lr; "
    "-KEY sorts the other way.  [default: number; with --top, value]",
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Show only the first N, by default the best.")
@click.option("--trial", "number", type=click.IntRange(min=0), metavar="N", help="Show all of trial N.")
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Write all columns in full precision to a CSV file, or with - to stdout.",
)
@store_options
@json_option
def trials(
    study: str | None,
    sort: str | None,
    top: int | None,
    number: int | None,
    csv_path: Path | None,
    store: StoreOptions,
    as_json: bool,
) -> None:
    """Show the trials of STUDY (the latest, if not given), one a line, with what differs between them.

    Columns that do not fit the terminal are left out and named. In a pipe or file nothing is left out, unless the
    variable COLUMNS gives a width. A started trial that no search trains now is shown as interrupted: the command that
    resumes the study continues it. --json and --csv say running, Optuna's state. --trial N shows all of one trial: its
    configuration and what in it differs from the baseline, its scores by epoch or training, its size, time, device and
    seed, its runs in MLflow, and which weights and artifacts they have.

    \b
    Example:
      sweeper trials fashion_mnist-lenet5 --top 10
      sweeper trials fashion_mnist-lenet5 --trial 17
    """
    if as_json and csv_path:
        raise UsageError("--csv and --json both choose the form of the list: give one of them")
    if number is not None and (csv_path or sort or top):
        raise UsageError("--trial shows one trial: leave out --csv, --sort and --top, which belong to the list")
    from sweeper.studies import trial_records
    from sweeper.studies.attributes import spec_of
    from sweeper.studies.queries import as_shown, find_study, trial_as_dict
    from sweeper.studies.trial_list import ordered

    where = resolve_store(store)
    if number is not None:
        _show_one(where, study, number, as_json=as_json)
        return
    found = find_study(where, study)
    records = trial_records.records(found)
    metric = spec_of(found).metric
    listed = ordered(records, metric, sort or ("value" if top else "number"))[:top]
    if as_json:
        entries = [trial_as_dict(record) for record in listed]
        click.echo(
            json.dumps({"schema_version": 1, "study_name": found.study_name, "metric": metric, "trials": entries})
        )
    elif csv_path:
        with csv_file(csv_path, "number") as stream:
            stream.write(_as_csv(listed))
        note_rows(csv_path, len(listed))
    else:
        from sweeper.cli.trial_lines import trial_lines
        from sweeper.display.console import output_width
        from sweeper.studies.findings import constant_of, reference
        from sweeper.studies.warm_start import told

        of = f"{len(listed)} of " * (len(listed) < len(records))
        click.echo(f"{found.study_name}: {of}{counted(len(records), 'trial')}")
        for line in trial_lines(as_shown(where, found, listed), metric, output_width()):
            click.echo(line)
        for beneath in filter(None, (reference(metric, constant_of(found)), told(found))):
            click.echo(beneath)


def _show_one(store: "Store", study: str | None, number: int, *, as_json: bool) -> None:
    from sweeper.cli.trial_details import detail_lines
    from sweeper.display.console import output_width
    from sweeper.runs.trial_details import of
    from sweeper.studies.queries import as_shown, find_study

    details = of(store, study, number)
    if as_json:
        click.echo(json.dumps(details.as_json()))
        return
    [record] = as_shown(store, find_study(store, details.study_name), [details.record])
    for line in detail_lines(replace(details, record=record), output_width()):
        click.echo(line)
    if details.record.configuration is None or details.record.state == State.WARM_START:
        return  # there is nothing to train again
    options = store_arguments(store)
    click.echo("\nNext:")
    click.echo(f"  sweeper train --from {details.study_name}:{number}{options}")
    if any(run.has_weights for run in details.runs):
        click.echo(f"  sweeper explain {details.study_name}:{number}{options}")


def _as_csv(trials: "Sequence[TrialRecord]") -> str:
    from sweeper.studies.trial_list import rows

    table, text = rows(trials), io.StringIO()
    writer = csv.DictWriter(text, list(table[0]) if table else ["number"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in table)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A value as a cell: as in JSON if it is a list or true or false, with hidden secrets if it is a text."""
    if isinstance(value, str):
        return shown(value)
    return json.dumps(value) if isinstance(value, bool | dict | list | tuple) else value
