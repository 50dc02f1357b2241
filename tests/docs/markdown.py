"""The Markdown files of the project, with their links, anchors and fenced blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pymdownx.slugs import slugify

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "benchmarks", "examples")
FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=fence) *$", re.M | re.S
)
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)
# [text](target), ![text](target) and [name]: target.
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: +(\S+)", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block: what stands behind its fence, its text, and where the text lies in the page."""

    info: str
    text: str
    start: int
    end: int


def pages() -> list[Path]:
    """All Markdown files of the project."""
    return sorted([*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))])


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    for found in FENCE.finditer(page):
        yield Block(found["info"].strip(), found["text"], found.start("text"), found.end("text"))


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page)


def links(page: str) -> list[str]:
    """The targets of the page's links and images."""
    without_code = re.sub(r"`[^`\n]*`", "", prose(page))
    return [target or reference for target, reference in LINK.findall(without_code)]


def anchors(page: str) -> list[str]:
    """The anchors of the page's headings, as a forge and the site give them; a repeated heading has none of its own."""
    slug = slugify(case="lower")
    texts = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in HEADING.findall(prose(page)))
    return [slug(re.sub(r"[`*]", "", text), "-") for text in texts]
