"""Finds the columns of a table of labels: by options, by their usual names, or by what they hold."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import UsageError, joined, plain
from sweeper.folders.cells import OtherValue, text
from sweeper.folders.names import parts_in
from sweeper.images.options import DataOptions

if TYPE_CHECKING:
    from pandas import DataFrame, Series

# Lower-case names of columns that need no option; a column counts only if none of an earlier kind is there.
IMAGE_COLUMNS = (
    ("image", "image_id", "file_name", "filename", "path"),
    ("id",),
    ("file", "filepath", "filepaths", "file_path", "image_path", "image_name", "image_file", "img", "img_path"),
)  # fmt: skip
LABEL_COLUMNS = (
    ("label", "class", "target", "category", "articletype"),
    ("labels", "class_name", "classname", "label_name", "class_id", "classid", "category_name", "category_id"),
)
SPLIT_COLUMNS = ("split",)
# Of these, only a column that says nothing but parts counts.
OTHER_SPLIT_COLUMNS = ("set", "subset", "partition", "part", "usage", "data_set", "dataset", "phase", "mode")
BOX_COLUMNS = (
    {"xmin", "ymin", "xmax", "ymax"},
    {"x_min", "y_min", "x_max", "y_max"},
    {"bbox"},
    {"x1", "y1", "x2", "y2"},
)
PIXEL_COLUMN = re.compile(r"(pixel|px|p)?_?[0-9]+(x[0-9]+)?")
# Rows that tell what a column holds, and the columns of numbers that make a table one of pixels: 7 x 7.
ROWS, MOST_NUMBERS = 100, 49


@dataclass(frozen=True)
class Columns:
    """The columns in use; with several `labels`, a row's class is the name of the only one that holds 1."""

    image: str
    labels: Sequence[str]
    split: str | None


def columns_of(rows: "DataFrame", options: DataOptions, table: Path, is_file: Callable[[str], bool]) -> Columns:
    """The columns of a table; `is_file` tells whether a value names a file.

    Raises UsageError for unknown columns, and for those that hold something else than text.
    """
    found = _columns_of(rows, options, table, is_file)
    for what, names in {"image": [found.image], "label": found.labels, "split": filter(None, [found.split])}.items():
        for name in names:
            if other := next((value for value in rows[name] if isinstance(value, OtherValue)), None):
                raise UsageError(
                    f"column {plain(name)} must hold text, numbers or booleans, got {plain(other.kind)} "
                    f"({plain(table)}); --{what}-column names another"
                )
    return found


def _columns_of(rows: "DataFrame", options: DataOptions, table: Path, is_file: Callable[[str], bool]) -> Columns:
    _refuse_pixels(rows, options, table)
    names = [str(name) for name in rows.columns]
    split = _split(rows, options, table)
    if any(Path(name).suffix and is_file(name.strip()) for name in names):
        raise UsageError(
            f"a table must begin with a row of column names, got {joined(names)} ({plain(table)}); "
            "write one above it, such as image,label"
        )
    image = _chosen(names, options.image_column, "image", table) or _named(names, IMAGE_COLUMNS, table, "image")
    head = rows.head(ROWS)
    if image is None:
        holding = [name for name in names if len(head) and all(is_file(text(value)) for value in head[name])]
        if len(holding) != 1:
            raise _unknown("image", names, table)
        image = holding[0]
    label = _chosen(names, options.label_column, "label", table) or _named(names, LABEL_COLUMNS, table, "label")
    if label is not None:
        return Columns(image, [label], split)
    others = [name for name in names if name not in (image, split) and not name.startswith("Unnamed: ")]
    if len(others) == 1 and not _is_numbered(head, others[0]):
        return Columns(image, others, split)
    flags = [name for name in others if {text(value) for value in rows[name]} <= {"0", "1", "0.0", "1.0"}]
    if len(rows) and len(flags) > 1:
        return Columns(image, flags, split)
    raise _unknown("label", names, table)


def class_in(row: dict[str, Any], columns: Columns, table: Path) -> str:
    """The class that a row gives; empty if it gives none. Raises UsageError for several."""
    if len(columns.labels) == 1:
        return text(row[columns.labels[0]])
    marked = [name for name in columns.labels if float(text(row[name])) == 1]
    if len(marked) > 1:
        raise UsageError(
            f"an image must have one label: multi-label data are not supported, got {joined(marked)} for "
            f"{plain(text(row[columns.image]))} ({plain(table)}); --label-column names one column to learn alone"
        )
    return marked[0].strip() if marked else ""


def has_boxes(rows: "DataFrame") -> bool:
    """Whether the rows are about boxes within images, by the names of their columns."""
    names = {_bare(name) for name in rows.columns}
    return any(box <= names for box in BOX_COLUMNS)


def _refuse_pixels(rows: "DataFrame", options: DataOptions, table: Path) -> None:
    """Raises UsageError for a table whose columns are the pixels of the images themselves."""
    head, names = rows.head(ROWS), {_bare(name) for name in rows.columns}
    named = [name for name in names if PIXEL_COLUMN.fullmatch(name)]
    is_named = options.image_column or names & {name for kind in IMAGE_COLUMNS for name in kind}
    numbers = [] if is_named else [name for name in head.columns if all(_is_number(text(v)) for v in head[name])]
    in_one = [name for name in head.columns if _bare(name) in ("pixels", "image") and _are_pixels(head[name])]
    if max(len(named), len(numbers)) > MOST_NUMBERS or in_one:
        raise UsageError(
            f"a table of file names is needed, got one of pixels, in {len(rows.columns):,} columns ({plain(table)}); "
            "write an .npz file of it, with numpy.savez(FILE, train_images=PIXELS, train_labels=LABELS), where PIXELS "
            "has the shape (images, height, width)"
        )


def _split(rows: "DataFrame", options: DataOptions, table: Path) -> str | None:
    names = [str(name) for name in rows.columns]
    if options.split_column is not None:
        return _chosen(names, options.split_column, "split", table)
    if split := _named(names, (SPLIT_COLUMNS,), table, "split"):
        return split
    others = [name for name in names if _bare(name) in OTHER_SPLIT_COLUMNS and len(rows)]
    found = [name for name in others if all(len(parts_in(value)) == 1 for value in {text(v) for v in rows[name]})]
    return found[0] if len(found) == 1 else None


def _chosen(names: Sequence[str], chosen: str | None, what: str, table: Path) -> str | None:
    if chosen is None or chosen in names:
        return chosen
    raise UsageError(f"--{what}-column must be a column, got {plain(chosen)} ({plain(table)} has {joined(names)})")


def _named(names: Sequence[str], usual: Sequence[Sequence[str]], table: Path, what: str) -> str | None:
    """The only column with a usual name, if there is one."""
    for kind in usual:
        found = [name for name in names if _bare(name) in kind]
        if len(found) > 1:
            raise _unknown(what, found, table)
        if found:
            return found[0]
    return None


def _unknown(what: str, names: Sequence[str], table: Path) -> UsageError:
    return UsageError(
        f"the {what} column must be known, got {joined(names)} ({plain(table)}); --{what}-column names it"
    )


def _is_numbered(rows: "DataFrame", name: str) -> bool:
    """Whether a column has another number in each row, as one of positions has."""
    values = [text(value) for value in rows[name]]
    return len(values) > 1 and len(set(values)) == len(values) and all(map(_is_number, values))


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _are_pixels(values: "Series[Any]") -> bool:
    words = [text(value).split() for value in values.head(1)]
    return any(len(each) > MOST_NUMBERS and all(map(_is_number, each)) for each in words)


def _bare(name: Any) -> str:
    """A column's name as it is compared: Image-Id, " image id" and image_id are one."""
    return "_".join(str(name).strip().lower().replace("-", " ").split())
