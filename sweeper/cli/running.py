"""What the commands that train have in common: progress and signals while they run, and how they end."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sweeper.cli.options import note, note_store, store_arguments
from sweeper.cli.signals import exit_code, signals_to
from sweeper.errors import SweeperError
from sweeper.store.layout import Store

if TYPE_CHECKING:
    from sweeper.events import Listener
    from sweeper.runs.limits import StopRequest


@contextmanager
def running(stop: "StopRequest", store: Store, *, quiet: bool, verbose: bool) -> Iterator["Listener"]:
    """Says which store is used, gives who is to hear of the progress, and lets signals make the request to stop."""
    from sweeper.cli.progress import progress

    if not quiet:
        note_store(store)
    with signals_to(stop), progress(quiet=quiet, verbose=verbose) as listener:
        yield listener


def leave(undelivered: Sequence[str], store: Store, stopped: str = "") -> None:
    """Ends the process with 130 or 143 where a signal has stopped the command.

    `undelivered` are the reasons of the writes that MLflow has not taken. Where there are any, raises SweeperError, or
    after a signal says so on stderr.
    """
    lacking = _lacking(undelivered, store) if undelivered else ""
    if code := exit_code(stopped):
        if lacking:
            note(lacking)
        sys.stdout.flush()
        sys.exit(code)
    if lacking:
        raise SweeperError(lacking)


def _lacking(undelivered: Sequence[str], store: Store) -> str:
    from sweeper.tracking.runs import shortfall

    return f"{shortfall(undelivered)}; nothing is lost, `sweeper sync{store_arguments(store)}` tries again"
