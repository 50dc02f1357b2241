"""The pages whose commands tests run: what they print must be what the pages show.

Two test files share them, because the tests of a file run one after the other: test_how_to_pages.py and
test_other_pages.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeper.process import processor
from tests.docs import commands, data
from tests.docs.markdown import ROOT, pages

TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in pages()}
HOW_TO = "docs/how-to/"


def page_parameters(belongs: Callable[[str], bool]) -> list[Any]:
    """Test parameters: the names of the pages with commands for which `belongs` is true."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] if commands.SLOW in words else [], id=name)
        for name, text in TEXTS.items()
        if belongs(name) and (words := commands.needs(text)) is not None
    ]


def assert_prints_what_it_shows(name: str, folder: Path) -> None:
    """Runs the page's commands in this folder."""
    text = TEXTS[name]
    words = commands.needs(text) or []
    data.make([word for word in words if word != commands.SLOW], folder)
    compares = commands.SLOW not in words or processor.of_this_machine() == commands.PRINTED_ON
    for printed in commands.run(text, folder):
        said = commands.mistakes(printed, compares=compares)
        assert not said, said
