"""`sweeper frontier`: shows which networks of a study no other beats in both score and cost."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeper.cli.notes import note
from sweeper.cli.options import code_option, json_option, resolve_store, store_options
from sweeper.errors import SweeperError, UsageError
from sweeper.models.latency import DESCRIBED
from sweeper.quantities import counted
from sweeper.store.atomic import check_writable, whole_file
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    from sweeper.studies.frontier import Frontier


@click.command()
@click.argument("study", required=False)
@click.option(
    "--cost",
    type=click.Choice(("parameters", "multiply-adds", "latency")),
    default="parameters",
    show_default=True,
    help="What a network costs. Latency is measured now, on this machine: milliseconds of processor time for one "
    "image at a time on one CPU thread, the least of several medians.",
)
@click.option(
    "--plot",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a picture of all networks, as .png, .svg or .pdf.",
)
@code_option
@store_options
@json_option
def frontier(study: str | None, cost: str, picture: Path | None, store: StoreOptions, as_json: bool) -> None:
    """Show the networks of STUDY (the latest, if not given) that no other beats in both score and cost.

    They are the complete trials of the Pareto front, the cheapest first. Scores are those of the validation images, of
    one seed each, so that neighbours may change places.

    \b
    Example:
      sweeper frontier fashion_mnist-lenet5 --cost latency --plot frontier.png
    """
    if picture is not None and picture.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(f"--plot must end in .png, .svg or .pdf, got {picture}")
    from sweeper.studies.frontier import COSTS, of_study, sentence
    from sweeper.studies.queries import find_study

    kind = next(known for known in COSTS if known == cost.replace("-", "_"))
    shown = find_study(resolve_store(store), study)
    if picture is not None:
        try:
            check_writable(picture)
        except OSError as error:
            raise _unwritable(picture, error) from error
    found = of_study(shown, kind, notify=note)
    if picture is not None:
        _draw(found, picture)
    if as_json:
        click.echo(json.dumps({"schema_version": 1, "study_name": shown.study_name, **found.as_json()}))
        return
    n_front, networks = len(found.front), counted(len(found.points), "network")
    click.echo(f"{shown.study_name}: {n_front} of {networks} {'is' if n_front == 1 else 'are'} on the front by {cost}")
    if found.front:
        from sweeper.cli.tables import frontier_table, stdout_console

        stdout_console().print(frontier_table(found))
    click.echo(sentence(found))
    if kind == "latency" and found.points:
        click.echo(f"Latency: {DESCRIBED}, measured now.")


def _draw(found: "Frontier", path: Path) -> None:
    from sweeper.studies.frontier import plot

    if not found.points:
        raise SweeperError("there is nothing to draw: no trial has completed (--plot)")
    try:
        with whole_file(path) as temporary:
            plot(found).draw().savefig(temporary, format=path.suffix[1:].lower())
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> SweeperError:
    return SweeperError(f"{path} cannot be written: {error.strerror or error} (--plot)")
