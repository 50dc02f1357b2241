"""Reads tables of Parquet as their types say, without what pandas keeps beside them."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import UsageError, plain
from sweeper.folders.cells import OtherValue, check_size

if TYPE_CHECKING:
    from pandas import DataFrame

# Parquet's bytes, unpacked, that a table may have.
MOST_BYTES = 1_000_000_000
ENCODED_IMAGES = (
    "the encoded images themselves, as Hugging Face's data sets do: write them to files, CLASS/NAME.png, with the "
    "library that made it, such as datasets"
)


def read_parquet(table: Path, most_rows: int | None) -> "DataFrame":
    """The rows, at most so many, with all values as text; None is a missing one.

    Lists and other values that are no text are OtherValue, and are not read. Raises UsageError for a table of encoded
    images, and errors of any type for what is no Parquet.
    """
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(table) as file:
        schema, metadata = file.schema_arrow, file.metadata
        names = [name for name in schema.names if name not in _index_of(schema.metadata)]
        flat = [name for name in names if not pa.types.is_nested(schema.field(name).type)]
        kinds = {name: str(schema.field(name).type) for name in names}
        if any("binary" in kinds[name] for name in names if name not in flat):
            raise _encoded_images(table)
    n_rows = min(metadata.num_rows, most_rows or metadata.num_rows)
    check_size(n_rows, len(names), table.stat().st_size)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    if (n_bytes := sum(group.total_byte_size for group in groups)) > MOST_BYTES and most_rows is None:
        raise ValueError(f"{n_bytes:,} bytes, more than {MOST_BYTES:,}")
    # Repeated text stays one text, however many rows repeat it.
    words = [name for name in flat if "string" in kinds[name] or "binary" in kinds[name]]
    with parquet.ParquetFile(table, read_dictionary=words) as file:
        if most_rows is None:
            batches = [file.read(columns=flat)]
        else:
            first = islice(file.iter_batches(most_rows, columns=flat), 1)  # the others are not decoded
            batches = [pa.Table.from_batches([batch]) for batch in first]
    n_rows = sum(len(batch) for batch in batches)
    cells: dict[str, list[Any]] = {}
    for name in names:
        if name in flat:
            cells[name] = [value for batch in batches for value in _texts(batch.column(name))]
            if name in words and (found := next(filter(None, cells[name]), None)) and isinstance(found, OtherValue):
                raise _encoded_images(table)
        else:
            cells[name] = [OtherValue(kinds[name])] * n_rows
    return pd.DataFrame(cells, dtype=object)


def _index_of(metadata: Any) -> Sequence[str]:
    """The columns that are no columns of the table that pandas wrote, but numbers or names of its rows."""
    try:
        return [name for name in json.loads(metadata[b"pandas"])["index_columns"] if isinstance(name, str)]
    except (TypeError, KeyError, ValueError, RecursionError):  # written by another program
        return []


def _texts(column: Any) -> list[Any]:
    """The values as text; those of a column that is a dictionary are made once for all rows."""
    import pyarrow as pa

    found: list[Any] = []
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            words = _texts(pa.chunked_array([chunk.dictionary]))
            found += [None if place is None else words[place] for place in chunk.indices.to_pylist()]
        else:
            found += chunk.to_pylist() if _is_known(chunk.type) else [OtherValue(str(chunk.type))] * len(chunk)
    # pandas stores whole numbers as floats if one is missing.
    has_gaps = pa.types.is_floating(column.type) and any(value is None or value != value for value in found)
    if has_gaps and all(value is None or value != value or value.is_integer() for value in found):
        found = [None if value is None or value != value else int(value) for value in found]
    return [_text(value) for value in found]


def _is_known(kind: Any) -> bool:
    """Whether values of this type name files and classes: text, numbers, booleans, and bytes that may be text."""
    import pyarrow as pa

    types = pa.types
    is_words = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    is_bytes = types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return is_words or is_bytes or is_number or types.is_boolean(kind) or types.is_null(kind)


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return OtherValue("bytes that are no text")
    return value if value is None or value != value or isinstance(value, OtherValue) else str(value)


def _encoded_images(table: Path) -> UsageError:
    return UsageError(f"a table of file names is needed, got one with {ENCODED_IMAGES} ({plain(table)})")
