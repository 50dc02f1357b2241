"""Finds out which folders of a data set are its parts (train, val, test) and which are classes, by their names."""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import UsageError, plain, shortened
from sweeper.folders.names import IMAGE_FOLDERS, PARTS, TEST, TRAIN, VAL, in_label_order, parts_in
from sweeper.folders.walk import files_below, folders, holds_images, n_images_in
from sweeper.images.class_names import composed, typed
from sweeper.images.options import DataOptions
from sweeper.quantities import counted

MOST_NAMED = 5


class TooFewClasses(UsageError):
    """A folder holds fewer than two folders of classes."""


@dataclass(frozen=True)
class Part:
    """A part of a data set: its folder, and by class the folders in it, as paths from there.

    A class has several folders only if Unicode can spell its name in several ways.
    """

    folder: Path
    classes: Mapping[str, Sequence[str]]

    def files(self, class_name: str) -> Iterator[Path]:
        """The files of a class, as `files_below` gives them."""
        for name in self.classes.get(class_name, ()):
            yield from files_below(self.folder / name)

    def filled(self) -> set[str]:
        """The classes that have files."""
        return {name for name in self.classes if next(self.files(name), None) is not None}

    def n_loose_images(self) -> int:
        """The number of images, by their names, that are in no class folder."""
        return n_images_in(self.folder)


@dataclass(frozen=True)
class Layout:
    """The parts of a folder of images. `classes`, in label order, are those of `train` that have files.

    `root` holds the parts; `ignored` are the folders in it that are none.
    """

    root: Path
    train: Part
    val: Part | None
    test: Part | None
    classes: tuple[str, ...]
    is_single: bool  # there are no folders for parts, so that a test part is split off
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # sentences for the user about images that are no part of the data

    @property
    def class_folders(self) -> dict[str, str]:
        """The training classes by their folders, as paths from the root."""
        place = self.train.folder.relative_to(self.root)
        return {(place / folder).as_posix(): name for name, each in self.train.classes.items() for folder in each}


def layout_of(folder: Path, options: DataOptions) -> Layout:
    """The layout of the folder; opens no file.

    Raises UsageError if the names can be read in two ways, or if there are not two classes with files.
    """
    root = folder if any(options.part_dirs) else _entered(folder)
    found = _part_folders(root, options)
    if found and TRAIN not in found:
        names = [path.name for path in found.values()]
        listed = ", ".join(map(plain, names))
        raise UsageError(
            f"there must be a folder of training images beside {listed}, got none ({plain(root)}); --train-dir names "
            f"it, and --classes {typed(folders(root))} takes all for classes"
        )
    if not found and not options.depth and (inner := _parts_in_classes(root, options)):
        train, val, test = (inner.get(part) for part in PARTS)
        assert train is not None
    else:
        train = _part(_entered(found[TRAIN], TRAIN) if found else root, options)
        val, test = (_part(_entered(found[part], part), options) if part in found else None for part in (VAL, TEST))
        if not options.depth:
            _refuse_nested_classes(train)
    classes = _classes(train, [other for other in (val, test) if other], options)
    if val:
        _require_known_classes(val, train, classes, options)
    used = {path.relative_to(root).parts[0] for path in found.values()}
    ignored = tuple(name for name in folders(root) if name not in used) if found else ()
    # Without labels, test images are told of where they are missed, and validation images are only left out if asked.
    notes = tuple(
        _loose_images(part, n)
        for part in (train, val, test)
        if part and (n := part.n_loose_images()) and (part is not test or part.filled())
    )
    is_single = not (val or test) and train.folder == root
    return Layout(root, train, val, test, classes, is_single, ignored, notes)


def _parts_in_classes(root: Path, options: DataOptions) -> dict[str, Part]:
    """The parts of a layout CLASS/train/*, CLASS/test/*; empty for another."""
    folders_of: dict[str, dict[str, list[str]]] = {part: {} for part in PARTS}
    for name in folders(root):
        inner = folders(root / name)
        said = [parts_in(below) for below in inner]
        if not inner or holds_images(root / name) or any(len(parts) != 1 for parts in said):
            return {}
        for below, parts in zip(inner, said, strict=True):
            part = parts.pop()
            if name in folders_of[part] or not holds_images(root / name / below):
                return {}
            folders_of[part][name] = [f"{name}/{below}"]
    if not folders_of[TRAIN]:
        return {}
    return {part: Part(root, classes) for part, classes in folders_of.items() if classes}


def _loose_images(part: Part, n: int) -> str:
    is_in = "s that are" if n > 1 else " that is"
    return f"ignored {n:,} image{is_in} in no folder of a class ({plain(part.folder)})"


def _part_folders(root: Path, options: DataOptions) -> dict[str, Path]:
    """The folders of the parts that there are; empty if the folders of the root are classes."""
    named = {part: name for part, name in zip(PARTS, options.part_dirs, strict=True) if name}
    for part, name in named.items():
        inner, outer = (root / name).resolve(), root.resolve()
        if outer not in inner.parents or not inner.is_dir():
            raise UsageError(f"--{part}-dir must name a folder in {plain(root)}, got {plain(name)}")
    names = folders(root)
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        for part in parts_in(name):
            found[part].append(name)
    if not named:
        if not found or (options.own_classes and set(options.own_classes) <= set(names)):
            return {}
        _refuse_class_named_like_a_part(root, names, found)
    for part in found.keys() - named.keys():
        if len(found[part]) > 1:
            listed = " and ".join(map(plain, found[part]))
            raise UsageError(
                f"one folder must hold the {part} part, got {listed} ({plain(root)}); --{part}-dir names it"
            )
    return {part: root / (named.get(part) or found[part][0]) for part in PARTS if part in found.keys() | named.keys()}


def _refuse_class_named_like_a_part(root: Path, names: Sequence[str], found: Mapping[str, Sequence[str]]) -> None:
    """Raises UsageError if a folder that is named like a part lies among folders of images, and looks like them."""
    named_like_parts = [name for name in names if parts_in(name)]
    images = [name for name in names if name not in named_like_parts and holds_images(root / name)]
    if not images or (TRAIN in found and any(folders(root / name) for name in found[TRAIN])):
        return
    suspect = named_like_parts[0]
    reading = f"--train-dir {shlex.quote(suspect)} takes it for the training part"
    if TRAIN not in parts_in(suspect):
        reading = f"--classes {typed(images)} leaves it out"
    raise UsageError(
        f"folder {plain(suspect)} may be a class or the {min(parts_in(suspect))} part of {plain(root)}; "
        f"--classes {typed(sorted([*images, *named_like_parts]))} takes it for a class, {reading}"
    )


def _part(folder: Path, options: DataOptions) -> Part:
    """The classes of a part, with the Unicode characters of their names composed."""
    names = folders(folder)
    if options.depth == 2:
        names = [f"{outer}/{inner}" for outer in names for inner in folders(folder / outer)]
    classes: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if not name.isprintable() or not name.strip():
            raise UsageError(f"a class must have a printable name, got {plain(name)} ({plain(folder)})")
        classes[composed(name)].append(name)
    return Part(folder, classes)


def _refuse_nested_classes(train: Part) -> None:
    """Raises UsageError if all images lie one folder deeper than the class folders: which are the classes?"""
    filled = {name: folders(train.folder / name) for name in folders(train.folder)}
    inner = {name: below for name, below in filled.items() if below and not holds_images(train.folder / name)}
    plainly = [name for name in filled if name not in inner and holds_images(train.folder / name)]
    # A folder in each class that always has the same name says nothing about the images.
    if plainly or not inner or len({tuple(below) for below in inner.values()}) == 1 == len(next(iter(inner.values()))):
        return
    name, below = next(iter(inner.items()))
    if any(map(parts_in, below)):
        raise UsageError(
            f"parts must lie in one folder, got {shortened(', '.join(map(plain, below)))} in {plain(name)} "
            f"({plain(train.folder)}); give the path of the folder that holds them, or make the same parts in each "
            "class"
        )
    joined = [f"{outer}/{name}" for outer, names in inner.items() for name in names]
    message = f"the classes may be {_listed(list(inner))} (--depth 1) or {_listed(joined)} (--depth 2)"
    images = [name for name in below if name.lower() in IMAGE_FOLDERS]
    if images and all(images[0] in names for names in inner.values()):  # with masks beside the images of each class
        one = typed([f"{outer}/{images[0]}" for outer in inner])
        message += f", or {one} (--depth 2 --classes)"
    elif len(common := sorted(set.intersection(*map(set, inner.values())))) > 1:  # parts by another name, or folds
        first, *_, last = inner
        line = shortened(f'"{common[0]}" = ["{first}/{common[0]}", "{last}/{common[0]}"]')
        message += (
            f", or {_listed(common)}: --train-dir FOLDER --test-dir FOLDER if the folders are parts, or --depth 2 "
            f"--map FILE with lines like {line} if they are pieces of one"
        )
    raise UsageError(
        f"{message}: give one of the options, or the path of the folder that holds the classes ({plain(train.folder)})"
    )


def _classes(train: Part, others: Sequence[Part], options: DataOptions) -> tuple[str, ...]:
    """The classes that have training files. Raises UsageError if there are not two, or if one has only other files."""
    _refuse_alike_names(train, options)
    filled = train.filled()
    for other in others if not options.map else []:
        empty = train.classes.keys() - filled
        if missing := sorted(other.filled() & empty & set(options.classes or empty)):
            raise UsageError(
                f"class {plain(missing[0])} must have training images, got some in {plain(other.folder)} and none in "
                f"{plain(train.folder)}; --classes names the classes to use"
            )
    if len(filled) < 2:
        loose = train.n_loose_images()
        found = f"only {plain(min(filled))}" if filled else "none"
        found += f" and {counted(loose, 'image')} outside of such folders" if loose else ""
        raise TooFewClasses(
            f"a folder of images must hold at least two folders of classes, got {found} ({plain(train.folder)})"
        )
    return in_label_order(filled)


def _require_known_classes(val: Part, train: Part, classes: Sequence[str], options: DataOptions) -> None:
    """Raises UsageError for validation images of a class without training images, unless the options name classes."""
    _refuse_alike_names(val, options)
    if not val.filled() and (n_loose := val.n_loose_images()) and not options.resplit:
        raise UsageError(
            f"validation images must lie in folders of classes, got {n_loose:,} without ({plain(val.folder)}); "
            "--resplit leaves them out, and cuts the part from the training images"
        )
    for name in [] if options.own_classes else sorted(val.filled() - set(classes)):
        alike = [known for known in classes if known.casefold() == name.casefold()]
        hint = join_with_map(alike[0], name) if alike else "--classes names those to use"
        raise UsageError(f"class {plain(name)} of {plain(val.folder)} must be in {plain(train.folder)} too; {hint}")


def join_with_map(known: str, other: str) -> str:
    """The remedy for a class of another part whose name differs from a training class only by case."""
    line = plain(f'"{known}" = ["{known}", "{other}"]')
    return (
        f"{plain(other)} differs from {plain(known)} only by case: lines like {line} for all classes, in a file for "
        "--map, join them"
    )


def _refuse_alike_names(part: Part, options: DataOptions) -> None:
    """Raises UsageError for names of classes that differ by case or spaces only, unless a map says what they are."""
    alike: dict[str, str] = {}
    for name in part.classes if not options.map else ():
        other = alike.setdefault("".join(name.casefold().split()), name)
        if other != name:
            both = sorted((other, name))
            raise UsageError(
                f"classes must differ by more than case and spaces, got {both[0]!r} and {both[1]!r} "
                f"({plain(part.folder)}); rename or join the folders, or join the classes with --map"
            )


def _entered(folder: Path, part: str | None = None) -> Path:
    """The folder, or the one that it holds and nothing else, to any depth: archives often unpack so.

    A folder that is named like a part is entered only within that part.
    """
    while len(names := folders(folder)) == 1 and not holds_images(folder):
        inner = folder / names[0]
        if not folders(inner) or parts_in(names[0]) - {part}:
            break
        folder = inner
    return folder


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(plain, names[:MOST_NAMED])) + ", ..." * (len(names) > MOST_NAMED)
