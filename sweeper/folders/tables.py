"""Reads tables of text as people and programs write them: CSV, TSV, JSON lines and Parquet, plain or as .gz."""

import gzip
import io
import json
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import SweeperError, UsageError, plain

if TYPE_CHECKING:
    from pandas import DataFrame

ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".tsv.gz")
# Names of ten million images take less.
MOST_BYTES = 1_000_000_000
SEPARATORS = "\t;,|"
# Enough to tell which columns there are, however many rows follow.
HEAD_BYTES = 1_000_000
ENCODED_IMAGES = (
    "the encoded images themselves, as Hugging Face's data sets do: write them to files, CLASS/NAME.png, with the "
    "library that made it, such as datasets"
)


def is_table(name: str) -> bool:
    """Whether a file is a table, by its name."""
    return name.lower().endswith(ENDINGS)


def read_table(table: Path, *, skip_bad: bool = False, head: bool = False) -> tuple["DataFrame", int]:
    """The rows, with all values of text files as text, and the number of lines that have too many columns.

    Such lines are refused unless `skip_bad`. With `head`, only the first rows are read. Raises SweeperError for what is
    no table, and UsageError for one of another kind.
    """
    import pandas as pd  # takes half a second

    ending = Path(table.name.lower().removesuffix(".gz")).suffix
    try:
        if ending == ".parquet":
            rows = pd.read_parquet(table)
            if any(isinstance(value, dict | bytes) for value in (rows.iloc[0] if len(rows) else [])):
                raise UsageError(f"a table of file names is needed, got one with {ENCODED_IMAGES} ({_shown(table)})")
            return rows, 0
        text = _text_of(table, head=head)
        if ending == ".jsonl":
            lines = [json.loads(line) for line in text.splitlines() if line.strip()]
            return pd.DataFrame([{name: _json_text(value) for name, value in line.items()} for line in lines]), 0
        return _separated(text, ending, skip_bad=skip_bad or head)
    except (OSError, EOFError, zlib.error, ValueError, AttributeError, ImportError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SweeperError(f"a table of labels must be readable, got: {plain(reason)} ({_shown(table)})") from error


def _separated(text: str, ending: str, *, skip_bad: bool) -> tuple["DataFrame", int]:
    import pandas as pd

    text = re.sub(r"\A\s*\"?sep=.\"?\s*\n", "", text)  # a line that tells Excel the separator
    broken: list[list[str]] = []

    def left_out(line: list[str]) -> None:
        broken.append(line)

    # Every value is text: a class may be called NA, and a file 007.
    how: dict[str, Any] = {"dtype": str, "keep_default_na": False, "skipinitialspace": True, "index_col": False}
    how |= {"sep": _separator(text, ending), "engine": "python", "on_bad_lines": left_out if skip_bad else "error"}
    return pd.read_csv(io.StringIO(text), **how), len(broken)


def _separator(text: str, ending: str) -> str:
    """The character between the names of the columns: the most frequent of those that are usual."""
    head = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    usual = "\t" if ending == ".tsv" else ","
    if ending == ".tsv" and usual in head:
        return usual
    return max((usual, *SEPARATORS), key=head.count)


def _text_of(table: Path, *, head: bool) -> str:
    """The table's text, in UTF-8 or, as Excel writes it, in UTF-16 with a mark. Raises ValueError for other content."""
    most = HEAD_BYTES if head else MOST_BYTES
    with gzip.open(table) if table.name.lower().endswith(".gz") else table.open("rb") as stream:
        content = stream.read(most + 1)  # expands no more than this
    if head and len(content) > most:
        content = content[: content.rfind(b"\n") + 1] or content
    elif len(content) > most:
        raise ValueError(f"more than {most:,} bytes")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    if content[:2] == b"PK":
        raise ValueError("a spreadsheet or archive; save the sheet as CSV UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"a byte in line {line:,} that is not UTF-8; save the table as CSV UTF-8") from error


def _json_text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _shown(path: Path) -> str:
    return plain(str(path))
