import re
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, anchors, links, pages

# Where code and configuration name a page of the documentation.
NAMING = ("sweeper", "search_spaces", "examples", "benchmarks")
SUFFIXES = (".py", ".toml", ".ipynb")


def wrong(page: Path) -> list[str]:
    """The links of a page that lead nowhere, each with the reason."""
    found = []
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"(https?|mailto):", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if name.startswith("/") or not target.is_relative_to(ROOT):
            found.append(f"{link} leaves the project")
        elif not target.exists():
            found.append(f"{link} does not exist")
        elif anchor and anchors(target.read_text(encoding="utf-8")).count(anchor) != 1:
            found.append(f"{link} must be the anchor of one heading")
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    assert not wrong(page)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[a](missing.md)", "missing.md does not exist"),
        ("[a](#missing)", "#missing must be the anchor of one heading"),
        ("# Two\n\n# Two\n\n[a](#two)", "#two must be the anchor of one heading"),
        ("[a](/etc/passwd)", "/etc/passwd leaves the project"),
        ("![a](missing.png)", "missing.png does not exist"),
        ("[a]: missing.md", "missing.md does not exist"),
    ],
)
def test_a_broken_link_is_found(tmp_path, monkeypatch, text, reason):
    monkeypatch.setattr("tests.docs.test_links.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    assert wrong(page) == [reason]


def test_good_links_and_code_are_no_mistakes(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.docs.test_links.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# `a_b` and C: 1.5\n[a](#a_b-and-c-15) `[b](none.md)`\n```\n[c](none.md)\n```\n", encoding="utf-8")
    assert not wrong(page)


def test_pages_that_code_names_exist():
    named = set()
    for path in (path for folder in NAMING for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES):
        named |= set(re.findall(r"(?<![\w/.])(?:docs|benchmarks)/[\w/-]+\.md", path.read_text(encoding="utf-8")))
    assert "docs/how-to/cluster.md" in named
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]


def test_every_page_of_the_site_stands_in_its_navigation():
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    there |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "benchmarks").glob("*.md")}
    assert not there - listed


def test_tests_that_pages_name_exist():
    """Pages name them from the project's folder (`tests/data/`), the page on reliability from that of the tests."""
    named = {
        name
        for page in (ROOT / "docs").rglob("*.md")
        for name in re.findall(r"`(tests/[\w/-]+(?:\.py|/))`", page.read_text(encoding="utf-8"))
    }
    reliability = (ROOT / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8")
    of_faults = {f"tests/{name}" for name in re.findall(r"`((?!tests/)[a-z]\w*/(?:[\w/]*\.py)?)`", reliability)}
    assert "tests/faults/test_workers.py" in of_faults
    assert not {name for name in named | of_faults if not (ROOT / name).exists()}
