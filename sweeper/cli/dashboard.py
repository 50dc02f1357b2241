"""`sweeper dashboard`: opens Optuna's dashboard on a copy of the store's studies."""

import shlex
import socket
import sys
from importlib.metadata import EntryPoint, entry_points

import click

from sweeper.cli.notes import note
from sweeper.cli.options import resolve_store, store_options
from sweeper.errors import SweeperError
from sweeper.store.options import StoreOptions
from sweeper.store.redaction import redact

# The dashboard has no passwords and checks no Host header: it never listens for other machines.
HOST = "127.0.0.1"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Port to listen on.")
@store_options
def dashboard(port: int, store: StoreOptions) -> None:
    """Serve Optuna's dashboard on the store's studies, on this machine only; Ctrl-C ends it.

    It needs optuna-dashboard (`pip install optuna-dashboard`). The dashboard can rename and delete studies, which
    sweeper then could not resume. So of a SQLite database it gets a copy as it is now, also while a search runs. A
    database on a server is shown itself.

    \b
    Example:
      sweeper dashboard --port 8081
    """
    where = resolve_store(store)
    command = _command()
    _check_free(port)
    from sweeper.store.databases import snapshot, sqlite_path
    from sweeper.studies.queries import find_study

    latest = find_study(where, None, readable=False)
    path = sqlite_path(where.storage)
    plain = shlex.join(["optuna-dashboard", "--host", HOST, "--port", str(port), redact(where.storage)])
    click.echo(f"http://{HOST}:{port}/dashboard/studies/{latest._study_id}")
    click.echo(f"The same without sweeper, on the database itself: {plain}")
    if path is None:
        note("The database is on a server, and shown itself: what the dashboard renames or deletes is lost to sweeper")
        _serve(command, port, where.storage)
        return
    with snapshot(path) as copy:
        note("What is shown is a copy of the database as it is now; start again to see later trials")
        _serve(command, port, f"sqlite:///{copy}")


def _command() -> EntryPoint:
    """The command of optuna-dashboard, which is no requirement of sweeper."""
    found = [*entry_points(group="console_scripts", name="optuna-dashboard")]
    if not found:
        raise SweeperError("optuna-dashboard is not installed: `pip install optuna-dashboard` installs it")
    return found[0]


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise SweeperError(f"{HOST}:{port} cannot be used: {error.strerror}; choose another --port") from error


def _serve(command: EntryPoint, port: int, storage: str) -> None:
    """Runs the dashboard in this process: an address with a password is in no list of processes."""
    # Its other server, gunicorn, would handle signals itself.
    sys.argv = [command.name, "--server", "wsgiref", "--host", HOST, "--port", str(port), "--quiet", storage]
    sys.stdout.flush()
    command.load()()
