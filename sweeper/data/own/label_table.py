"""Reads the labels of image files from a table, with a row for each image, or from a table in each part's folder."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sweeper.data.own.image_files import ImageFile
from sweeper.errors import SweeperError, UsageError, plain, shortened
from sweeper.folders import table_columns
from sweeper.folders.cells import text
from sweeper.folders.file_index import FileIndex
from sweeper.folders.names import PARTS, TEST, TRAIN, is_image, parts_in
from sweeper.folders.table_columns import Columns
from sweeper.folders.tables import read_table
from sweeper.folders.walk import folders
from sweeper.images.class_names import composed
from sweeper.images.options import DataOptions

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_NAMED = 5
# As many different numbers may be classes, even if there are few rows.
FEW_CLASSES = 10
# Between the labels of one image, in the customs of published multi-label data.
LABEL_SEPARATORS = "|;,"


@dataclass(frozen=True)
class LabelledFiles:
    """The files that a table labels, by part and sorted by name. Without parts, all are in `train`.

    `n_unnamed` is the number of files with the endings of images that no row names.
    """

    parts: Mapping[str, Sequence[ImageFile]]
    has_parts: bool
    n_unnamed: int
    left_out: str  # the rows that were left out, in words; empty if none were
    joined: str = ""  # the parts that the column of parts has several words for, in words; empty if there are none
    unusable: str = ""  # why no network can be tested on the rows of the test part, if there are any


@dataclass
class _Labels:
    """What the rows read so far give: a part and a class by file, and the bad rows by reason, apart those for tests."""

    of_file: dict[str, tuple[str, str]] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)  # the files of bad rows too
    words: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # of the column of parts, by part
    bad: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    bad_tests: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def labelled_files(root: Path, table: Path, options: DataOptions) -> LabelledFiles:
    """The files below `root` that the table labels; opens no image.

    If there is no such table, those of that name in the folders of the parts are read. A row names a file with or
    without its ending and its folders. The parts are those that a column says, or else those whose folders hold the
    files, if several do. Raises UsageError for columns that cannot be told, and for a file with several labels;
    SweeperError for rows without a label or a file, unless the options skip them.
    """
    files = FileIndex(root)
    found = _Labels()
    has_parts, n_broken = not table.is_file(), 0
    for place, part in _tables(root, table):
        rows, broken = read_table(place, skip_bad=options.skip_bad)
        columns = table_columns.columns_of(rows, options, place, lambda name: bool(files.named(name)))
        _read_rows(rows, columns, place, part, files, found)
        has_parts, n_broken = has_parts or columns.split is not None, n_broken + broken
    if not has_parts:
        has_parts = _part_by_folders(found)
    left_out = "; ".join(filter(None, (_described(found.bad), f"{n_broken:,} that cannot be read" * (n_broken > 0))))
    if left_out and (not options.skip_bad or not found.of_file):
        message = f"every row must have a label and a file: {left_out} ({plain(table)}); {_remedy(found, files)}"
        raise SweeperError(message)
    _refuse_unprintable(found, table)
    _refuse_numbers(found, options, table)
    _refuse_several_labels(found, options, table)
    parts: dict[str, list[ImageFile]] = {part: [] for part in PARTS}
    for name, (part, class_name) in sorted(found.of_file.items()):
        # The label belongs to the identity, since the name does not tell it.
        parts[part].append(ImageFile(root / name, name, composed(class_name), identity=f"{name} {class_name}"))
    tests, unusable = _described(found.bad_tests), ""
    if tests and options.skip_bad:
        left_out = "; ".join(filter(None, (left_out, f"of the test part, {tests}")))
    elif tests:
        unusable = f"every row of the test part must have a label and a file: {tests} ({plain(table)})"
    n_unnamed = sum(is_image(name) for name in files.names if name not in found.named)
    joined = "; ".join(
        f"{' and '.join(map(plain, sorted(words)))} are one {part} part"
        for part, words in found.words.items()
        if len({word.casefold() for word in words}) > 1
    )
    return LabelledFiles(parts, has_parts, n_unnamed, left_out, joined, unusable)


def path_of_table(root: str, table: Path) -> str:
    """The table's path from the data set's folder, if it lies in it, so that both can be moved; else its whole path.

    `table` may be relative to the present folder or to the data set's, or the name of tables in the folders of parts.
    Raises UsageError if there is no such file.
    """
    for place in (table, root / table):
        if place.is_file():
            found, folder = place.resolve(), Path(root).resolve()
            return str(found.relative_to(folder) if folder in found.parents else found)
    if Path(root).is_dir() and len(table.parts) == 1 and list(_tables(Path(root), root / table)):
        return str(table)
    raise UsageError(f"--labels must be a file that exists, got {plain(table)}")


def _tables(root: Path, table: Path) -> Iterator[tuple[Path, str | None]]:
    """The table, or else those of its name in the folders of parts, each with its part."""
    if table.is_file():
        yield table, None
        return
    for name in folders(root):
        if len(said := parts_in(name)) == 1 and (root / name / table.name).is_file():
            yield root / name / table.name, said.pop()


def _read_rows(
    rows: "DataFrame", columns: Columns, table: Path, whole: str | None, files: FileIndex, found: _Labels
) -> None:
    """Adds what the rows give; `whole` is the part that the whole table is of, if it is of one."""
    has_boxes = table_columns.has_boxes(rows)
    for number, row in enumerate(rows.to_dict("records"), start=1):
        name, class_name = text(row[columns.image]), table_columns.class_in(row, columns, table)
        part = whole or (_part(text(row[columns.split]), table, columns.split) if columns.split else TRAIN)
        if columns.split and not whole:
            found.words[part].add(text(row[columns.split]))
        named = files.nearest(name, table)
        is_test = part == TEST or bool(named and not columns.split and not class_name and all(map(_is_of_test, named)))
        bad = found.bad_tests if is_test else found.bad
        found.named.update(named)
        if not name or not class_name:
            bad["without a label" if name else "without a file name"].append(name or f"row {number}")
        elif len(named) > 1:
            raise UsageError(
                f"a row must name one file, got {plain(name)} for {plain(named[0])} and {plain(named[1])} "
                f"({plain(table)}); write the folder before the name"
            )
        elif not named:
            bad["without a file"].append(name)
        elif has_boxes and named[0] in found.of_file:
            raise UsageError(
                f"detection data are not supported, got several boxes for {plain(named[0])} ({plain(table)}); cut the "
                "boxes out, and write each to the folder of its class"
            )
        elif found.of_file.setdefault(named[0], (part, class_name)) != (part, class_name):
            other = found.of_file[named[0]]
            two = f"{plain(other[1])} and {plain(class_name)}" if other[0] == part else f"{other[0]} and {part}"
            raise UsageError(
                f"an image must have one label and one part, got {two} for {plain(named[0])} ({plain(table)}); "
                "several labels for an image (multi-label data) are not supported"
            )


def _part_by_folders(found: _Labels) -> bool:
    """Takes the parts from the folders that hold the files, if they say several; returns whether they do."""
    said = {name: [parts_in(folder) for folder in Path(name).parts[:-1]] for name in found.of_file}
    part_of = {name: next((parts.copy().pop() for parts in each if len(parts) == 1), "") for name, each in said.items()}
    if TRAIN not in part_of.values() or len(set(part_of.values()) - {""}) < 2 or "" in part_of.values():
        return False
    found.of_file = {name: (part_of[name], class_name) for name, (_, class_name) in found.of_file.items()}
    return True


def _remedy(found: _Labels, files: FileIndex) -> str:
    """What helps against bad rows; leaving them out does only if others are left."""
    number_of = {stem.lstrip("0"): name for name in files.names if (stem := PurePosixPath(name).stem).isdigit()}
    for name in found.bad["without a file"]:
        if (other := number_of.get(PurePosixPath(name).stem.lstrip("0"))) and name[:1].isdigit():
            return (
                f"a spreadsheet may have taken zeros from the names, as {plain(name)} may be {plain(other)}: write "
                "them in full, as text"
            )
    if len({class_name for _, class_name in found.of_file.values()}) > 1:
        return "--skip-bad leaves them out"
    return "--image-column and --label-column name other columns"


def _refuse_unprintable(found: _Labels, table: Path) -> None:
    """Raises UsageError for a class whose name would not be one line as it is shown."""
    for file, (_, class_name) in found.of_file.items():
        if not class_name.isprintable():
            raise UsageError(
                f"a class must have a printable name, got {plain(class_name)} for {plain(file)} ({plain(table)}); "
                "write the label as one line without control characters"
            )


def _refuse_numbers(found: _Labels, options: DataOptions, table: Path) -> None:
    """Raises UsageError if labels are measurements, nearly all different, and no option chooses among them."""
    labels = [class_name for _, class_name in found.of_file.values()]
    n_different = len(set(labels))
    chosen = options.own_classes or options.min_per_class
    if not chosen and n_different > max(FEW_CLASSES, len(labels) / 2) and all(map(_is_number, set(labels))):
        raise UsageError(
            f"labels must be classes: regression data are not supported, got {n_different:,} different numbers in "
            f"{len(labels):,} rows, such as {plain(labels[0])} ({plain(table)}); write a column of classes, such as "
            "ranges of the numbers, or name another with --label-column"
        )


def _is_number(label: str) -> bool:
    return re.fullmatch(r"[-+]?\d*[.,]?\d+([eE][-+]?\d+)?", label) is not None


def _refuse_several_labels(found: _Labels, options: DataOptions, table: Path) -> None:
    """Raises UsageError if labels are lists of other labels, as a|b beside a and b is, and no option names classes."""
    classes = {class_name for _, class_name in found.of_file.values()}
    for class_name in sorted(classes) if not options.own_classes else []:
        for separator in LABEL_SEPARATORS:
            pieces = {piece.strip() for piece in class_name.split(separator)}
            if len(pieces) > 1 and pieces <= classes:
                raise UsageError(
                    f"an image must have one label: multi-label data are not supported, got {plain(class_name)} beside "
                    f"{shortened(' and '.join(map(plain, sorted(pieces))))} ({plain(table)}); --map or --classes "
                    "names the classes to use"
                )


def _is_of_test(name: str) -> bool:
    """Whether a file lies in the folder of a test part."""
    return any(parts_in(folder) == {TEST} for folder in Path(name).parts[:-1])


def _described(bad: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(
        f"{len(names):,} {reason} ({shortened(', '.join(map(plain, names[:MOST_NAMED])))})"
        for reason, names in bad.items()
    )


def _part(value: str, table: Path, column: str) -> str:
    found = parts_in(value)
    if len(found) != 1:
        raise UsageError(
            f"column {plain(column)} must say train, val or test in each row, got {plain(value)} ({plain(table)}); "
            "write one of these there, or take the column away: then a test part is set aside"
        )
    return found.pop()
