"""Parses `--set KEY=VALUE` overrides."""

import re
from dataclasses import dataclass
from typing import Any

from sweeper.errors import UsageError, plain, shortened
from sweeper.store.toml_text import read_toml

RANGE = re.compile(r"([-+]?[\d.]+(?:e[-+]?\d+)?):([-+]?[\d.]+(?:e[-+]?\d+)?)", re.IGNORECASE)


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


def _shorthand(text: str) -> dict[str, Any] | None:
    if span := RANGE.fullmatch(text):
        low, high = (_value(end) for end in span.groups())
        return {"low": low, "high": high}
    if "," in text and text[0] not in "[{\"'":
        return {"choices": [_value(part.strip()) for part in text.split(",")]}
    return None


def _value(text: str) -> Any:
    if re.fullmatch(r"[A-Za-z_][\w.:-]*", text) and text not in ("true", "false", "inf", "nan"):
        return text
    document = read_toml(f"value = {text}")
    if list(document) != ["value"]:
        raise ValueError(text)
    return document["value"]
