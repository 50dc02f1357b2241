"""`sweeper promotions`: shows what promotions have found."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from sweeper.cli.notes import note
from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.cli.promotion_outcome import show
from sweeper.errors import SweeperError, plain
from sweeper.store.arguments import store_arguments
from sweeper.store.layout import Store
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    from sweeper.promotion.outcome import PromotionOutcome


@click.command()
@click.argument("study", required=False)
@store_options
@json_option
def promotions(study: str | None, store: StoreOptions, as_json: bool) -> None:
    """Show what the promotion of STUDY has found or, without STUDY, list all promotions. Trains and changes nothing.

    \b
    Example:
      sweeper promotions
      sweeper promotions fashion_mnist-lenet5
    """
    from sweeper.promotion.recorded import outcomes

    where = resolve_store(store)
    found = outcomes(where, study, note)
    if as_json:
        click.echo(json.dumps({"schema_version": 1, "promotions": [outcome.summary() for outcome in found]}))
        return
    unfinished = _unfinished(where, study)
    if found and study:
        show(found[0])
    elif found:
        _print(found)
    elif not unfinished:
        of, name = (f" of {study}", study) if study else ("", "STUDY")
        click.echo(f"No promotion{of} yet: `sweeper promote {name}{store_arguments(where)}` makes one.")
    for line in unfinished:
        click.echo(line)


def _unfinished(store: Store, study: str | None) -> list[str]:
    """A line for each promotion that runs or was interrupted, of one study or (None) of all, from any store."""
    from sweeper.promotion import recorded
    from sweeper.studies.ownership import activity_on, owners_of
    from sweeper.studies.queries import studies_in

    candidates = []
    for found in studies_in(store):
        if study in (None, found.study_name):
            with suppress(SweeperError):  # noted where the outcomes are read
                command = recorded.unfinished(store, found)
                if command is not None or activity_on(store, found) == "promotion":
                    candidates.append((found, command))
    lines = []
    owners = owners_of(store, [found for found, _ in candidates])
    for (found, command), owner in zip(candidates, owners, strict=True):
        name = found.study_name
        if owner and activity_on(store, found) == "promotion":
            lines.append(f"{name}: promotion running, {owner}; what it finds is shown here once it has ended")
        elif command and not owner:
            lines.append(f"{name}: promotion interrupted; to resume: {plain(command)}")
    return lines


def _print(found: "Sequence[PromotionOutcome]") -> None:
    from rich.table import Table

    from sweeper.cli.tables import stdout_console
    from sweeper.evaluation.amounts import amount
    from sweeper.studies.findings import beats
    from sweeper.studies.objective import LABELS

    table = Table()
    for name in ("study", "time (UTC)", "registered model", "version", "champion", "confirm\n(constant)", "tests"):
        table.add_column(name, overflow="fold")
    for outcome in found:
        champion = outcome.entrants[0]
        value = champion.confirm[outcome.metric]
        estimate = "" if value is None else amount(outcome.metric, value)
        if constant := outcome.constants.get("confirm"):
            no_better = ", no better" * (value is not None and not beats(outcome.metric, value, constant))
            estimate += f"\n({amount(outcome.metric, constant.score)}{no_better})"
        table.add_row(
            outcome.study_name,
            outcome.time[:19].replace("T", " "),
            outcome.model_name,
            champion.version + " registered" * (champion.version == outcome.registered_champion),
            f"trial {champion.trial}" + " (baseline)" * champion.is_baseline,
            f"{LABELS[outcome.metric]} {estimate}" if estimate else "",
            str(outcome.evaluations[0]),
        )
    stdout_console().print(table)
