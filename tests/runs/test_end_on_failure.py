import pytest

from sweeper.errors import SweeperError
from sweeper.events import State
from sweeper.runs.end_on_failure import ends_on_failure
from sweeper.runs.stop import StopRequest


def ended(error, stop, end=None, **options):
    """The calls of `end` when the block raises this error, which must come through."""
    calls = []

    def block():
        with ends_on_failure(end or (lambda *call: calls.append(call)), stop, **options):
            raise error

    with pytest.raises(type(error)) as raised:
        block()
    assert raised.value is error
    return calls


def test_block_that_succeeds_ends_nothing():
    with ends_on_failure(lambda *call: pytest.fail("ended"), StopRequest()):
        pass


def test_error_ends_the_run_as_failed_without_its_passwords():
    error = SweeperError("postgresql://me:secret@host/db is away")
    assert ended(error, StopRequest()) == [(State.FAILED, "postgresql://me:***@host/db is away")]


def test_signal_ends_the_run_as_interrupted_by_it():
    assert ended(SystemExit(143), StopRequest("SIGTERM")) == [(State.INTERRUPTED, "SIGTERM")]


def test_second_signal_waits_for_nothing():
    assert ended(SystemExit(130), StopRequest("SIGINT", at_once=True)) == []


def test_run_that_cannot_be_ended_does_not_hide_the_error():
    def end(state, reason):
        raise SweeperError("the disk is full")

    ended(OSError("the disk is full"), StopRequest(), end)


def test_command_with_nothing_to_save_is_ended_by_a_signal_where_it_is():
    assert ended(SystemExit(143), StopRequest("SIGTERM"), on_signal=False) == []
    assert ended(SweeperError("away"), StopRequest(), on_signal=False) == [(State.FAILED, "away")]
