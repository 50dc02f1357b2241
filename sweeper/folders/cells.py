"""What the cells of a table hold, and how many of them a file of its size can have."""

from dataclasses import dataclass
from typing import Any

# More columns than a class for each of ImageNet-21k's would be; pandas takes minutes for a hundred thousand.
MOST_COLUMNS = 10_000
# Tables of so many rows or cells may be of any kind; in a larger one a row takes a byte, since no two names are the
# same, and a cell of a row a part of one.
ANY_ROWS, ANY_CELLS, CELLS_PER_BYTE = 100_000, 10_000_000, 100


@dataclass(frozen=True)
class OtherValue:
    """A cell that holds neither text, nor a number, nor a boolean: `kind` says what, for people."""

    kind: str

    def __str__(self) -> str:
        return "[...]"


def text(value: Any) -> str:
    """The value of a cell; empty for a missing one, also in a table that has types."""
    return "" if value is None or value != value else str(value).strip()


def check_size(n_rows: int, n_columns: int, n_bytes: int) -> None:
    """Raises ValueError for more rows or columns than a table in a file of `n_bytes`, perhaps compressed, can have."""
    if n_columns > MOST_COLUMNS:
        raise ValueError(f"{n_columns:,} columns, more than {MOST_COLUMNS:,}")
    if n_rows > ANY_ROWS + n_bytes:
        raise ValueError(f"{n_rows:,} rows in a file of {n_bytes:,} bytes, too few for so many different names")
    if n_rows * n_columns > ANY_CELLS + CELLS_PER_BYTE * n_bytes:
        raise ValueError(
            f"{n_rows:,} rows of {n_columns:,} columns in a file of {n_bytes:,} bytes, too few for so many"
        )
