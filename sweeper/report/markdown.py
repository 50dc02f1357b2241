"""A report as Markdown, with its pictures as files beside it."""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from sweeper.plots import Plot
from sweeper.report.blocks import Block, Commands, Facts, Figure, Heading, Listing, Section, Sentences, Table
from sweeper.report.content import GENERATOR, Report
from sweeper.report.pictures import png
from sweeper.store.shown import shown

# What Markdown would read as more than text: anywhere, where it would make a link, and at the beginning of a line.
_MARKUP = re.compile(r"[\\`*_{}<>|~&$@]|\](?=[(\[:])|:(?=//)|(?<=www)\.|^[#+=\[-]|(?<=^\d)[.)]", re.IGNORECASE)


def markdown(report: Report, folder: Path) -> str:
    """The Markdown text; writes its pictures into the folder. Raises OSError."""
    study = report.study
    parts = [
        f"<!-- {GENERATOR} -->",
        f"# {escaped(study['name'])}",
        escaped(
            f"A search on {study['dataset']} in the space {study['space']}; report of "
            f"{study['made'][:16].replace('T', ' ')} UTC, by sweeper {study['version']}."
        ),
    ]
    if study["is_snapshot"]:
        parts.append("**This study was still running: the report shows it as it was at that moment.**")
    for number, (key, section, below) in enumerate(report.sections, start=1):
        parts += [f"## {number}. {escaped(section.title)}", *_section(key, section, folder)]
        for place, part in enumerate(below, start=1):
            parts += [f"### {escaped(part.title)}", *_section(f"{key}-part-{place}", part, folder)]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """The text as Markdown that shows it as it is, in one line."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", " ".join(shown(text).split()))


def _section(key: str, section: Section, folder: Path) -> Iterator[str]:
    yield escaped(section.how_to_read)
    for place, block in enumerate(section.blocks, start=1):
        yield from _block(f"{key}-{place}", block, folder)


def _block(name: str, block: Block, folder: Path) -> Iterator[str]:
    match block:
        case Heading():
            yield f"### {escaped(block.title)}"
            yield escaped(block.how_to_read)
        case Sentences():
            yield from (f"**{escaped(text)}**" if block.lead else escaped(text) for text in block.texts)
        case Facts():
            yield _table(["", ""], [[name, value] for name, value in block.rows])
        case Table():
            yield escaped(block.caption)
            yield _table(block.columns, block.rows, block.numeric)
        case Commands():
            for what, command in block.lines:
                yield f"{escaped(what)}:"
                yield _fenced(command)
        case Listing():
            yield escaped(block.title)
            yield _fenced(block.text)
        case Figure():
            title = f"**{escaped(block.title)}**" if block.title else ""
            yield f"{title} {escaped(block.how_to_read)}".strip()
            yield _picture(block.plot, name, block.alt, folder)


def _picture(plot: Plot | None, name: str, alt: str, folder: Path) -> str:
    if plot is None:
        return escaped(f"Only the HTML page has this figure: {alt}")
    file = f"{name}.png"
    (folder / file).write_bytes(png(plot))
    return f"![{escaped(alt)}]({file})"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Collection[int] = ()) -> str:
    rule = ["---:" if place in numeric else "---" for place in range(len(columns))]
    lines = [map(escaped, columns), rule, *(map(escaped, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fenced(text: str) -> str:
    """The text word for word, between fences that are longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{shown(text).rstrip()}\n{fence}"
