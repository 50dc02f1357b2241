"""`sweeper completion`: the script by which a shell completes sweeper's commands, options and names."""

from collections.abc import Iterable
from importlib.resources import files

import click
from click.shell_completion import CompletionItem, get_completion_class

SHELLS = ("bash", "zsh", "fish")
# The variable by which click's scripts ask for completions.
VARIABLE = "_SWEEPER_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script by which SHELL completes commands, options, spaces and data sets.

    Write it to a file, and have your shell read that file when it starts.

    \b
    Example:
      sweeper completion bash
    """
    kind = get_completion_class(shell)
    assert kind is not None, shell
    click.echo(kind(click.get_current_context().find_root().command, {}, "sweeper", VARIABLE).source())


def spaces(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The spaces that ship, or the files, that begin like this."""
    # The reader of spaces would import slow libraries.
    entries = files("sweeper.search_spaces").iterdir()
    return _known_or_file(
        (entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml")), incomplete
    )


def data_sets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The known data sets, or the files and folders, that begin like this."""
    from sweeper.data.known.catalog import DATASETS

    return _known_or_file(DATASETS, incomplete)


def _known_or_file(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    found = [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]
