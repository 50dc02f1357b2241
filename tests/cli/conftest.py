"""What the tests of all commands have in common."""

import signal

import pytest


@pytest.fixture(autouse=True)
def signal_handlers():
    """A command that was sent a signal leaves later ones ignored: that suits a process on its way out, not this one."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
