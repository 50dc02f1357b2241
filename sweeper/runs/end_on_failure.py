"""Ends a command's run in MLflow when the command fails or a signal ends it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sweeper.errors import SweeperError
from sweeper.events import State
from sweeper.runs.stop import StopRequest
from sweeper.store.redaction import redact


@contextmanager
def ends_on_failure(end: Callable[[State, str], object], stop: StopRequest) -> Iterator[None]:
    """Calls `end(state, reason)` if the block raises, and then raises the error again.

    The state is failed for an error and interrupted for a signal. If the user has asked twice to stop, `end` is not
    called: such a command must not wait.
    """
    try:
        yield
    except BaseException as error:
        failed = isinstance(error, Exception)  # a signal raises SystemExit
        if not stop.at_once:
            with suppress(SweeperError):  # on a full disk, the outbox cannot be written either
                end(State.FAILED if failed else State.INTERRUPTED, redact(str(error)) if failed else stop.reason)
        raise
