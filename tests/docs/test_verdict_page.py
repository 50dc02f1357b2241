"""docs/how-to/promote.md explains each sentence that a promotion can print."""

import ast
import re
from pathlib import Path

import pytest

from sweeper.promotion import plain_sentence, verdict
from tests.docs.markdown import ROOT

PAGE = " ".join((ROOT / "docs" / "how-to" / "promote.md").read_text(encoding="utf-8").split())


def phrases(source: str) -> list[str]:
    """The fixed parts, of three words or more, of the texts in a module, without its docstrings."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and isinstance(node.body[0], ast.Expr)
    }
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]
    return [" ".join(text.split()).strip(" ;:,.()") for text in texts if len(re.findall(r"[A-Za-z]+", text)) >= 3]


@pytest.mark.parametrize("module", [plain_sentence, verdict], ids=lambda module: module.__name__)
def test_each_sentence_stands_in_the_page(module):
    found = phrases(Path(module.__file__).read_text(encoding="utf-8"))
    assert len(found) > 10
    assert not [phrase for phrase in found if phrase not in PAGE]


def test_a_sentence_that_the_page_lacks_is_found():
    assert phrases('"""A docstring of words."""\nx = f"Use {1}, which nobody has explained {2}."') == [
        "which nobody has explained"
    ]
