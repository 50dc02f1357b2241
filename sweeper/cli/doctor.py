"""`sweeper doctor`: checks whether everything is ready for a search."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeper.cli.data_options import data_dir_option
from sweeper.cli.options import check_engine, engine_options, json_option, resolve_store, store_options
from sweeper.store.options import StoreOptions

if TYPE_CHECKING:
    from sweeper.doctor.check import Check

STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


@click.command()
@data_dir_option
@store_options
@engine_options
@json_option
def doctor(
    data_dir: Path | None,
    store: StoreOptions,
    engine: str,
    ray_address: str | None,
    ray_insecure: bool,
    as_json: bool,
) -> None:
    """Check libraries, devices, memory, store, databases, disk and data, and say what to do about each problem.

    With --engine ray, also check the cluster: its address, token and versions, and each node's software, processor,
    clock, and how fast images get there.

    Nothing is written. Exit code 1 if there is an error.

    \b
    Example:
      sweeper doctor
    """
    from dataclasses import asdict

    from sweeper.doctor import cluster
    from sweeper.doctor.check import ERROR
    from sweeper.doctor.examination import examine

    check_engine(engine)
    checks = list(examine(resolve_store(store), data_dir, os.environ))
    if engine == "ray":
        checks += cluster.examine(ray_address or "", insecure=ray_insecure)
    if as_json:
        click.echo(json.dumps({"schema_version": 1, "checks": [asdict(check) for check in checks]}))
    else:
        _print(checks)
    if any(check.status == ERROR for check in checks):
        sys.stdout.flush()
        sys.exit(1)


def _print(checks: "list[Check]") -> None:
    from rich.table import Table
    from rich.text import Text

    from sweeper.cli.tables import stdout_console

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        text = check.found + (f"\nWhat to do: {check.advice}" if check.advice else "")
        table.add_row(Text(check.status, STYLES[check.status]), Text(check.name), Text(text))
    stdout_console().print(table)
