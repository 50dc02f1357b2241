"""The page of all commands, from what click knows of them."""

import inspect
import re
from collections.abc import Iterator

import click

from sweeper.cli import main
from tests.docs.reference.tables import code, table

INTRODUCTION = """# Commands

Results go to stdout, progress to stderr. A study in brackets may be left out: it is then the latest of the store. All
commands share their [exit codes](exit-codes.md) and [environment variables](environment.md); [JSON output](json.md)
has a schema for each `--json`.
"""


def page() -> str:
    return "\n".join([INTRODUCTION, *(_section(path, command) for path, command in _commands(main, ("sweeper",)))])


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, child in sorted(command.commands.items()):
            yield from _commands(child, (*path, name))


def _section(path: tuple[str, ...], command: click.Command) -> str:
    context = click.Context(command, info_name=" ".join(path), help_option_names=["-h", "--help"])
    usage = " ".join((*path, *command.collect_usage_pieces(context)))
    summary, _, rest = inspect.cleandoc(command.help or "").partition("Example:")
    example, _, more = rest.strip("\n").partition("\n\n")
    parts = [f"## {' '.join(path)}\n", f"```\n{usage}\n```\n", _paragraphs(summary)]
    if more.strip():
        parts.append(_paragraphs(more))
    parts.append(f"```sh\n{inspect.cleandoc(example)}\n```\n")
    if isinstance(command, click.Group):
        children = sorted(command.commands.items())
        parts.append(
            table(
                ("command", "what it does"),
                [
                    (f"[{' '.join((*path, name))}](#{'-'.join((*path, name))})", child.get_short_help_str(200))
                    for name, child in children
                ],
            )
        )
    if command.epilog:
        parts.append(_plain(command.epilog.replace("\b", "").strip()) + "\n")
    records = [record for option in command.get_params(context) if (record := option.get_help_record(context))]
    rows = [(code(names), _cell(text)) for names, text in records if text]  # an argument has no help of its own
    parts.append(table(("option", "meaning"), rows))
    return "\n".join(parts)


def _paragraphs(text: str) -> str:
    """The help's paragraphs, without click's marks, each on one line."""
    paragraphs = re.split(r"\n\s*\n", text.replace("\b", "").strip())
    return "\n\n".join(_plain(" ".join(paragraph.split())) for paragraph in paragraphs if paragraph.strip()) + "\n"


def _cell(text: str) -> str:
    return _plain(" ".join(text.split()))


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    text = re.sub(r"([\\`*_<\[\]])", r"\\\1", text)
    return re.sub(r"(?<![\w/])(docs/([\w/-]+\.md))", r"[\1](../\2)", text)
