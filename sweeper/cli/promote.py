"""`sweeper promote`: retrains the best trials of a search, and registers a champion that can be trusted."""

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
    given_parameters,
    json_option,
    progress_options,
    resolve_store,
    store_options,
)
from sweeper.cli.promotion_outcome import next_commands, show
from sweeper.cli.running import end_command, note_imports, running
from sweeper.config.fields import checked
from sweeper.data.source import DataAccess
from sweeper.engine.options import DeviceOptions
from sweeper.errors import UsageError
from sweeper.process.ending import exit_code
from sweeper.promotion.options import PREFERENCES, PromotionOptions
from sweeper.store.options import StoreOptions
from sweeper.store.redaction import redact

if TYPE_CHECKING:
    from sweeper.promotion.outcome import PromotionOutcome
    from sweeper.promotion.request import PromotionRequest


@click.command()
@click.argument("study", required=False)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=PromotionOptions.top,
    show_default=True,
    metavar="K",
    help="Retrain the best K configurations of the search, and the baseline.",
)
@click.option(
    "--trial",
    "trials",
    type=click.IntRange(min=0),
    multiple=True,
    metavar="N",
    help="Retrain trial N, complete or pruned, instead of the best. Repeatable.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=PromotionOptions.seeds,
    show_default=True,
    metavar="N",
    help="Retrain each with N fresh seeds for the order, and with N others for the estimate. One seed gives no "
    "interval.",
)
@click.option(
    "--prefer",
    type=click.Choice(PREFERENCES),
    default=PromotionOptions.prefer,
    show_default=True,
    help="Which network wins among those that the validation images cannot tell apart: accuracy takes the best by the "
    "study's metric, small the one with the fewest parameters, fast the one with the fewest multiply-adds.",
)
@click.option("--test", is_flag=True, help="Evaluate champion, challenger and baseline on the test set, once.")
@click.option("--allow-retest", is_flag=True, help="Test a study again; the ledger counts each test.")
@click.option(
    "--again",
    is_flag=True,
    help="Train and promote once more a study that has been promoted. Without this, its promotion is only shown.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Make this champion the registered one even if it is worse, cannot be compared, or a person chose the other.",
)
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
def promote(
    study: str | None,
    top: int,
    trials: tuple[int, ...],
    seeds: int,
    prefer: str,
    test: bool,
    allow_retest: bool,
    again: bool,
    replace: bool,
    device: DeviceOptions,
    max_bytes: int | None,
    data_dir: Path | None,
    offline: bool,
    store: StoreOptions,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Retrain the best of STUDY (the latest, if not given) with fresh seeds, and register a champion and a challenger.

    The search score of the best of many is too high. Here the order comes from fresh seeds on the validation part, and
    the estimate from other seeds on the confirm part, which chose nothing. With --test, one test evaluation is made
    and recorded. The same command resumes an interrupted promotion; on a promoted study, it shows what was found.

    The networks are registered as sweeper-STUDY. A champion of an earlier promotion of the study stays if its estimate
    on the same confirm part is higher.

    \b
    Example:
      sweeper promote --top 2
      sweeper promote fashion_mnist-lenet5 --top 2 --test
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    given = given_parameters()
    options = checked(
        PromotionOptions,
        top=top,
        trials=trials,
        seeds=seeds,
        prefer=prefer,
        test=test,
        allow_retest=allow_retest,
        again=again,
        replace=replace,
    )
    options.check(given)
    note_imports(quiet=quiet)
    from sweeper.promotion.request import PromotionRequest

    where = resolve_store(store)
    study, command = named_study(where, study)
    request = PromotionRequest(
        study=study,
        options=options,
        given=given,
        device=device,
        data_access=DataAccess(data_dir, offline, max_bytes),
        store=where,
        command=command,
    )
    outcome = _run(request, quiet=quiet, verbose=verbose or device.plain_progress)
    if as_json:
        click.echo(json.dumps(outcome.summary()))
    else:
        show(outcome)
        click.echo("\nNext:")
        for line in next_commands(outcome, request):
            click.echo(f"  {line}")
    end_command(outcome.undelivered, request.store)


def _run(request: "PromotionRequest", *, quiet: bool, verbose: bool) -> "PromotionOutcome":
    from sweeper.promotion.run import run
    from sweeper.runs.stop import StopRequest

    stop = StopRequest()
    outcome = None
    try:
        with running(stop, request.store, quiet=quiet, verbose=verbose) as listener:
            outcome = run(request, listener, stop)
    finally:
        if stop.reason and outcome is None:
            note(f"To resume: {redact(shlex.join(request.command))}")
    if outcome is None:
        sys.exit(exit_code(stop.reason))
    return outcome
