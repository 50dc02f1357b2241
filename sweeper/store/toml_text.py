"""Reads TOML that users write: refuses at once what the library would take too long to refuse."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

# Matches a key with more dotted parts than any valid key: tomllib's memory for a key grows with the square of
# its parts' number. It also matches inside a string, but nobody writes such a string.
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
LONG_KEY = re.compile(rf"(?<![\w\\-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{32}}")


def read_toml(text: str) -> dict[str, Any]:
    """Parses a TOML document; raises ValueError if it is invalid, nested too deeply, or has too large an integer."""
    if LONG_KEY.search(text):
        raise ValueError("nested too deeply")
    try:
        document = tomllib.loads(text)
        # TOML's own limit. Python has none, but a larger integer would fail later, on conversion to a float or text.
        if not all(-(2**63) <= number < 2**63 for number in _integers(document)):
            raise ValueError("an integer must fit in 64 bits")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return document


def _integers(value: Any) -> Iterator[int]:
    match value:
        case dict():
            for entry in value.values():
                yield from _integers(entry)
        case list():
            for entry in value:
                yield from _integers(entry)
        case int():
            yield value
