"""Class names on a command line, read and written as one row of CSV: a name may hold commas, quotes or outer spaces."""

import csv
import re
import shlex
import unicodedata
from collections.abc import Sequence

from sweeper.errors import plain

# Spaces before a comma or the end belong to no name, but for those between quotation marks.
_OUTER_SPACES = re.compile(r'("(?:[^"]|"")*")|\s+(?=,|$)')


def parsed(text: str) -> tuple[str, ...]:
    """The names in a row of CSV, their characters composed. Raises ValueError if it is no row of names."""
    try:
        (row,) = csv.reader([_OUTER_SPACES.sub(lambda found: found[1] or "", text)], skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise ValueError(str(error)) from error
    if not row or not all(name.strip() for name in row):
        raise ValueError("a name is empty")
    return tuple(map(composed, row))


def typed(names: Sequence[str]) -> str:
    """The names as the value of an option in a shell."""
    return shlex.quote(",".join(map(_quoted, names)))


def listed(names: Sequence[str], most: int) -> str:
    """The first names for a message, with commas between them: a name that holds one is quoted, as when it is typed."""
    more = f", and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(plain(_quoted(name)) for name in names[:most]) + more


def composed(name: str) -> str:
    """The name with its Unicode characters composed: systems and keyboards spell the same name in several ways."""
    return unicodedata.normalize("NFC", name)


def _quoted(name: str) -> str:
    if name == name.strip() and not set(name) & set(',"'):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
