"""Sorts the user's image files into parts and classes: by their folders, or by a table of labels."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sweeper.data.own import found_tables, label_table
from sweeper.data.own.folder_layout import Layout, Part, TooFewClasses, join_with_map, layout_of
from sweeper.data.own.image_files import ImageFile
from sweeper.errors import UsageError, joined, plain
from sweeper.folders.names import TEST, TRAIN, VAL, in_label_order
from sweeper.folders.other_data import other_files, refuse_other_kinds
from sweeper.images.class_choice import choose
from sweeper.images.options import DataOptions
from sweeper.quantities import counted

# The share of the files that is set aside as the test part, if the data set has no parts.
TEST_SHARE = 0.15
MOST_UNTESTED = 5


@dataclass(frozen=True)
class FileParts:
    """The image files of a data set by part, each sorted; `classes` are those that are kept, in label order.

    `training` does not hold the files of `validation`, the data set's own validation part. With `is_set_aside`, the
    data set has no parts, and `test` are the files set aside. `unusable` says why no network can be tested on the test
    images that there are. `notes` are sentences for the user about the training files.
    """

    root: Path
    place: Path  # where the training files are named: a folder or a table
    classes: tuple[str, ...]
    training: Sequence[ImageFile]
    validation: Sequence[ImageFile]
    test: Sequence[ImageFile]
    is_set_aside: bool
    unusable: str
    notes: Sequence[str]


def parts_of(root: Path, options: DataOptions, *, whole: bool = False) -> FileParts:
    """The files of the folder by part; opens no image. Raises SweeperError and UsageError.

    With `whole`, no file of a data set without parts is set aside: all are training files.
    """
    by = _by_folders if options.labels is None else _by_table
    return _with_choice(by(root, options, whole), options)


def _with_choice(parts: FileParts, options: DataOptions) -> FileParts:
    """The parts with the classes that the options choose. The files of others stay, since the data's hash covers them.

    Such a file is of no class, because a new class may have the name that an old one had.
    """
    n_images = dict.fromkeys(parts.classes, 0)
    n_images |= Counter(file.class_name for file in (*parts.training, *parts.validation))
    choice = choose(options, n_images, {file.class_name for file in parts.test} - n_images.keys())
    notes = [*parts.notes, *choice.notes]
    if options.own_classes:
        known = n_images.keys() | choice.class_of
        notes += _untested(Counter(file.class_name for file in parts.test if file.class_name not in known))
    parts = replace(parts, classes=choice.classes, notes=notes)
    if all(old == new for old, new in choice.class_of.items()):
        return parts

    def renamed(files: Sequence[ImageFile]) -> list[ImageFile]:
        return [replace(file, class_name=choice.class_of.get(file.class_name, "")) for file in files]

    return replace(
        parts,
        training=renamed(parts.training),
        validation=renamed(parts.validation),
        test=renamed(parts.test),
    )


def _by_folders(root: Path, options: DataOptions, whole: bool) -> FileParts:
    is_told = options.depth or options.own_classes or any(options.part_dirs)
    if not is_told:
        refuse_other_kinds(root)
    try:
        layout = layout_of(root, options)
    except UsageError as error:
        hint = found_tables.how_to_read(root)
        if not hint and isinstance(error, TooFewClasses):
            hint = other_files(root) or "sweeper learns to tell classes apart, each in a folder of its own"
        raise UsageError(f"{error}; {hint}" if hint else str(error)) from error
    if not is_told:
        found_tables.refuse_conflict(layout.root, layout.class_folders)
    notes = [*layout.notes]
    if layout.ignored:
        notes.append(
            f"ignored the folders of {plain(layout.root)} that are no part of the data: {joined(layout.ignored)}"
        )
    if empty := sorted(layout.train.classes.keys() - {*layout.classes}):
        notes.append(f"ignored folders without images: {joined(empty)} ({plain(layout.train.folder)})")
    names = [*layout.classes]
    if options.map:  # a class of another part may belong to a new class that has training images
        names += sorted({name for part in (layout.val, layout.test) if part for name in part.classes} - {*names})
    if options.own_classes and layout.test:
        lost = layout.test.filled() - {*names}
        notes += _untested(Counter({name: sum(1 for _ in layout.test.files(name)) for name in lost}))
    training, validation, test = (_files(layout, part, names) for part in (layout.train, layout.val, layout.test))
    sets_aside = layout.is_single and not whole
    if sets_aside:
        training, test = _set_aside(training)
        notes.append(_set_aside_note(root, "train folder", training, test))
    return FileParts(
        root=layout.root,
        place=layout.train.folder,
        classes=layout.classes,
        training=training,
        validation=validation,
        test=test,
        is_set_aside=sets_aside,
        unusable=_why_unusable(layout, options),
        notes=notes,
    )


def _files(layout: Layout, part: Part | None, classes: Sequence[str]) -> list[ImageFile]:
    """The files of a part that are of these classes, by class and name."""
    if part is None:
        return []
    return [
        ImageFile(path, path.relative_to(layout.root).as_posix(), name) for name in classes for path in part.files(name)
    ]


def _why_unusable(layout: Layout, options: DataOptions) -> str:
    """Why no network can be tested on the test images that there are; empty if one can, or if there are none."""
    test = layout.test
    if test is None:
        return ""
    filled = test.filled()
    if not filled and (n_loose := test.n_loose_images()):
        return f"test images must lie in folders of classes, got {n_loose:,} without ({plain(test.folder)})"
    return _unknown_classes(filled, layout.classes, options, test.folder)


def _untested(counts: Counter[str]) -> list[str]:
    """A sentence for the user about test images of classes that have no training images, if there are any."""
    if not counts:
        return []
    names = ", ".join(f"{plain(name)} ({n:,})" for name, n in counts.most_common(MOST_UNTESTED))
    more = ", ..." * (len(counts) > MOST_UNTESTED)
    return [f"left out test images of classes without training images: {names}{more}"]


def _unknown_classes(tested: set[str], classes: Sequence[str], options: DataOptions, place: Path) -> str:
    """What is wrong with the classes of the test images; empty if they are known, or if the options name classes."""
    unknown = sorted(tested - set(classes))
    if options.own_classes or not unknown:
        return ""
    names = joined(unknown)
    by_case = {name.casefold(): name for name in classes}
    alike = next((name for name in unknown if name.casefold() in by_case), None)
    remedy = join_with_map(by_case[alike.casefold()], alike) if alike else "--classes names those to use"
    return f"test images must be of classes that have training images, got {names} ({plain(place)}); {remedy}"


def _by_table(root: Path, options: DataOptions, whole: bool) -> FileParts:
    assert options.labels is not None
    table = root / options.labels
    found = label_table.labelled_files(root, table, options)
    notes = [f"left out rows of {plain(table)}: {found.left_out}"] if found.left_out else []
    if found.joined:
        notes.append(f"{found.joined} ({plain(table)}); write train, val or test in each row to keep them apart")
    if found.n_unnamed:
        ignored = f"ignored {counted(found.n_unnamed, 'image')}"
        notes.append(f"{ignored} that {plain(table)} does not name ({plain(root)})")
    training, validation, test = (found.parts[part] for part in (TRAIN, VAL, TEST))
    classes = in_label_order({file.class_name for file in training})
    if len(classes) < 2:
        names = f"only {plain(classes[0])}" if classes else "none"
        raise UsageError(
            f"a table of labels must hold at least two classes of training images, got {names} ({plain(table)})"
        )
    for class_name in sorted({file.class_name for file in validation} - set(classes)):
        if not options.own_classes:
            raise UsageError(
                f"class {plain(class_name)} of the validation images must have training images too ({plain(table)}); "
                "--classes names those to use"
            )
    unusable = found.unusable or _unknown_classes({file.class_name for file in test}, classes, options, table)
    sets_aside = not (found.has_parts or whole)
    if sets_aside:
        training, test = _set_aside(training)
        notes.append(_set_aside_note(table, "column of parts", training, test))
    return FileParts(root, table, classes, training, validation, test, sets_aside, unusable, notes)


def _set_aside(files: Sequence[ImageFile]) -> tuple[list[ImageFile], list[ImageFile]]:
    """The files without those that become the test part, and those.

    Whether a file does is told by the hash of its name, so that files added later move no other file.
    """
    kept: list[ImageFile] = []
    aside: list[ImageFile] = []
    for file in files:
        number = int.from_bytes(hashlib.sha256(file.name.encode("utf-8", "surrogateescape")).digest()[:8], "big")
        (aside if number < TEST_SHARE * 2**64 else kept).append(file)
    return kept, aside


def _set_aside_note(place: Path, lacking: str, kept: Sequence[ImageFile], aside: Sequence[ImageFile]) -> str:
    return (
        f"{plain(place)} has no {lacking}: {len(aside):,} of its {len(kept) + len(aside):,} files, picked by the hash "
        "of their names, are set aside as the test part"
    )
