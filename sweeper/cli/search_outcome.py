"""Prints how a search ended, and the commands that come next."""

import shlex
from typing import TYPE_CHECKING

import click

from sweeper.cli.notes import by_state
from sweeper.store.arguments import store_arguments

if TYPE_CHECKING:
    from sweeper.sweep.request import SearchRequest
    from sweeper.sweep.run import SearchOutcome


def show_outcome(outcome: "SearchOutcome", request: "SearchRequest") -> None:
    """Prints the ranking, what it means, and the commands that come next."""
    from sweeper.cli.tables import ranking_table, stdout_console, variants_table
    from sweeper.studies.findings import reference
    from sweeper.studies.lifecycle import DONE

    n = outcome.summary()["n_trials"]
    beneath = reference(outcome.metric, outcome.constant)
    if outcome.variants:
        stdout_console().print(variants_table(outcome.variants, reference=beneath))
    elif n["complete"]:
        stdout_console().print(ranking_table(outcome.trials, outcome.metric, reference=beneath))
    ended = f", stopped by {outcome.stopped}" if outcome.stopped else ""
    earlier = outcome.total_seconds > outcome.seconds
    now = f" in all, {_minutes(outcome.seconds)} of them by this command" if earlier else ""
    click.echo(f"{by_state(n, is_searched=False)}, {_minutes(outcome.total_seconds)}{now}{ended}")
    if n["infeasible"]:
        were = "was" if n["infeasible"] == 1 else "were"
        click.echo(
            f"{n['infeasible']} of the trials that --trials counts {were} infeasible: over a limit, impossible, "
            "diverged or out of memory"
        )
    for sentence in outcome.findings:
        click.echo(sentence)
    if n["complete"] > 1:
        scores = "Each score is from one seed" if outcome.n_trainings == 1 else "Each score is a mean"
        click.echo(
            f"{scores}, on the same validation images that rank the trials: the best of many is too high, and "
            "neighbours in the table may well change places."
        )
    options = store_arguments(request.store)
    click.echo("\nNext:")
    if outcome.stopped not in DONE:
        click.echo(f"  {resume_command(request, outcome.study_name)}   # resumes from here")
    if outcome.undelivered:
        click.echo(f"  sweeper sync{options}")
    if request.store.tracking_file:
        click.echo(f"  sweeper ui{options}")
    for command in _promotions(outcome, request):
        click.echo(f"  {command}{options}")
    click.echo(f"  sweeper trials {outcome.study_name}{options}")


def _promotions(outcome: "SearchOutcome", request: "SearchRequest") -> list[str]:
    """The commands for a promotion that would be accepted now, or for the test evaluation that the study has had."""
    from sweeper.data.lookup import path_of
    from sweeper.models import code_files
    from sweeper.promotion.after_search import suggested
    from sweeper.studies import trial_records
    from sweeper.studies.findings import beats

    dataset, data_dir, study = request.source.dataset, request.source.data_dir, outcome.study_name
    found = suggested(
        request.store, study, request.source, outcome.trials, outcome.metric, ask_mlflow=not outcome.undelivered
    )
    if found is None:
        return []
    if found.is_tested:
        return ["sweeper ledger"]
    places = [] if data_dir is None or path_of(dataset) else ["--data-dir", str(data_dir)]
    best = trial_records.best(outcome.trials, outcome.metric)
    # The first test evaluation is the only one that no choice has seen: not for networks that have learnt nothing.
    learnt = outcome.constant is None or (
        best is not None and best.value is not None and beats(outcome.metric, best.value, outcome.constant)
    )
    test = ["--test"] * (found.test and learnt)
    return [shlex.join(["sweeper", "promote", study, *found.options, *code_files.arguments(), *places, *test])]


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def resume_command(request: "SearchRequest", study: str) -> str:
    """The command that resumes this study."""
    from sweeper.store.redaction import redact
    from sweeper.studies.resume_command import resuming

    return redact(resuming(request.command, study))
