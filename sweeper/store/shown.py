"""How text is shown: secrets are hidden, and what a terminal would obey is escaped. All output passes this."""

import json
import re
from contextlib import suppress
from typing import Any

from sweeper.store.redaction import is_secret, redact

# Control characters of ASCII (all but tab and newline) and of Latin-1, among them those that begin a terminal's
# commands; characters that change the order in which text is shown, or break lines; halves of characters, which cannot
# be printed.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """The text as it may be printed: ESC becomes `\\x1b`, passwords become `***`."""
    clean = escaped(text)
    hidden = redact(clean)
    if hidden != clean and clean.startswith(("{", "[")):
        # In JSON, a quotation mark that ends a value is no part of a password.
        with suppress(ValueError, RecursionError):  # not JSON, or nested too deeply
            content = json.loads(clean)
            indent = 2 if "\n" in clean.strip() else None
            return json.dumps(_redacted(content), indent=indent) + "\n" * clean.endswith("\n")
    return hidden


def escaped(text: str) -> str:
    """The text without characters that a terminal obeys: they are written as in Python's source code."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _redacted(content: Any) -> Any:
    """What was read from JSON, with the secrets in its texts hidden."""
    match content:
        case str():
            return redact(content)
        case list():
            return [_redacted(item) for item in content]
        case dict():
            return {
                redact(name): "***" if isinstance(item, str) and is_secret(name) else _redacted(item)
                for name, item in content.items()
            }
    return content
