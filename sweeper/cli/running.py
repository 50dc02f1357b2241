"""Progress, signals and the end of the commands that train."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sweeper.cli.notes import note, note_store
from sweeper.cli.signals import signals_to
from sweeper.errors import SweeperError
from sweeper.process import streams
from sweeper.process.ending import exit_code
from sweeper.store.arguments import store_arguments
from sweeper.store.layout import Store

if TYPE_CHECKING:
    from sweeper.events import Listener
    from sweeper.runs.stop import StopRequest


@contextmanager
def running(
    stop: "StopRequest", store: Store, *, quiet: bool, verbose: bool, goes_on: bool = False
) -> Iterator["Listener"]:
    """Prints which store is used, gives the listener that shows the progress, and turns signals into stop requests.

    A command that `goes_on` after a question to the user has said which store it uses.
    Output that the terminal no longer takes goes to a file in the store.
    """
    from sweeper.display.progress import progress

    streams.keep_rest_in(store.lost_output)
    if not (quiet or goes_on):
        note_store(store)
    with signals_to(stop), progress(quiet=quiet, verbose=verbose) as listener:
        yield listener


def note_imports(*, quiet: bool) -> None:
    """Says that the libraries which train and record are imported now, which takes seconds, if they are not yet."""
    if not quiet and "torch" not in sys.modules:
        note("Importing PyTorch, Optuna and MLflow")


def end_command(undelivered: Sequence[str], store: Store, stopped: str = "") -> None:
    """Ends the process with 128 plus the signal's number if a signal has stopped the command.

    `undelivered` says why MLflow has not accepted writes. If it is not empty, raises SweeperError with the reasons, or
    after a signal prints them on stderr.
    """
    message = _undelivered_message(undelivered, store) if undelivered else ""
    if code := exit_code(stopped):
        if message:
            note(message)
        sys.stdout.flush()
        sys.exit(code)
    if message:
        raise SweeperError(message)


def _undelivered_message(undelivered: Sequence[str], store: Store) -> str:
    from sweeper.tracking.outbox import shortfall

    return f"{shortfall(undelivered)}; nothing is lost, `sweeper sync{store_arguments(store)}` tries again"
