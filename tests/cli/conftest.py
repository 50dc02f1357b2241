"""What the tests of all commands have in common."""

import signal
from collections.abc import Callable

import pytest

from sweeper.process.signals import SIGNALS
from tests.commands.processes import Command, Driver


@pytest.fixture(autouse=True)
def signal_handlers():
    """A command that was sent a signal leaves later ones ignored: that suits a process on its way out, not this one."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def sweeper(driver: Driver) -> Callable[..., Command]:
    """Runs a command in a process of its own, with workers of its own; it must end with the exit code."""

    def run(*arguments: object, code: int = 0) -> Command:
        return driver.start(*arguments).ended(code)

    return run
