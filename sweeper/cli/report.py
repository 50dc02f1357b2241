"""`sweeper report`: makes one page of a study, from the answer to the evidence."""

import json
import os
import webbrowser
from pathlib import Path

import click

from sweeper.cli.data_options import data_dir_option, max_bytes_option, offline_option
from sweeper.cli.notes import note
from sweeper.cli.options import code_option, given_parameters, json_option, resolve_store, store_options
from sweeper.errors import SweeperError, UsageError
from sweeper.process.resources import usable_cores
from sweeper.store.options import StoreOptions


@click.command()
@click.argument("study", required=False)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="File to write; with --format md, a folder.  [default: STUDY-report.html, STUDY-report or STUDY-report.json]",
)
@click.option("--open", "opened", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("html", "md", "json")),
    default="html",
    show_default=True,
    help="html is one page that needs no network, md a folder of Markdown and pictures, json one object.",
)
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@max_bytes_option
@data_dir_option
@offline_option
@code_option
@store_options
@json_option
def report(
    study: str | None,
    output: Path | None,
    opened: bool,
    form: str,
    quiet: bool,
    max_bytes: int | None,
    data_dir: Path | None,
    offline: bool,
    store: StoreOptions,
    as_json: bool,
) -> None:
    """Make one page of STUDY (the latest, if not given): the answer, its evidence, and how to repeat it.

    The page is one file, which opens in any browser, also offline, and prints; MLflow gets a copy of it in the
    study's run. Prints its path. An earlier report in its place is replaced, any other file is not. --json prints what
    --format json writes, and writes nothing.

    \b
    Example:
      sweeper report fashion_mnist-lenet5 --open
    """
    given = given_parameters()
    if as_json and given & {"output", "opened", "form"}:
        raise UsageError("--json prints the report and writes no file: leave out --output, --open and --format")
    if opened and form != "html":
        raise UsageError(f"--open shows a page: leave it out with --format {form}")
    from sweeper.data.source import DataAccess
    from sweeper.report.collect import collect
    from sweeper.report.making import make

    where = resolve_store(store)
    progress = (lambda text: None) if quiet else note
    access = DataAccess(data_dir, offline, max_bytes)
    if as_json:
        found, _ = collect(where, study, access, usable_cores(os.environ), progress)
        click.echo(json.dumps(found.as_json()))
        return
    path = make(where, study, output, form, access, progress, warn=note)
    click.echo(path)
    if opened and not webbrowser.open(path.absolute().as_uri()):
        raise SweeperError(f"no browser could be opened: open {path} yourself (--open)")
