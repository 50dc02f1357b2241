import re
from dataclasses import replace

import pytest

from sweeper.report.blocks import Figure
from sweeper.report.markdown import escaped, markdown
from tests.report.reports import HOSTILE, report_of

# What renderers of Markdown read as a link, an image, or HTML, if nothing before it escapes it.
ACTIVE = re.compile(r"(?<!\\)(?:<|\]\(|\$\$|`|://|&)")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_text_only(text, tmp_path):
    found = markdown(report_of(text), tmp_path)
    fences = re.compile(r"^(`{3,})\n.*?\n\1$", re.M | re.S)
    outside = fences.sub("", found.removeprefix("<!-- sweeper report -->"))
    pictures = re.findall(r"!\[(?:\\.|[^\]\\])*\]\(([\w-]+\.png)\)", outside)
    assert pictures == [path.name for path in tmp_path.iterdir()]
    outside = re.sub(r"\]\([\w-]+\.png\)", "", outside)
    assert not ACTIVE.search(outside), outside
    # No line of a name begins a block of its own, and each row of a table has as many cells as its head.
    assert all(line.count("|") - line.count("\\|") in (0, 3) for line in outside.splitlines())
    assert len(re.findall("^## ", outside, re.M)) == 7


@pytest.mark.parametrize(
    "text",
    ["Champion - baseline +1.3 [+0.6, +1.9] points: the champion is better.", "trial 7 (baseline)", "2026-01-02"],
)
def test_plain_sentences_stay_readable(text):
    assert escaped(text) == text


def test_a_figure_without_a_title_leaves_no_empty_markup(tmp_path):
    report = report_of("name")
    (figure,) = (block for block in report.answer.blocks if isinstance(block, Figure))
    found = markdown(replace(report, answer=replace(report.answer, blocks=[replace(figure, title="")])), tmp_path)
    assert "****" not in found


def test_a_fence_is_longer_than_any_in_the_text(tmp_path):
    found = markdown(report_of("a\n````\nb"), tmp_path)
    assert "\n`````\na\n````\nb\n`````\n" in found
