"""`sweeper ui`: serves MLflow's own interface on the store."""

import os
import shlex
import sys

import click

from sweeper.cli.options import resolve_store, store_options
from sweeper.errors import SweeperError, UsageError
from sweeper.store.options import StoreOptions
from sweeper.store.redaction import redact

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port to listen on.")
@click.option(
    "--allowed-hosts",
    metavar="HOSTS",
    help="Host names, comma-separated, that browsers may use. Needed with another --host: the UI has no passwords.",
)
@store_options
def ui(
    host: str,
    port: int,
    allowed_hosts: str | None,
    store: StoreOptions,
) -> None:
    """Serve MLflow's UI on the store; Ctrl-C ends it. The address that it prints shows the latest study in a browser.

    \b
    Example:
      sweeper ui --port 5001
    """
    where = resolve_store(store)
    if where.tracking_file is None:
        raise UsageError(
            f"the runs are not in a SQLite file but at {redact(where.tracking_uri)} (--tracking-uri): open the "
            "server's address in a browser"
        )
    if not where.tracking_file.exists():
        place = where.root if where.embedded_tracking else where.tracking_file
        raise SweeperError(f"no runs in {place} yet: `sweeper search` makes them")
    from sweeper.tracking.client import check_shown
    from sweeper.tracking.runs_page import runs_page

    check_shown(where)
    if host not in LOOPBACK and not allowed_hosts:
        raise UsageError(f"to listen on {host}, name the hosts that browsers may use (--allowed-hosts)")
    arguments = ["ui", "--backend-store-uri", where.tracking_uri, "--host", host, "--port", str(port)]
    if allowed_hosts:
        arguments += ["--allowed-hosts", allowed_hosts]
    click.echo(f"http://{f'[{host}]' if ':' in host else host}:{port}{runs_page(where)}")
    click.echo(f"The same without sweeper: {shlex.join(['mlflow', *arguments])}")
    sys.stdout.flush()
    # MLflow's jobs, eight more processes, judge the answers of language models.
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", *arguments], environment)
