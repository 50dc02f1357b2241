"""Finds the table that may hold the labels of a folder's images, where no option names one."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sweeper.errors import SweeperError, UsageError, plain
from sweeper.folders.cells import text
from sweeper.folders.file_index import FileIndex
from sweeper.folders.names import TEST, TRAIN, parts_in
from sweeper.folders.table_columns import Columns, class_in, columns_of
from sweeper.folders.tables import is_table, read_table
from sweeper.folders.walk import files, folders
from sweeper.images.options import DataOptions

if TYPE_CHECKING:
    from pandas import DataFrame, Series

# Tables in the customs of Kaggle and Hugging Face, the likeliest first.
USUAL_NAMES = ("labels", "metadata", "train", "train_labels")
# Columns of a table about the files themselves.
NO_LABELS = ("width", "height", "size", "channels", "depth", "license", "licence")


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
                return f"if {plain(table.name)} holds the labels: {command}, with its columns: {error}"
            raise
        except SweeperError as error:
            return f"{plain(table.name)} may hold the labels, but {error}"
        return f"if {plain(table.name)} holds the labels: {command}"
    return ""


def refuse_conflict(root: Path, classes_of: Mapping[str, str]) -> None:
    """Raises UsageError if a table in the folder gives its files other classes than their folders do.

    `classes_of` has the classes by their folders, as paths from the root.
    """
    if not (tables := list(_tables(root))):
        return
    index = FileIndex(root)
    for table, option in tables:
        try:
            rows, _ = read_table(table, head=True)
        except SweeperError:
            continue  # a table of something else
        command = f"--labels {_quoted(option)}"
        try:
            columns = _columns(rows, table, index)
            folders_of = _folders_of(rows[columns.image], classes_of, index, table)
            labels = [class_in(row, columns, table) for row in rows.to_dict("records")]
            is_other = not _agree(labels, folders_of)
        except SweeperError as error:  # the columns are not known, or give several labels
            image, names = _possible_labels(rows, classes_of, index, table)
            is_other = bool(names)
            command += f" --image-column {shlex.quote(image)}" if "--image-column" in str(error) else ""
            command += f" --label-column {shlex.quote(names[0])}" if names else ""
            command += f" (or {', '.join(map(plain, names[1:]))})" if names[1:] else ""
        if is_other:
            raise UsageError(
                f"the classes may be the folders, or those that {plain(table.name)} gives: --depth 1 takes the "
                f"folders, {command} the table ({plain(root)})"
            )


def _folders_of(names: "Series[Any]", classes_of: Mapping[str, str], index: FileIndex, table: Path) -> list[str | None]:
    """The class, by its folder, of the file that each row names."""
    found = (index.nearest(text(name), table)[:1] for name in names)
    above = [[str(place) for name in each for place in PurePosixPath(name).parents] for each in found]
    return [next((classes_of[place] for place in places if place in classes_of), None) for places in above]


def _agree(labels: Sequence[str], folders_of: Sequence[str | None]) -> bool:
    """Whether each label belongs to one folder, and each folder to one label, in the rows that have both."""
    pairs = {(label, folder) for label, folder in zip(labels, folders_of, strict=True) if label and folder}
    return len(pairs) == len({label for label, _ in pairs}) == len({folder for _, folder in pairs})


def _possible_labels(
    rows: "DataFrame", classes_of: Mapping[str, str], index: FileIndex, table: Path
) -> tuple[str, list[str]]:
    """The column that names the files, and those that may be their labels; none of these if one agrees with folders."""
    named = {str(name): {file for value in rows[name] for file in index.named(text(value))} for name in rows.columns}
    image = max(named, key=lambda name: len(named[name]), default="")
    if not image or 2 * len(named[image]) < min(len(rows), len(index.names)) or not named[image]:
        return "", []
    folders_of = _folders_of(rows[image], classes_of, index, table)
    found: dict[str, int] = {}
    for name in named:
        labels = [text(value) for value in rows[name]]
        values = set(labels) - {""}
        if name == image or len(values) < 2:
            continue
        if "" not in labels and _agree(labels, folders_of):
            return image, []
        if 2 * len(values) <= len(labels) and name.strip().lower() not in NO_LABELS and not all(map(parts_in, values)):
            found[name] = len(values)
    return image, sorted(found, key=lambda name: found[name])


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
