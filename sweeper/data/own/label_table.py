"""Reads the labels of image files from a table: a CSV, TSV or Parquet file with a row for each image."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sweeper.data.own.folder_layout import TEST, TRAIN, VAL, files_below, parts_in
from sweeper.data.own.image_files import ImageFile
from sweeper.errors import SweeperError, UsageError, plain, shortened
from sweeper.images.options import DataOptions

if TYPE_CHECKING:
    from pandas import DataFrame

# Lower-case names of columns that need no option; a column of the second kind counts only without one of the first.
IMAGE_COLUMNS = (("image", "image_id", "file_name", "filename", "path"), ("id",))
LABEL_COLUMNS = (("label", "class", "target", "category", "articletype"),)
SPLIT_COLUMNS = (("split",),)
# Tables that lie in a folder of images, in the customs of Kaggle and Hugging Face.
USUAL_NAMES = ("labels", "metadata", "train")
ENDINGS = (".csv", ".tsv", ".parquet")
MOST_NAMED = 5


@dataclass(frozen=True)
class LabelledFiles:
    """The files that a table labels, by part and sorted by name. Without a column of parts, all are in `train`.

    `n_unnamed` is the number of files with the endings of images that no row names.
    """

    parts: Mapping[str, Sequence[ImageFile]]
    has_parts: bool
    n_unnamed: int
    left_out: str  # the rows that were left out, in words; empty if none were


def labelled_files(root: Path, table: Path, options: DataOptions) -> LabelledFiles:
    """The files below `root` that the table labels; opens no image.

    A row names a file with or without its ending and its folders. Raises UsageError for columns that cannot be told,
    and for a file with several labels; SweeperError for rows without a label or a file, unless the options skip them.
    """
    rows, n_broken = _read(table, skip_bad=options.skip_bad)
    image = _column(rows, options.image_column, IMAGE_COLUMNS, table, "image")
    label = _column(rows, options.label_column, LABEL_COLUMNS, table, "label")
    split = _column(rows, options.split_column, SPLIT_COLUMNS, table, "split") if _has_split(rows, options) else None
    known = _by_ending(root)
    labels: dict[str, tuple[str, str]] = {}
    bad: dict[str, list[str]] = defaultdict(list)
    for number, row in enumerate(rows.to_dict("records"), start=1):
        name, class_name = _text(row[image]), _text(row[label])
        found = known.get(_key(name), [])
        if not name or not class_name:
            bad["without a label" if name else "without a file name"].append(name or f"row {number}")
        elif len(found) > 1:
            raise UsageError(
                f"a row must name one file, got {plain(name)} for {plain(found[0])} and {plain(found[1])} "
                f"({_shown(table)}); write the folder before the name"
            )
        elif not found:
            bad["without a file"].append(name)
        else:
            part = _part(_text(row[split]), table, split) if split else TRAIN
            if labels.setdefault(found[0], (part, class_name)) != (part, class_name):
                other = labels[found[0]]
                two = f"{plain(other[1])} and {plain(class_name)}" if other[0] == part else f"{other[0]} and {part}"
                raise UsageError(
                    f"an image must have one label and one part, got {two} for {plain(found[0])} ({_shown(table)}); "
                    "several labels for an image are not supported"
                )
    described = "; ".join(
        f"{len(names):,} {reason} ({shortened(', '.join(map(plain, names[:MOST_NAMED])))})"
        for reason, names in bad.items()
    )
    if n_broken:
        described = "; ".join(filter(None, (described, f"{n_broken:,} that cannot be read")))
    if described and not options.skip_bad:
        raise SweeperError(
            f"every row must have a label and a file: {described} ({_shown(table)}); --skip-bad leaves them out"
        )
    parts: dict[str, list[ImageFile]] = {part: [] for part in (TRAIN, VAL, TEST)}
    for name, (part, class_name) in sorted(labels.items()):
        # The label belongs to the identity, since the name does not tell it.
        parts[part].append(ImageFile(root / name, name, class_name, identity=f"{name} {class_name}"))
    n_files = len({file for files in known.values() for file in files})
    return LabelledFiles(parts, split is not None, n_files - len(labels), described)


def path_of_table(root: str, table: Path) -> str:
    """The table's path from the data set's folder, if it lies in it, so that both can be moved; else its whole path.

    `table` may be relative to the present folder or to the data set's. Raises UsageError if there is no such file.
    """
    for place in (table, root / table):
        if place.is_file():
            found, folder = place.resolve(), Path(root).resolve()
            return str(found.relative_to(folder) if folder in found.parents else found)
    raise UsageError(f"--labels must be a file that exists, got {_shown(table)}")


def usual_table(root: Path) -> Path | None:
    """The table that lies in a folder of images under a usual name, if one does."""
    found = [root / f"{name}{ending}" for name in USUAL_NAMES for ending in ENDINGS]
    return next((path for path in found if path.is_file()), None)


def _read(table: Path, *, skip_bad: bool) -> tuple["DataFrame", int]:
    """The rows as text, and the number of lines that have too many columns."""
    import pandas as pd  # takes half a second

    broken: list[list[str]] = []

    def left_out(line: list[str]) -> None:
        broken.append(line)

    try:
        if table.suffix.lower() == ".parquet":
            return pd.read_parquet(table), 0
        # Every value is text: a class may be called NA, and a file 007.
        how: dict[str, Any] = {
            "dtype": str,
            "keep_default_na": False,
            "encoding": "utf-8-sig",
            "skipinitialspace": True,
        }
        separator = "\t" if table.suffix.lower() == ".tsv" else ","
        bad_lines = left_out if skip_bad else "error"
        rows = pd.read_csv(table, sep=separator, engine="python", on_bad_lines=bad_lines, index_col=False, **how)
    except (OSError, ValueError, ImportError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SweeperError(f"a table of labels must be readable, got: {plain(reason)} ({_shown(table)})") from error
    return rows, len(broken)


def _has_split(rows: "DataFrame", options: DataOptions) -> bool:
    return options.split_column is not None or any(str(name).lower() in SPLIT_COLUMNS[0] for name in rows.columns)


def _column(rows: "DataFrame", chosen: str | None, usual: Sequence[Sequence[str]], table: Path, what: str) -> str:
    """The name of the column that is chosen, or else of the only one with a usual name."""
    names = [str(name) for name in rows.columns]
    if chosen is not None:
        if chosen not in names:
            raise UsageError(
                f"--{what}-column must be a column, got {plain(chosen)} ({_shown(table)} has {_listed(names)})"
            )
        return chosen
    for tier in usual:
        found = [name for name in names if name.lower() in tier]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"the {what} column must be known, got {_listed(found)} ({_shown(table)}); --{what}-column names it"
            )
    raise UsageError(
        f"the {what} column must be known, got only {_listed(names)} ({_shown(table)}); --{what}-column names it"
    )


def _by_ending(root: Path) -> dict[str, list[str]]:
    """All files below the root that may be images, by every end of their paths, with and without the files' endings."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in files_below(root):
        name = path.relative_to(root).as_posix()
        pieces = PurePosixPath(name).parts
        for first in range(len(pieces)):
            end = PurePosixPath(*pieces[first:])
            for key in {_key(str(end)), _key(str(end.with_suffix("")))}:
                found[key].append(name)
    return found


def _key(name: str) -> str:
    """A file's name as it is compared: on another system, the same name may be written differently."""
    return unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./"))


def _part(value: str, table: Path, column: str) -> str:
    found = parts_in(value)
    if len(found) != 1:
        raise UsageError(
            f"column {plain(column)} must say train, val or test in each row, got {plain(value)} ({_shown(table)})"
        )
    return found.pop()


def _text(value: Any) -> str:
    """The value of a cell; empty for a missing one, also in a table that has types."""
    return "" if value is None or value != value else str(value).strip()


def _listed(names: Sequence[str]) -> str:
    return shortened(", ".join(map(plain, names)))


def _shown(path: Path) -> str:
    return plain(str(path))
