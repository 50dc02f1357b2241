"""Finds the table that may hold the labels of a folder's images, where no option names one."""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sweeper.errors import SweeperError, UsageError, plain
from sweeper.folders.file_index import FileIndex
from sweeper.folders.names import TEST, TRAIN, parts_in
from sweeper.folders.table_columns import Columns, class_in, columns_of, text
from sweeper.folders.tables import is_table, read_table
from sweeper.folders.walk import files, folders
from sweeper.images.options import DataOptions

if TYPE_CHECKING:
    from pandas import DataFrame

# Tables in the customs of Kaggle and Hugging Face, the likeliest first.
USUAL_NAMES = ("labels", "metadata", "train", "train_labels")
# A conflict between folders and a table shows in as many rows.
MOST_ROWS = 20_000


def how_to_read(root: Path) -> str:
    """The command that takes the labels from a table in the folder, or why there is none; empty without a table.

    Raises UsageError for a table of pixels.
    """
    for table, option in _tables(root):
        command = f"`sweeper data info {_quoted(root)} --labels {_quoted(option)}`"
        try:
            rows, _ = read_table(table, head=True)
            _columns(rows, table, FileIndex(root))
        except UsageError as error:
            if "--image-column" in str(error) or "--label-column" in str(error):
                return f"if {plain(table.name)} holds the labels: {command}, where {error}"
            raise
        except SweeperError as error:
            return f"if {plain(table.name)} holds the labels: {error}"
        return f"if {plain(table.name)} holds the labels: {command}"
    return ""


def refuse_conflict(root: Path, classes_of: Mapping[str, str]) -> None:
    """Raises UsageError if a table in the folder gives its files other classes than their folders do.

    `classes_of` has the classes by their folders, as paths from the root.
    """
    for table, option in _tables(root):
        try:
            rows, _ = read_table(table, skip_bad=True)
            index = FileIndex(root)
            columns = _columns(rows, table, index)
            labels, classes = defaultdict(set), defaultdict(set)
            for row in rows.head(MOST_ROWS).to_dict("records"):
                label = class_in(row, columns, table)
                for name in index.nearest(text(row[columns.image]), table)[:1] if label else []:
                    folders_above = map(str, PurePosixPath(name).parents)
                    if class_name := next((classes_of[place] for place in folders_above if place in classes_of), None):
                        labels[class_name].add(label)
                        classes[label].add(class_name)
        except SweeperError:
            continue  # a table of something else
        if any(len(found) > 1 for found in (*labels.values(), *classes.values())):
            raise UsageError(
                f"the classes may be the folders, or those that {plain(table.name)} gives: --depth 1 takes the "
                f"folders, --labels {_quoted(option)} the table ({plain(str(root))})"
            )


def _columns(rows: "DataFrame", table: Path, index: FileIndex) -> Columns:
    return columns_of(rows, DataOptions(), table, lambda name: bool(index.named(name)))


def _tables(root: Path) -> Iterator[tuple[Path, Path]]:
    """Tables with the values of --labels that name them: those in the folder, then those of its training part."""
    here = [root / name for name in files(root) if is_table(name) and (root / name).is_file()]
    for table in sorted(here, key=_likelihood):
        if parts_in(table.stem) != {TEST} and "submission" not in table.name.lower():
            yield table, table
    for name in folders(root):
        if parts_in(name) == {TRAIN}:
            for table_name in files(root / name):
                if is_table(table_name) and (root / name / table_name).is_file():
                    yield root / name / table_name, Path(table_name)


def _likelihood(table: Path) -> tuple[int, str]:
    stem = table.name.lower().partition(".")[0]
    usual = USUAL_NAMES.index(stem) if stem in USUAL_NAMES else len(USUAL_NAMES) + ("label" not in stem)
    return usual, table.name


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
