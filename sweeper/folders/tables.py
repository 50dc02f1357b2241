"""Reads tables of text as people and programs write them: CSV, TSV, JSON lines and Parquet, plain or as .gz."""

import codecs
import csv
import gzip
import io
import json
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import SweeperError, first_line, plain
from sweeper.folders.cells import OtherValue, check_size
from sweeper.folders.parquet_tables import read_parquet

if TYPE_CHECKING:
    from pandas import DataFrame

ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".tsv.gz")
# Names of ten million images take less.
MOST_BYTES = 1_000_000_000
SEPARATORS = "\t;,|"
TOO_MANY_COLUMNS = re.compile(r"Expected \d+ fields in line \d+, saw \d+")
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# Enough to tell which columns there are, and what they say, however many rows follow.
HEAD_BYTES, HEAD_ROWS = 4_000_000, 20_000
# No table of different names is this many times larger than its .gz file.
MOST_EXPANSION, ANY_BYTES = 200, 1_000_000


def is_table(name: str) -> bool:
    """Whether a file is a table, by its name."""
    return name.lower().endswith(ENDINGS)


def read_table(table: Path, *, skip_bad: bool = False, head: bool = False) -> tuple["DataFrame", int]:
    """The rows, with all values of text files as text, and the number of lines that have too many columns.

    Such lines are refused unless `skip_bad`. With `head`, only the first rows are read. A cell that holds no text, such
    as a list, is OtherValue. Raises SweeperError for what is no table, and UsageError for one of another kind.
    """
    ending = Path(table.name.lower().removesuffix(".gz")).suffix
    try:
        if ending == ".parquet":
            return read_parquet(table, HEAD_ROWS if head else None), 0
        text, n_bytes = _text_of(table, head=head), table.stat().st_size
        if ending == ".jsonl":
            return _json_lines(text, n_bytes, head=head), 0
        return _separated(text, ending, n_bytes, skip_bad=skip_bad, head=head)
    except (SweeperError, MemoryError):
        raise
    except Exception as error:  # damaged bytes make the readers of all these formats raise exceptions of any type
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        # In pandas' words, a line with more columns than the first one.
        remedy = "; --skip-bad leaves out such lines" if TOO_MANY_COLUMNS.match(reason) and not skip_bad else ""
        raise SweeperError(
            f"a table of labels must be readable, got: {plain(reason)} ({plain(table)}){remedy}"
        ) from error


def _json_lines(text: str, n_bytes: int, *, head: bool) -> "DataFrame":
    import pandas as pd

    lines = (line for line in text.splitlines() if line.strip())
    rows = [
        {name: _json_text(value) for name, value in json.loads(line).items()}
        for line in islice(lines, HEAD_ROWS if head else None)
    ]
    check_size(len(rows), len({name for row in rows for name in row}), n_bytes)
    return pd.DataFrame(rows)


def _separated(text: str, ending: str, n_bytes: int, *, skip_bad: bool, head: bool) -> tuple["DataFrame", int]:
    import pandas as pd  # takes half a second

    text = re.sub(r"\A\s*\"?sep=.\"?\s*\n", "", text)  # a line that tells Excel the separator
    broken: list[list[str]] = []

    def left_out(line: list[str]) -> None:
        broken.append(line)

    separator = _separator(text, ending)
    names = next(filter(None, csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)), [])
    n_lines = max(map(text.count, "\n\r"))
    check_size(min(n_lines, HEAD_ROWS) if head else n_lines, len(names), n_bytes)
    # Every value is text: a class may be called NA, and a file 007.
    how: dict[str, Any] = {"dtype": str, "keep_default_na": False, "skipinitialspace": True, "index_col": False}
    how |= {"sep": separator, "engine": "python", "on_bad_lines": left_out if skip_bad or head else "error"}
    how |= {"nrows": HEAD_ROWS if head else None}
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
    is_packed = table.name.lower().endswith(".gz")
    expanded = MOST_EXPANSION * table.stat().st_size + ANY_BYTES
    most = HEAD_BYTES if head else min(MOST_BYTES, expanded) if is_packed else MOST_BYTES
    with gzip.open(table) if is_packed else table.open("rb") as stream:
        content = stream.read(most + 1)  # expands no more than this
    if len(content) > most and not head:
        times = f", {MOST_EXPANSION} times its own; unpack the table if it is to be read" * (most == expanded)
        raise ValueError(f"more than {most:,} bytes{times}")
    if len(content) > most:
        return _beginning(content)
    if content[:2] in UTF_16:
        return content.decode("utf-16")
    if content[:2] == b"PK":
        raise ValueError("a spreadsheet or archive; save the sheet as CSV UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"a byte in line {line:,} that is not UTF-8; save the table as CSV UTF-8") from error


def _beginning(content: bytes) -> str:
    """The whole lines of content that is cut off anywhere, perhaps within a character; its only line if it has one."""
    decoder = codecs.getincrementaldecoder("utf-16" if content[:2] in UTF_16 else "utf-8-sig")()
    text = decoder.decode(content)
    return text[: text.rfind("\n") + 1] or text


def _json_text(value: Any) -> Any:
    if isinstance(value, list | dict):
        return OtherValue("a list" if isinstance(value, list) else "an object")
    return value if value is None or isinstance(value, str) else json.dumps(value)
