"""Runs the commands of a page in order, and compares what they print with what the page shows.

A page asks for it with a comment, which names the data that its commands need (tests/docs/data.py) and whether they
take long: `<!-- commands: shapes, slow -->`. Each `sh` block is then run by bash, in one folder. The `text` block that
comes after it, before the next `sh` block, is what it prints on stdout, and then on stderr if the exit code is not 0. A
line `...` in it stands for any lines.

Comments on the lines above a block change that: `<!-- not run: needs a GPU -->`, `<!-- exit code: 2 -->`,
`<!-- run with: --epochs 1 -->`, which adds options to each call of sweeper in the block, so that it takes less long
here than for the reader, and `<!-- not output -->` above a `text` block. `<!-- run with: search --epochs 1 -->` adds
them to the calls of `sweeper search` only, and may stand beside others.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.docs.markdown import Block, blocks

PAGE = re.compile(r"^<!-- commands:(?P<words>[\w, -]*)-->$", re.MULTILINE)
COMMENT = re.compile(r"<!-- (?P<word>not run|exit code|run with|not output)(?:: (?P<value>.+))? -->")
# A call of a command on a line of its own, up to a pipe, a redirection or a comment.
CALL = r"^(?P<call>(?:\w+=\S+ +)*{command}\b[^|>&#\n]*?)(?P<rest> *(?:[|>&#].*)?)$"
# The folder of the program `sweeper`. Tests put one there that starts faster.
PROGRAMS = Path(sys.executable).parent
# The width of the tables in the pages.
COLUMNS = "100"
ANY_LINES = "..."
# The kind of processor on which what trainings print was written into the pages. Another kind rounds in another way, so
# that another trial may win, and other words be printed.
PRINTED_ON = "x86_64 AuthenticAMD avx2 avx512f avx512_vnni avx512_bf16"
SLOW = "slow"


@dataclass(frozen=True)
class Shown:
    """A block of commands as it is run, with the exit code that it should have, and the block of what it prints."""

    commands: str
    exit_code: int
    output: Block | None


@dataclass(frozen=True)
class Printed:
    """What a block has printed."""

    shown: Shown
    exit_code: int
    text: str
    stderr: str


def needs(page: str) -> list[str] | None:
    """The data that the page's commands need, and "slow" if they take long; None if the page is not to be run."""
    found = PAGE.search(page)
    return [word.strip() for word in found["words"].split(",") if word.strip()] if found else None


def shown(page: str) -> list[Shown]:
    """The blocks to run, each with its output."""
    found: list[Shown] = []
    runs = False
    for block in blocks(page):
        comments = _above(page, block)
        if block.info == "sh":
            runs = "not run" not in comments
            if runs:
                text = with_options(block.text, comments.get("run with", []))
                (exit_code,) = comments.get("exit code", ["0"])
                found.append(Shown(text, int(exit_code), None))
        elif block.info == "text" and runs and "not output" not in comments and found[-1].output is None:
            found[-1] = replace(found[-1], output=block)
    return found


def with_options(commands: str, added: Iterable[str]) -> str:
    """The commands with options at the end of each call of sweeper, or of the subcommand that stands before them."""
    for words in map(str.split, added):
        first = next(number for number, word in enumerate(words) if word.startswith("-"))
        call = CALL.format(command=" +".join(["sweeper", *words[:first]]))
        rest = " ".join(words[first:])
        commands = re.sub(call, rf"\g<call> {rest}\g<rest>", commands.replace("\\\n", " "), flags=re.MULTILINE)
    return commands


def environment(folder: Path) -> dict[str, str]:
    """The environment of commands that run in this folder."""
    return {
        **os.environ,
        "PATH": f"{PROGRAMS}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "COLUMNS": COLUMNS,
        "SWEEPER_CACHE_DIR": str(folder / ".cache"),
        # The pages show what a CPU prints.
        "CUDA_VISIBLE_DEVICES": "",
    }


def run(page: str, folder: Path) -> Iterator[Printed]:
    """Runs the page's blocks in this folder, which holds the data."""
    for each in shown(page):
        command = ["bash", "--norc", "-euo", "pipefail", "-c", each.commands]
        done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
        text = done.stdout if done.returncode == 0 else done.stdout + done.stderr
        yield Printed(each, done.returncode, text.replace(str(folder), "~"), done.stderr)


def mistakes(printed: Printed, *, compares: bool = True) -> str:
    """How the block's exit code, or its output if it `compares` them, differs from the page; empty if neither does."""
    commands = printed.shown.commands.strip()
    if printed.exit_code != printed.shown.exit_code:
        return f"{commands}\nends with {printed.exit_code}, not {printed.shown.exit_code}:\n{printed.stderr}"
    if not compares or printed.shown.output is None or matches(printed.shown.output.text, printed.text):
        return ""
    return f"{commands}\nprints\n{printed.text}\nnot\n{printed.shown.output.text}"


def matches(expected: str, printed: str) -> bool:
    """Whether the texts are alike except for numbers, times, ids, tables' widths, and lines that `...` stands for."""
    parts = [normal(part) for part in re.split(rf"^{re.escape(ANY_LINES)}$", expected, flags=re.MULTILINE)]
    # Every part ends with a space, so that none ends within a word.
    pattern = "(?:.* )?".join(re.escape(f"{part} ") if part else "" for part in parts)
    return re.fullmatch(pattern, f"{normal(printed)} ".lstrip()) is not None


def normal(text: str) -> str:
    """The text with N for numbers, T for times, ID for ids, and one space for space and a table's lines."""
    text = re.sub(r"[\s\u2500-\u257f]+", " ", text)
    text = re.sub(r"\b(?<!\d\.)(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\+\d\d:\d\d)?", "T", text)
    text = re.sub(r"(\b\d+(\.\d+)? (h|min|s|ms)\b ?)+", "T ", text)
    return re.sub(r"[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?", "N", text).strip()


def rewritten(page: str, printed: list[Printed]) -> str:
    """The page with the outputs as they were printed; an output that matches stays as it is."""
    for each in reversed(printed):
        block = each.shown.output
        if block is not None and not matches(block.text, each.text):
            lines = [line.rstrip() for line in each.text.rstrip("\n").split("\n")]
            page = page[: block.start] + "\n".join(lines) + "\n" + page[block.end :]
    return page


def _above(page: str, block: Block) -> dict[str, list[str]]:
    """What the comments on the lines above the block say, in their order."""
    lines = page[: block.start].splitlines()[:-1]
    found: dict[str, list[str]] = {}
    while lines and (comment := COMMENT.fullmatch(lines.pop().strip())):
        found.setdefault(comment["word"], []).insert(0, comment["value"] or "")
    return found
