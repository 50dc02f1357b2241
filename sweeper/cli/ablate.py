"""`sweeper ablate`: is each of the champion's choices worth it?"""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeper.cli.data_options import data_dir_option, max_bytes_option, offline_option
from sweeper.cli.notes import named_study, note
from sweeper.cli.options import (
    code_option,
    debug_option,
    device_options,
    json_option,
    progress_options,
    resolve_store,
    store_options,
)
from sweeper.cli.running import end_command, note_imports, running
from sweeper.config import shortly
from sweeper.data.source import DataAccess
from sweeper.engine.options import DeviceOptions
from sweeper.errors import UsageError
from sweeper.evaluation.amounts import signed_with_interval, unit, with_interval
from sweeper.process.ending import exit_code
from sweeper.store.options import StoreOptions
from sweeper.store.redaction import redact
from sweeper.studies.objective import LABELS

if TYPE_CHECKING:
    from rich.table import Table

    from sweeper.promotion.ablation import Plan
    from sweeper.promotion.ablation_outcome import AblationOutcome
    from sweeper.promotion.request import AblationRequest

# Longer ablations are asked about on a terminal.
LONG_SECONDS = 3600


@click.command()
@click.argument("study", required=False)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train each configuration with N fresh seeds. One seed gives no interval.  [default: as in the promotion]",
)
@click.option(
    "--again",
    is_flag=True,
    help="Ablate an ablated study once more, with other --seeds. Without this, its ablation is only shown.",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask before an ablation of more than an hour.")
@device_options(
    jobs_help="Trainings at once: auto is one per usable core, as far as memory suffices, but on a CUDA device at "
    "most 8.  [default: auto]"
)
@max_bytes_option
@data_dir_option
@offline_option
@code_option
@store_options
@json_option
@progress_options
@debug_option
def ablate(
    study: str | None,
    seeds: int | None,
    again: bool,
    yes: bool,
    device: DeviceOptions,
    max_bytes: int | None,
    data_dir: Path | None,
    offline: bool,
    store: StoreOptions,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Is each choice of the champion of STUDY (the latest, if not given) worth it?

    For each choice in which the champion of the promotion differs from the baseline, trains the champion with this one
    choice set back to the baseline's, with fresh seeds that no choice has used, and compares the two on the confirm
    part. The same command resumes an interrupted ablation; on an ablated study, it shows what was found.

    \b
    Example:
      sweeper ablate
      sweeper ablate fashion_mnist-lenet5 --seeds 5
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    note_imports(quiet=quiet)
    from sweeper.promotion.request import AblationRequest

    where = resolve_store(store)
    study, command = named_study(where, study)
    request = AblationRequest(
        study=study,
        seeds=seeds,
        again=again,
        device=device,
        data_access=DataAccess(data_dir, offline, max_bytes),
        store=where,
        command=command,
    )
    outcome = _run(request, yes=yes, quiet=quiet, verbose=verbose or device.plain_progress)
    if as_json:
        click.echo(json.dumps(outcome.as_json()))
    else:
        show(outcome)
    end_command(outcome.undelivered, where)


def _run(request: "AblationRequest", *, yes: bool, quiet: bool, verbose: bool) -> "AblationOutcome":
    from sweeper.promotion import ablation, ablation_run
    from sweeper.runs.stop import StopRequest

    stop = StopRequest()
    with running(stop, request.store, quiet=quiet, verbose=verbose) as listener:
        planned = ablation.plan(request, listener, stop)
        stop.check()
    if not isinstance(planned, ablation.Plan):
        return planned
    _agree(planned, yes=yes, quiet=quiet)
    outcome = None
    try:
        with running(stop, request.store, quiet=quiet, verbose=verbose, goes_on=True) as listener:
            outcome = ablation_run.run(planned, listener, stop)
    finally:
        if stop.reason and outcome is None:
            note(f"To resume: {redact(shlex.join(request.command))}")
    if outcome is None:
        sys.exit(exit_code(stop.reason))
    return outcome


def _agree(planned: "Plan", *, yes: bool, quiet: bool) -> None:
    """Says what the ablation costs, and asks on a terminal before a long one."""
    asks = not yes and sys.stdin.isatty() and (planned.seconds is None or planned.seconds > LONG_SECONDS)
    if asks or not quiet:
        note(planned.announcement)
    if asks:
        click.confirm("Go on?", abort=True, err=True)


def show(outcome: "AblationOutcome") -> None:
    """Prints the choices and what each is worth, the conclusion, and how it is meant."""
    from sweeper.cli.tables import stdout_console

    if outcome.rows:
        stdout_console().print(_table(outcome))
        click.echo()
    click.echo(outcome.sentence)
    for row in outcome.rows:
        if row.difference is None:
            click.echo(row.sentence)
    for text in outcome.notes:
        click.echo(text)


def _table(outcome: "AblationOutcome") -> "Table":
    """The choices and what each is worth, in the study's metric: shares in points, the loss in nats."""
    from rich.table import Table

    from sweeper.promotion.ablation_outcome import advice

    metric = outcome.metric
    n_parameters = "" if outcome.n_parameters is None else f" ({outcome.n_parameters:,} parameters)"
    value = with_interval(metric, outcome.value, outcome.low, outcome.high, 1)
    title = f"{outcome.study}: trial {outcome.trial}{n_parameters}, {outcome.part} {LABELS[metric]} {value}"
    table = Table(title=title, title_justify="left")
    for name in ("choice", "champion", "baseline"):
        table.add_column(name, overflow="fold")
    table.add_column(f"champion - set back\n({unit(metric)})", justify="right")
    table.add_column("parameters\nset back", justify="right")
    table.add_column("verdict")
    for row in outcome.rows:
        table.add_row(
            "\n".join(row.values),
            *("\n".join(shortly(both[side]) for both in row.values.values()) for side in (0, 1)),
            signed_with_interval(metric, row.difference, row.low, row.high),
            "" if row.n_parameters is None else f"{row.n_parameters:,}",
            f"undecided:\n{advice(row.difference, metric)}" if row.verdict == "undecided" else row.verdict,
        )
    return table
