import re
from pathlib import Path

import numpy as np
import pytest

import sweeper
from sweeper.quantities import counted


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "0 images"),
        (1, "1 image"),
        (2, "2 images"),
        (12500, "12,500 images"),
        (np.int64(12500), "12,500 images"),
        (1.0, "1 image"),
        (4.0, "4 images"),
        (0.5, "0.5 images"),
    ],
)
def test_noun_is_singular_after_one_only(n, words):
    assert counted(n, "image") == words


def test_plural_may_be_more_than_an_s():
    assert [counted(n, "write waits", "writes wait") for n in (1, 3)] == ["1 write waits", "3 writes wait"]


def test_no_module_makes_a_plural_of_its_own():
    own = re.compile(
        r"""(["'])(s|es|ies)\1 \*|else (["'])(s|es|ies)\3|(["'])(y?)\5 if .* == 1 else (["'])(s|es|ies)\7"""
    )
    assert own.search("f\"{n} image{'s' * (n > 1)}\"")
    assert own.search("f\"{n} class{'es' * (n > 1)}\"")
    assert own.search("'' if n == 1 else 's'")
    assert own.search("'y' if n == 1 else 'ies'")
    sources = {path: path.read_text(encoding="utf-8") for path in Path(sweeper.__file__).parent.rglob("*.py")}
    assert [path.name for path, source in sources.items() if own.search(source) and path.name != "quantities.py"] == []
