"""Reads a folder of images: a folder for each class, alone or in folders for the parts of the data set."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from sweeper.data.own import image_decoding, image_files
from sweeper.data.own.file_parts import FileParts, parts_of
from sweeper.data.own.image_files import Format, ImageFile, Inspected
from sweeper.data.own.refusals import describe_bad, kept, refuse_sizes, refuse_test_sizes
from sweeper.errors import SweeperError, UsageError, plain
from sweeper.folders.names import TEST
from sweeper.images.class_names import typed
from sweeper.images.image_set import ImageSet, NoTestImages, UnusableTestImages
from sweeper.images.options import DataOptions
from sweeper.images.reading import Reading
from sweeper.images.shortages import MOST_TYPED, PARTS

MOST_LINKS = 5


def training_format(root: Path, options: DataOptions) -> Format:
    """The format that the training images are converted to; decodes none. Raises SweeperError and UsageError."""
    parts = parts_of(root, options)
    files = [file for file in (*parts.training, *parts.validation) if file.class_name in parts.classes]
    return _training_format(parts, _inspected(files, options, hashed=False), options)


def training_part(root: Path, options: DataOptions, reading: Reading, *, whole: bool = False) -> ImageSet:
    """The images for training and validation, the data set's own validation part last. Opens no file of the test part.

    With `whole`, none is set aside if the data set has no parts. Raises SweeperError and UsageError.
    """
    parts = parts_of(root, options, whole=whole)
    for note in parts.notes:
        reading.notify(note)
    files = [*parts.training, *parts.validation]
    _tell_links(parts, files, reading)
    part = _part(parts, files, None, options, reading)
    _refuse_empty_classes(parts, {parts.classes[label] for label in np.unique(part.labels)})
    return part


def test_part(root: Path, options: DataOptions, wanted: Format, reading: Reading) -> ImageSet:
    """The images of the test part, or those set aside if the data set has no parts, in the training images' format.

    Raises NoTestImages if there are none that can be tested on, whatever is wrong with them, and SweeperError and
    UsageError for what is wrong with the training part too.
    """
    parts = parts_of(root, options)
    files = _test_files(parts)
    if not any(file.class_name in parts.classes for file in files):
        found = "none of the classes asked for" if files else "none set aside" if parts.is_set_aside else "none"
        raise NoTestImages(f"there must be a test part, got {found} ({plain(root)})")
    _tell_links(parts, files, reading)
    try:
        return _part(parts, files, wanted, options, reading)
    except NoTestImages:
        raise
    except SweeperError as error:  # of the test files alone, so that it hinders nothing but a test
        raise UnusableTestImages(str(error)) from error


def has_test_part(root: Path, options: DataOptions) -> bool:
    """Whether there are labelled test images, by the names of files: opens none. Raises SweeperError and UsageError."""
    return bool(_test_files(parts_of(root, options)))


def sets_aside(root: Path, options: DataOptions) -> bool:
    """Whether the data set has no parts, so that images are set aside as a test part: opens none.

    Raises SweeperError and UsageError.
    """
    return parts_of(root, options).is_set_aside


def test_sha256(root: Path, options: DataOptions) -> str | None:
    """The hash of the test part, whose files are read but not decoded; None if there is no test part.

    Raises UnusableTestImages if no network can be tested on it.
    """
    files = _test_files(parts_of(root, options))
    return image_files.content_sha256(_inspected(files, options)) if files else None


def _part(
    parts: FileParts,
    files: Sequence[ImageFile],
    wanted: Format | None,
    options: DataOptions,
    reading: Reading,
) -> ImageSet:
    """The images of these files that belong to the classes: of the test part in the wanted format, or in their own."""
    classes = parts.classes
    inspected = _inspected(files, options, notify=reading.notify)
    content = image_files.content_sha256(inspected)
    chosen = _select_classes(inspected, classes)
    class_of = {found.file.name: found.file.class_name for found in chosen}
    test = wanted is not None
    if not options.resize:
        _refuse_other_sizes(parts, chosen, wanted, class_of, options)
    wanted = wanted or _training_format(parts, chosen, options)
    for remark in image_files.remarks(chosen, TEST if test else "training"):
        reading.notify(remark)
    # The same files have other labels with another map.
    decoded = f"{content} {options.map}" if options.map else content
    found = image_decoding.read(chosen, decoded, classes, wanted, options, reading, test=test)
    if found.bad:
        reading.notify(
            f"left out files, since all must be images: {describe_bad(found.bad)}; kept {kept(class_of, found.bad)}"
        )
    validation = set() if options.resplit else {file.name for file in parts.validation}
    names = tuple(each.file.name for each in chosen if each.file.name not in found.bad)
    return ImageSet(
        images=found.images,
        labels=found.labels,
        classes=classes,
        sha256=content,
        source=str(parts.root),
        n_validation=sum(name in validation for name in names),
        conversions=found.conversions,
        files=names,
        value_range=found.value_range,
    )


def _inspected(
    files: Sequence[ImageFile],
    options: DataOptions,
    *,
    hashed: bool = True,
    notify: Callable[[str], None] = lambda note: None,
) -> list[Inspected]:
    return image_files.inspect(
        files, exif=not options.no_exif, hashed=hashed, max_pixels=options.max_pixels, notify=notify
    )


def _refuse_other_sizes(
    parts: FileParts,
    inspected: Sequence[Inspected],
    wanted: Format | None,
    class_of: Mapping[str, str],
    options: DataOptions,
) -> None:
    """Raises SweeperError unless all images have one size: the wanted one, if the training images have told it."""
    sizes = [found.header.size for found in inspected if isinstance(found.header, Format)]
    place = plain(parts.root)
    if wanted:
        refuse_test_sizes(sizes, wanted.size, place)
        return
    bad = {found.file.name: found.header for found in inspected if isinstance(found.header, str)}
    refuse_sizes(sizes, class_of, bad, place, skip_bad=options.skip_bad)


def _training_format(parts: FileParts, inspected: Sequence[Inspected], options: DataOptions) -> Format:
    _refuse_empty_classes(parts, {found.file.class_name for found in inspected})
    return image_files.common_format(inspected, options)


def _test_files(parts: FileParts) -> Sequence[ImageFile]:
    if parts.unusable:
        raise UnusableTestImages(parts.unusable)
    return parts.test


def _tell_links(parts: FileParts, files: Sequence[ImageFile], reading: Reading) -> None:
    """Tells once of links to places outside the data set's folder: what lies there is read too."""
    root = os.path.realpath(parts.root)
    folders = {folder for file in files for folder in file.path.parents if parts.root in folder.parents}
    links = [path for path in (*sorted(folders), *(file.path for file in files)) if path.is_symlink()]
    outside = [(path, target) for path in links if not Path(target := os.path.realpath(path)).is_relative_to(root)]
    if outside:
        shown = "; ".join(f"{plain(path)} -> {plain(target)}" for path, target in outside[:MOST_LINKS])
        more = f"; and {len(outside) - MOST_LINKS:,} more" if len(outside) > MOST_LINKS else ""
        reading.notify(f"images are also read outside of {plain(parts.root)}, where links lead: {shown}{more}")


def _refuse_empty_classes(parts: FileParts, present: Collection[str]) -> None:
    """Raises UsageError, with what helps, if a class has no training image among those that are present."""
    for name in parts.classes:
        if name not in present:
            counts = Counter(file.class_name for file in parts.training)
            n_aside = sum(file.class_name == name for file in parts.test) if parts.is_set_aside else 0
            others = [other for other in parts.classes if other in present]
            enough = [other for other in others if counts[other] >= PARTS]
            aside = f" beside the {n_aside:,} set aside as the test part" if n_aside else ""
            remedy = "add training images"
            if n_aside and len(enough) > 1:
                remedy += f", or leave out classes too small to be split with --min-per-class {PARTS}"
            elif 2 <= len(others) <= MOST_TYPED:
                remedy += f", or leave the class out with --classes {typed(others)}"
            place = plain(parts.place)
            raise UsageError(f"class {plain(name)} must hold at least one image, got none{aside} ({place}); {remedy}")


def _select_classes(inspected: Sequence[Inspected], classes: Sequence[str]) -> list[Inspected]:
    """The files of the classes, in the order of the files and not of the classes."""
    wanted = set(classes)
    return [found for found in inspected if found.file.class_name in wanted]
