import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sweeper.cli import main

ROOT = Path(__file__).parents[2]
SLOW = {"torch", "torchvision", "timm", "mlflow", "optuna", "sklearn", "matplotlib", "pandas", "scipy"}
HELP = "from sweeper.cli import main; main(['--help'], prog_name='sweeper', standalone_mode=False)"


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group below `command`, itself included, with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))


COMMANDS = {" ".join(("sweeper", *path)): (path, command) for path, command in commands(main)}


def examples(path: tuple[str, ...]) -> list[str]:
    """The lines below `Example:` in a command's help, as a terminal of 80 columns shows them."""
    result = CliRunner().invoke(main, [*path, "--help"], terminal_width=80)
    assert result.exit_code == 0, result.output
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert "Example:" in lines, f"no Example: in\n{result.stdout}"
    below = lines[lines.index("Example:") + 1 :]
    return below[: below.index("")] if "" in below else below


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name):
    _, command = COMMANDS[name]
    summary = (command.help or "").replace("\b", "").strip().partition("Example:")[0]
    assert len(summary.split()) >= 3


@pytest.fixture
def parses(tmp_path, monkeypatch) -> Callable[[str], bool]:
    """Whether click takes a line, without anything being done."""
    monkeypatch.chdir(tmp_path)
    for _, command in COMMANDS.values():
        monkeypatch.setattr(command, "callback", lambda **_: None)

    def parses(line: str) -> bool:
        result = CliRunner().invoke(main, shlex.split(line, comments=True)[1:])
        # An example may name a file of the reader's.
        return result.exit_code == 0 or "does not exist" in result.output

    return parses


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_is_a_command_that_parses(name, parses):
    path, _ = COMMANDS[name]
    lines = examples(path)
    assert lines
    for line in lines:
        assert f"{line} ".startswith(f"{name} ")
        assert parses(line), line


@pytest.mark.parametrize(
    "line", ["sweeper serach", "sweeper --no-such-option", "sweeper spaces shwo", "sweeper spaces list --no"]
)
def test_an_example_with_a_mistake_is_found(line, parses):
    assert not parses(line)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_a_page_that_exists(name):
    path, _ = COMMANDS[name]
    last = CliRunner().invoke(main, [*path, "--help"], terminal_width=80).stdout.rstrip().splitlines()[-1]
    word, page = last.split()
    assert word == "More:"
    assert (ROOT / page).is_file()


def test_help_imports_nothing_slow(tmp_path):
    code = f"{HELP}; import json, sys; print('\\n' + json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Usage: sweeper")
    loaded = {name.partition(".")[0] for name in json.loads(result.stdout.splitlines()[-1])}
    assert "click" in loaded
    assert not loaded & SLOW


def test_module_is_the_command(tmp_path):
    shown = subprocess.run([sys.executable, "-m", "sweeper", "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert shown.stdout == f"sweeper, version {version('cnn-sweeper')}\n"
