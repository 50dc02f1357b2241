"""What the tests of all commands have in common."""

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from sweeper.cli import main
from sweeper.process.signals import SIGNALS
from tests.cli.test_help import commands
from tests.commands.processes import Command, Driver
from tests.docs.schemas import mistakes


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


@pytest.fixture(autouse=True)
def json_output_has_its_documented_shape(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each object that a command prints in this process is valid by its schema in docs/reference/schemas/."""
    echo, found = click.echo, list[str]()

    def checked(message: Any = None, *arguments: Any, **options: Any) -> None:
        context = click.get_current_context(silent=True)
        if context and context.params.get("as_json") and isinstance(message, str) and message.startswith("{"):
            # Tests call commands below the top too, so that the path of the context need not be whole.
            command = next(" ".join(path) for path, command in commands(main) if command is context.command)
            found.extend(f"{command}: {mistake}" for mistake in mistakes(command, json.loads(message)))
        echo(message, *arguments, **options)

    monkeypatch.setattr(click, "echo", checked)
    yield
    assert not found
