"""Prints what a promotion has found, and the commands that come next."""

import shlex
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import click

from sweeper.store.arguments import store_arguments
from sweeper.store.redaction import redact

if TYPE_CHECKING:
    from sweeper.promotion.outcome import PromotionOutcome
    from sweeper.promotion.request import PromotionRequest

# Options of a command that are not repeated when it is shown again.
_ONCE = ("--again", "--replace", "--test", "--allow-retest")
# Fewer seeds give an interval so wide that it decides little.
_FEWEST_SEEDS = 5


def show(outcome: "PromotionOutcome") -> None:
    """Prints the answer in a sentence, the finalists, the test metrics if there are any, and the verdict."""
    from sweeper.cli.tables import confusions, finalists_table, stdout_console, tested_table

    console = stdout_console()
    click.echo(f"{outcome.plain_sentence}\n")
    console.print(finalists_table(outcome))
    if any(entrant.test for entrant in outcome.entrants):
        console.print(tested_table(outcome))
        for line in confusions(outcome):
            click.echo(line)
        click.echo(
            "Confusion matrices, accuracy by class and each image's predictions: experiment sweeper-ledger in the UI."
        )
    click.echo()
    for sentence in outcome.sentences:
        click.echo(sentence)


def next_commands(outcome: "PromotionOutcome", request: "PromotionRequest") -> list[str]:
    """The commands that come next, the most useful first."""
    from sweeper.models import code_files
    from sweeper.promotion.plain_sentence import is_undecided

    store, options = request.store, store_arguments(request.store)
    command = _again(request, outcome)
    commands = [
        _of_the_study("report", request, outcome),
        f"{shlex.join(['sweeper', 'predict', outcome.model, *code_files.arguments()])}{options} IMAGE...",
    ]
    if is_undecided(outcome):
        untested = "; it does not use the test part" if outcome.evaluations[0] else ""
        commands.append(f"{_with_more_seeds(request, outcome)}   # more seeds may decide it{untested}")
    if outcome.evaluations[0]:
        commands.append(f"sweeper ledger{options}")
    elif outcome.test_sha256 is not None and len(outcome.entrants) > 1:
        commands.append(f"{command} --test")
    if outcome.registered_champion != outcome.entrants[0].version:
        commands.append(f"{command} --replace")
    if store.tracking_file:
        commands.append(f"sweeper ui{options}")
    return commands


def _again(request: "PromotionRequest", outcome: "PromotionOutcome") -> str:
    """A command for the promotion that is shown: as typed, unless another one was typed."""
    from sweeper.promotion.recorded import other_options

    if other_options(request, outcome):
        return _of_the_study("promote", request, outcome)
    return redact(shlex.join(_without(request.command, _ONCE)))


def _of_the_study(subcommand: str, request: "PromotionRequest", outcome: "PromotionOutcome") -> str:
    """A command on the study that finds its data, code and store where this one did."""
    from sweeper.models import code_files

    folder = request.data_access.data_dir
    data_dir = [] if folder is None else ["--data-dir", str(folder)]
    words = ["sweeper", subcommand, outcome.study_name, *data_dir, *code_files.arguments()]
    return shlex.join(words) + store_arguments(request.store)


def _with_more_seeds(request: "PromotionRequest", outcome: "PromotionOutcome") -> str:
    """The command for a new promotion with the options of the one that is shown, but more seeds, and without a test."""
    from sweeper.promotion.recorded import typed

    seeds = max(_FEWEST_SEEDS, 2 * outcome.entrants[0].validation["n_seeds"])
    # An option that is the default says nothing.
    made = {name: value for name, value in outcome.options.items() if (name, value) != ("prefer", "accuracy")}
    words = _without(request.command, _ONCE, ["--seeds", *_replaced_options(outcome.options)])
    return redact(f"{shlex.join(words)} {typed({**made, 'seeds': seeds})} --again")


def _replaced_options(recorded: Collection[str]) -> list[str]:
    """The typed options to drop because recorded values replace them.

    An older sweeper recorded none or only some, so that the others stay as they were typed.
    """
    selecting = ["--top", "--trial"] if {"top", "trials"} & set(recorded) else []
    return [*selecting, *(f"--{name}" for name in recorded)]


def _without(command: Sequence[str], flags: Collection[str], valued: Collection[str] = ()) -> list[str]:
    """The words of a command without some options; those in `valued` have a value."""
    words, is_value = [], False
    for word in command:
        if not is_value and word not in flags and word.partition("=")[0] not in valued:
            words.append(word)
        is_value = not is_value and word in valued
    return words
