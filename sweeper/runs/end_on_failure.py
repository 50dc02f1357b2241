"""What a command does with its run in MLflow when it fails, or is ended by a second signal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sweeper.errors import SweeperError
from sweeper.events import State
from sweeper.runs.stop import StopRequest
from sweeper.store.redaction import redact


@contextmanager
def ends_on_failure(
    end: Callable[[State, str], object], stop: StopRequest, *, on_signal: bool = True
) -> Iterator[None]:
    """Calls `end(state, reason)` when the block raises, and re-raises the error.

    The state is failed for an error, and interrupted for a signal, which raises SystemExit; the next command finds
    what was done so far. Without `on_signal`, a signal ends the process where it is. Nothing is called after the user
    has asked twice to stop, because `end` may wait for MLflow.
    """
    try:
        yield
    except BaseException as error:
        failed = isinstance(error, Exception)
        if not stop.at_once and (failed or on_signal):
            with suppress(SweeperError):  # a full disk keeps the outbox from being written, too
                end(State.FAILED if failed else State.INTERRUPTED, redact(str(error)) if failed else stop.reason)
        raise
