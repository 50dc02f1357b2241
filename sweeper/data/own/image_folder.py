"""Reads a folder of images: train/CLASS/*, perhaps with val/ and test/ beside train/, or class folders alone."""

import hashlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from sweeper.data.images.image_set import ImageSet, NoTestImages
from sweeper.data.images.options import DataOptions, chosen_classes
from sweeper.data.images.reading import Reading
from sweeper.data.own import image_decoding, image_files
from sweeper.data.own.image_files import Format, ImageFile, Inspected
from sweeper.errors import SweeperError, UsageError, plain, shortened

# The share of a single folder of classes that is set aside as the test part.
TEST_SHARE = 0.15
# Lower-case names that people give to parts of a data set other than training, and hardly ever to a class.
PARTS = {"val", "validation", "test", "testing"}
MOST_LINKS = 5


@dataclass(frozen=True)
class Layout:
    """The layout of a folder of images: each part is a folder of class folders; `classes` are in label order."""

    root: Path
    train: Path
    val: Path | None
    test: Path | None
    classes: tuple[str, ...]

    @property
    def is_single(self) -> bool:
        """Whether there are no folders for parts, so that a test part is split off."""
        return self.train == self.root


def layout_of(root: Path) -> Layout:
    """The layout of the folder. Raises UsageError, in one line, if the folder does not have two usable classes."""
    if (root / "train").is_dir():
        train = root / "train"
        val, test = (root / name if (root / name).is_dir() else None for name in ("val", "test"))
    else:
        train, val, test = root, None, None
    classes = _class_folders(train)
    if len(classes) < 2:
        found = "none" if not classes else f"only {plain(classes[0])}"
        raise UsageError(f"a folder of images must hold at least two folders of classes, got {found} ({train})")
    if train == root and (parts := [name for name in classes if name.lower() in PARTS]):
        # Parts must not pass for classes: the network would learn which part an image is in.
        raise UsageError(f"a folder with val or test parts must have a folder train, got {', '.join(parts)} ({root})")
    for part in (val, test):
        for name in _class_folders(part) if part is not None else ():
            if name not in classes:
                raise UsageError(f"class {plain(name)} of {plain(str(part))} must be in {plain(str(train))} too")
    return Layout(root, train, val, test, classes)


def training_format(root: Path, options: DataOptions) -> Format:
    """The format that the training images are converted to; decodes none. Raises SweeperError and UsageError."""
    layout = layout_of(root)
    classes = chosen_classes(options, layout.classes)
    files = [file for file in _training_files(layout) if file.class_name in classes]
    return _training_format(layout, classes, image_files.inspect(files, hashed=False), options)


def training_part(root: Path, options: DataOptions, reading: Reading) -> ImageSet:
    """The images for training and validation, those of val/ last. Opens no file of the test part.

    Raises SweeperError and UsageError.
    """
    layout = layout_of(root)
    classes = chosen_classes(options, layout.classes)
    files = _training_files(layout)
    if layout.is_single:
        n_files = len(_files(layout, root))
        reading.notify(
            f"{plain(str(root))} has no train folder: {n_files - len(files):,} of its {n_files:,} files, picked by the "
            "hash of their names, are set aside as the test part"
        )
    elif others := [name for name in _folders(root) if name not in ("train", "val", "test")]:
        names = shortened(", ".join(map(plain, others)))
        reading.notify(f"ignored the folders of {root} that are not train, val or test: {names}")
    _tell_links(layout, [part for part in (layout.train, layout.val) if part], files, reading)
    part = _part(layout, files, classes, None, options, reading)
    _refuse_empty_classes(layout, classes, {classes[label] for label in np.unique(part.labels)})
    return part


def test_part(root: Path, options: DataOptions, wanted: Format, reading: Reading) -> ImageSet:
    """The images of test/, or those set aside from a single folder of classes, in the training images' format.

    Raises NoTestImages if there are none, and SweeperError and UsageError.
    """
    layout = layout_of(root)
    classes = chosen_classes(options, layout.classes)
    files = _test_files(layout)
    if not any(file.class_name in classes for file in files):
        found = "none set aside" if layout.is_single else "no file in its folder" if layout.test else "no test folder"
        found = "none of the classes asked for" if files else found
        raise NoTestImages(f"there must be a test part, got {found} ({plain(str(root))})")
    _tell_links(layout, [layout.test] if layout.test else [], files, reading)
    return _part(layout, files, classes, wanted, options, reading)


def has_test_part(root: Path) -> bool:
    """Whether there are test images, by the names of files: opens none. Raises SweeperError and UsageError."""
    return bool(_test_files(layout_of(root)))


def test_sha256(root: Path) -> str | None:
    """The hash of the test part, whose files are read but not decoded; None if there is no test part."""
    files = _test_files(layout_of(root))
    return image_files.content_sha256(image_files.inspect(files)) if files else None


def _part(
    layout: Layout,
    files: Sequence[ImageFile],
    classes: tuple[str, ...],
    wanted: Format | None,
    options: DataOptions,
    reading: Reading,
) -> ImageSet:
    """The images of these files that belong to the classes, in the wanted format or else that of the training part."""
    inspected = image_files.inspect(files, notify=reading.notify)
    content = image_files.content_sha256(inspected)
    chosen = _select_classes(inspected, classes)
    if wanted is None:
        wanted = _training_format(layout, classes, chosen, options)
    found = image_decoding.read(chosen, content, classes, wanted, options, reading)
    if found.bad:
        reading.notify(
            f"left out bad files, since all files must be images of one kind: {image_files.describe_bad(found.bad)}"
        )
    validation = [each.file for each in chosen if layout.val and each.file.name.startswith("val/")]
    return ImageSet(
        images=found.images,
        labels=found.labels,
        classes=classes,
        sha256=content,
        source=str(layout.root),
        n_validation=sum(file.name not in found.bad for file in validation),
    )


def _training_format(
    layout: Layout, classes: tuple[str, ...], inspected: Sequence[Inspected], options: DataOptions
) -> Format:
    _refuse_empty_classes(layout, classes, {found.file.class_name for found in inspected})
    return image_files.common_format(inspected, options)


def _training_files(layout: Layout) -> list[ImageFile]:
    if layout.is_single:
        return [file for file in _files(layout, layout.root) if not _is_set_aside(file)]
    return _files(layout, layout.train) + (_files(layout, layout.val) if layout.val else [])


def _test_files(layout: Layout) -> list[ImageFile]:
    if layout.is_single:
        return [file for file in _files(layout, layout.root) if _is_set_aside(file)]
    return _files(layout, layout.test) if layout.test else []


def _is_set_aside(file: ImageFile) -> bool:
    """Whether the file's name hashes into the test part, so that files added later move no other file."""
    number = int.from_bytes(hashlib.sha256(file.name.encode("utf-8", "surrogateescape")).digest()[:8], "big")
    return number < TEST_SHARE * 2**64


def _files(layout: Layout, part: Path) -> list[ImageFile]:
    """The files of a part, by class and name. Skips hidden files, because operating systems create such files."""
    found = []
    for class_name in filter(lambda name: (part / name).is_dir(), layout.classes):
        for place, folders, names in os.walk(part / class_name, onerror=_unreadable):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            # A link to a folder is not followed, since it may lead back to a parent, but it is reported as a bad file.
            links = [name for name in folders if os.path.islink(os.path.join(place, name))]
            prefix = Path(place).relative_to(layout.root).as_posix()
            for name in sorted(names + links):
                if not name.startswith("."):
                    found.append(ImageFile(Path(place, name), f"{prefix}/{name}", class_name))
    return found


def _tell_links(layout: Layout, parts: Sequence[Path], files: Sequence[ImageFile], reading: Reading) -> None:
    """Tells once of links to places outside the data set's folder: what lies there is read too."""
    root = os.path.realpath(layout.root)
    folders = [part / name for part in parts for name in ("", *layout.classes)]
    links = [path for path in (*folders, *(file.path for file in files)) if path != layout.root and path.is_symlink()]
    outside = [(path, target) for path in links if not Path(target := os.path.realpath(path)).is_relative_to(root)]
    if outside:
        shown = "; ".join(f"{plain(str(path))} -> {plain(target)}" for path, target in outside[:MOST_LINKS])
        more = f"; and {len(outside) - MOST_LINKS:,} more" if len(outside) > MOST_LINKS else ""
        reading.notify(f"images are also read outside of {plain(str(layout.root))}, where links lead: {shown}{more}")


def _refuse_empty_classes(layout: Layout, classes: Sequence[str], present: Collection[str]) -> None:
    for name in classes:
        if name not in present:
            aside = ", not counting the files set aside as the test part" if layout.is_single else ""
            raise UsageError(
                f"class {plain(name)} must hold at least one image, got none ({plain(str(layout.train))}{aside})"
            )


def _select_classes(inspected: Sequence[Inspected], classes: Sequence[str]) -> list[Inspected]:
    """The files of the classes, in the order of the files and not of the classes."""
    wanted = set(classes)
    return [found for found in inspected if found.file.class_name in wanted]


def _class_folders(part: Path) -> tuple[str, ...]:
    names = _folders(part)
    for name in names:
        if not name.isprintable() or not name.strip():
            raise UsageError(f"a class must have a printable name, got {plain(name)} ({plain(str(part))})")
    return tuple(names)


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        _unreadable(error)


def _unreadable(error: OSError) -> NoReturn:
    raise SweeperError(f"the folder must be readable, got: {error.strerror} ({plain(str(error.filename))})") from error
