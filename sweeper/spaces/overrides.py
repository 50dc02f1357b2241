"""Parses `--set KEY=VALUE` overrides, and the TOML in them and in space files."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sweeper.errors import UsageError, plain, shortened

RANGE = re.compile(r"([-+]?[\d.]+(?:e[-+]?\d+)?):([-+]?[\d.]+(?:e[-+]?\d+)?)", re.IGNORECASE)

# Matches a key with more dotted parts than any valid key: tomllib's memory for a key grows with the square of
# its parts' number. It also matches inside a string, but nobody writes such a string.
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
LONG_KEY = re.compile(rf"(?<![\w\\-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{32}}")


@dataclass(frozen=True)
class Override:
    """One `KEY=VALUE`. `is_shorthand` is true for `LOW:HIGH` and `A,B,...`, and false for a word or a TOML value."""

    key: str
    value: Any
    place: str  # named in errors
    is_shorthand: bool


def parse_override(text: str) -> Override:
    """Parses a `KEY=VALUE`; raises UsageError if the text is not one.

    The value is TOML, a bare word, `LOW:HIGH` for a range, or `A,B,...` for choices.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key or not value:
        raise UsageError(f"an override must be KEY=VALUE, got {shortened(repr(text))} (--set)")
    place = f"--set {plain(text)}"
    try:
        shorthand = _shorthand(value)
        return Override(key, _value(value) if shorthand is None else shorthand, place, shorthand is not None)
    except ValueError:
        raise UsageError(
            f"{plain(key)} must be a TOML value, a word, LOW:HIGH or A,B,..., got {shortened(repr(value))} ({place})"
        ) from None


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


def _shorthand(text: str) -> dict[str, Any] | None:
    if span := RANGE.fullmatch(text):
        low, high = (_value(end) for end in span.groups())
        return {"low": low, "high": high}
    if "," in text and text[0] not in "[{\"'":
        return {"choices": [_value(part.strip()) for part in text.split(",")]}
    return None


def _value(text: str) -> Any:
    if re.fullmatch(r"[A-Za-z_][\w.-]*", text) and text not in ("true", "false", "inf", "nan"):
        return text
    document = read_toml(f"value = {text}")
    if list(document) != ["value"]:
        raise ValueError(text)
    return document["value"]


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
