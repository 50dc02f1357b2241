"""What a command does with its run in MLflow when it fails, or is ended by a second signal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sweeper.errors import SweeperError
from sweeper.events import State
from sweeper.runs.limits import StopRequest
from sweeper.store.redaction import redact


@contextmanager
def ends_on_failure(end: Callable[[State, str], object], stop: StopRequest) -> Iterator[None]:
    """Calls `end(state, reason)` when the block raises, and lets the error pass.

    The state is failed for an error and interrupted for a signal. Nothing is called when the user has asked twice to
    stop: such a command waits for nothing.
    """
    try:
        yield
    except BaseException as error:
        failed = isinstance(error, Exception)  # a signal raises SystemExit
        if not stop.at_once:
            with suppress(SweeperError):  # a full disk keeps the outbox from being written, too
                end(State.FAILED if failed else State.INTERRUPTED, redact(str(error)) if failed else stop.reason)
        raise
