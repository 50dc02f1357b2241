"""Finds out which folders of a data set are its parts (train, val, test) and which are classes, by their names."""

import os
import re
import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sweeper.errors import SweeperError, UsageError, plain, shortened
from sweeper.images.class_names import typed
from sweeper.images.options import DataOptions

TRAIN, VAL, TEST = PARTS = ("train", "val", "test")
# The words that mark a folder as a part of a data set, in the customs of Kaggle, Roboflow, Hugging Face and Keras.
SPLIT_WORDS = (
    dict.fromkeys(("train", "training"), TRAIN)
    | dict.fromkeys(("val", "valid", "validation", "dev"), VAL)
    | dict.fromkeys(("test", "testing", "eval", "evaluation", "holdout"), TEST)
)
# Files that lie beside images and are none: annotations and texts, and what file managers leave behind.
SIDECARS = (".csv", ".json", ".md", ".txt", ".xml")
LITTER = ("desktop.ini", "thumbs.db")
# Endings of image files, of the formats that are read and of those that people try.
IMAGES = (
    *(".arw", ".avif", ".bmp", ".cr2", ".dcm", ".dng", ".gif", ".heic", ".heif", ".ico", ".j2k", ".jfif", ".jp2"),
    *(".jpeg", ".jpg", ".nef", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".sgi", ".svg", ".tga"),
    *(".tif", ".tiff", ".webp"),
)
MOST_NAMED = 5


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
        return sum(_is_image(entry.name) for entry in _entries(self.folder))


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
    ignored: tuple[str, ...] = ()

    @property
    def is_single(self) -> bool:
        """Whether there are no folders for parts, so that a test part is split off."""
        return self.train.folder == self.root


def layout_of(folder: Path, options: DataOptions) -> Layout:
    """The layout of the folder; opens no file.

    Raises UsageError if the names can be read in two ways, or if there are not two classes with files.
    """
    root = folder if any(options.part_dirs) else _entered(folder)
    found = _part_folders(root, options)
    if found and TRAIN not in found:
        names = ", ".join(plain(path.name) for path in found.values())
        raise UsageError(
            f"there must be a folder of training images beside {names}, got none ({_shown(root)}); --train-dir names it"
        )
    train = _part(_entered(found[TRAIN], TRAIN) if found else root, options)
    val, test = (_part(_entered(found[part], part), options) if part in found else None for part in (VAL, TEST))
    if not options.depth:
        _refuse_nested_classes(train)
    classes = _classes(train, [other for other in (val, test) if other], options)
    if val:
        _require_known_classes(val, train, classes, options)
    used = {path.relative_to(root).parts[0] for path in found.values()}
    ignored = tuple(name for name in folders(root) if name not in used) if found else ()
    return Layout(root, train, val, test, classes, ignored)


def folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted, without hidden ones."""
    return sorted(entry.name for entry in _entries(folder) if entry.is_dir() and not _is_hidden(entry.name))


def files_below(folder: Path) -> Iterator[Path]:
    """The files in a folder and below, sorted within each folder; not those that by their names are no images.

    A link to a folder is given like a file: it is not followed, since it may lead back to a parent. Raises SweeperError
    if a folder cannot be read.
    """
    for place, below, names in os.walk(folder, onerror=_unreadable):
        below[:] = sorted(name for name in below if not _is_hidden(name))
        links = [name for name in below if os.path.islink(os.path.join(place, name))]
        yield from (Path(place, name) for name in sorted(links + list(filter(_may_be_image, names))))


def in_label_order(classes: Collection[str]) -> tuple[str, ...]:
    """The classes sorted by name, or by number if all are whole numbers."""
    are_numbers = all(name.isascii() and name.isdigit() for name in classes)
    return tuple(sorted(classes, key=lambda name: (int(name), name) if are_numbers else (0, name)))


def parts_in(name: str) -> set[str]:
    """The parts of a data set that the words of a name speak of."""
    return {SPLIT_WORDS[word] for word in re.split(r"[\W_]+", name.lower()) if word in SPLIT_WORDS}


def _part_folders(root: Path, options: DataOptions) -> dict[str, Path]:
    """The folders of the parts that there are; empty if the folders of the root are classes."""
    named = {part: name for part, name in zip(PARTS, options.part_dirs, strict=True) if name}
    for part, name in named.items():
        inner, outer = (root / name).resolve(), root.resolve()
        if outer not in inner.parents or not inner.is_dir():
            raise UsageError(f"--{part}-dir must name a folder in {_shown(root)}, got {plain(name)}")
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
                f"one folder must hold the {part} part, got {listed} ({_shown(root)}); --{part}-dir names it"
            )
    return {part: root / (named.get(part) or found[part][0]) for part in PARTS if part in found.keys() | named.keys()}


def _refuse_class_named_like_a_part(root: Path, names: Sequence[str], found: Mapping[str, Sequence[str]]) -> None:
    """Raises UsageError if a folder that is named like a part lies among folders of images, and looks like them."""
    named_like_parts = [name for name in names if parts_in(name)]
    images = [name for name in names if name not in named_like_parts and _holds_images(root / name)]
    if not images or (TRAIN in found and any(folders(root / name) for name in found[TRAIN])):
        return
    suspect = named_like_parts[0]
    reading = f"--train-dir {shlex.quote(suspect)} takes it for the training part"
    if TRAIN not in parts_in(suspect):
        reading = f"--classes {typed(images)} leaves it out"
    raise UsageError(
        f"folder {plain(suspect)} may be a class or the {min(parts_in(suspect))} part of {_shown(root)}; "
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
            raise UsageError(f"a class must have a printable name, got {plain(name)} ({_shown(folder)})")
        classes[unicodedata.normalize("NFC", name)].append(name)
    return Part(folder, classes)


def _refuse_nested_classes(train: Part) -> None:
    """Raises UsageError if all images lie one folder deeper than the class folders: which are the classes?"""
    filled = {name: folders(train.folder / name) for name in folders(train.folder)}
    inner = {name: below for name, below in filled.items() if below and not _holds_images(train.folder / name)}
    plainly = [name for name in filled if name not in inner and _holds_images(train.folder / name)]
    # A folder in each class that always has the same name says nothing about the images.
    if plainly or not inner or len({tuple(below) for below in inner.values()}) == 1 == len(next(iter(inner.values()))):
        return
    name, below = next(iter(inner.items()))
    if any(map(parts_in, below)):
        raise UsageError(
            f"parts must lie in one folder, got {shortened(', '.join(map(plain, below)))} in {plain(name)} "
            f"({_shown(train.folder)}); give the path of the folder that holds them"
        )
    joined = [f"{outer}/{name}" for outer, names in inner.items() for name in names]
    raise UsageError(
        f"the classes may be {_listed(list(inner))} (--depth 1) or {_listed(joined)} (--depth 2): give one of the "
        f"options ({_shown(train.folder)})"
    )


def _classes(train: Part, others: Sequence[Part], options: DataOptions) -> tuple[str, ...]:
    """The classes that have training files. Raises UsageError if there are not two, or if one has only other files."""
    _refuse_names_that_differ_by_case(train)
    filled = train.filled()
    for other in others if not options.map else []:
        empty = train.classes.keys() - filled
        if missing := sorted(other.filled() & empty & set(options.classes or empty)):
            raise UsageError(
                f"class {plain(missing[0])} must have training images, got some in {_shown(other.folder)} and none in "
                f"{_shown(train.folder)}; --classes names the classes to use"
            )
    if len(filled) < 2:
        loose = train.n_loose_images()
        found = f"only {plain(min(filled))}" if filled else "none"
        found += f" and {loose:,} images outside of such folders" if loose else ""
        raise UsageError(
            f"a folder of images must hold at least two folders of classes, got {found} ({_shown(train.folder)})"
        )
    return in_label_order(filled)


def _require_known_classes(val: Part, train: Part, classes: Sequence[str], options: DataOptions) -> None:
    """Raises UsageError for validation images of a class without training images, unless the options name classes."""
    _refuse_names_that_differ_by_case(val)
    for name in [] if options.own_classes else sorted(val.filled() - set(classes)):
        alike = [known for known in classes if known.casefold() == name.casefold()]
        hint = f"it differs from {plain(alike[0])} only by case" if alike else "--classes names those to use"
        raise UsageError(f"class {plain(name)} of {_shown(val.folder)} must be in {_shown(train.folder)} too; {hint}")


def _refuse_names_that_differ_by_case(part: Part) -> None:
    alike: dict[str, str] = {}
    for name in part.classes:
        other = alike.setdefault(name.casefold(), name)
        if other != name:
            raise UsageError(
                f"classes must differ by more than case, got {plain(other)} and {plain(name)} ({_shown(part.folder)}); "
                "rename or join the folders"
            )


def _entered(folder: Path, part: str | None = None) -> Path:
    """The folder, or the one that it holds and nothing else, to any depth: archives often unpack so.

    A folder that is named like a part is entered only within that part.
    """
    while len(names := folders(folder)) == 1 and not _holds_images(folder):
        inner = folder / names[0]
        if not folders(inner) or parts_in(names[0]) - {part}:
            break
        folder = inner
    return folder


def _holds_images(folder: Path) -> bool:
    """Whether there is an image directly in the folder, by its name."""
    return any(_is_image(entry.name) for entry in _entries(folder))


def _is_image(name: str) -> bool:
    return not _is_hidden(name) and Path(name).suffix.lower() in IMAGES


def _may_be_image(name: str) -> bool:
    return not (_is_hidden(name) or name.lower() in LITTER or Path(name).suffix.lower() in SIDECARS)


def _is_hidden(name: str) -> bool:
    """Whether a file or folder is not for people's eyes: operating systems and tools create such everywhere."""
    return name.startswith((".", "__"))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        _unreadable(error)


def _unreadable(error: OSError) -> NoReturn:
    raise SweeperError(f"the folder must be readable, got: {error.strerror} ({plain(str(error.filename))})") from error


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(plain, names[:MOST_NAMED])) + ", ..." * (len(names) > MOST_NAMED)


def _shown(path: Path) -> str:
    return plain(str(path))
