"""Reads the image files that a person gives to a trained network, in the form of the images it was trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweeper.analysis.network import TrainedNetwork
from sweeper.data.own import image_decoding, image_files
from sweeper.data.own.image_files import Format, Header, ImageFile
from sweeper.data.own.refusals import describe_bad
from sweeper.errors import SweeperError, UsageError, joined, plain
from sweeper.folders.names import may_be_image
from sweeper.folders.walk import files as files_in
from sweeper.folders.walk import files_below, folders
from sweeper.images.class_choice import MOST_KNOWN
from sweeper.images.class_names import composed, listed
from sweeper.images.options import DataOptions
from sweeper.images.reading import Reading
from sweeper.images.sizes import described
from sweeper.images.value_range import ValueRange

OPTION = "--images"


@dataclass(frozen=True, eq=False)
class GivenImages:
    """Images uint8 (n, channels, height, width), their files, and their labels (n,) if they lie in class folders."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    files: tuple[str, ...]


def read(
    paths: Sequence[Path],
    network: TrainedNetwork,
    options: DataOptions,
    resize: bool,
    value_range: Callable[[], ValueRange | None],
    reading: Reading,
) -> GivenImages:
    """The images of these files and folders, read by the `options` of the network's training images.

    `value_range` gives the stored values that became 0 and 255 for training; it is called if a file has more than 8
    bits a channel. Raises UsageError and SweeperError.
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise UsageError(f"there must be at least one image, got none in {joined(map(str, paths))} ({OPTION})")
    channels, height, width = network.input_shape
    options = replace(options, resize=options.resize or (width if resize else None), skip_bad=False)
    inspected = image_files.inspect(
        files, exif=not options.no_exif, max_pixels=options.max_pixels, notify=reading.notify
    )
    headers = [found.header for found in inspected if isinstance(found.header, Header)]
    if len(headers) < len(files):
        bad = {found.file.name: found.header for found in inspected if isinstance(found.header, str)}
        raise SweeperError(f"all files must be images: {describe_bad(bad)} ({OPTION})")
    others = [header.size for header in headers if header.size != (width, height)]
    if others and not options.resize:
        remedy = f"--resize {width} makes them so" if height == width else "store them at that size"
        raise UsageError(
            f"images must be {height}x{width} like the training images, got {described(others)} ({OPTION}); {remedy}"
        )
    is_deep = any(header.form.is_deep for header in headers)
    wanted = Format((width, height), channels == 1, value_range() if is_deep else None)
    classes, are_labels = _classes(files, network)
    content = image_files.content_sha256(inspected)
    found = image_decoding.read(inspected, content, classes, wanted, options, reading, test=True)
    return GivenImages(found.images, found.labels if are_labels else None, tuple(file.name for file in files))


def _files(path: Path) -> list[ImageFile]:
    """The file, or the images of the folder: those of its folders, as classes, or else those directly in it."""
    if not str(path).isprintable():
        raise UsageError(f"a path must be printable, got {plain(path)} ({OPTION})")
    if path.is_dir():
        found = [(place, name) for name in folders(path) for place in files_below(path / name)]
        directly = [(path / name, "") for name in files_in(path) if may_be_image(name)]
        if found and directly:
            raise UsageError(f"a folder must hold images or folders of classes, got both in {plain(path)} ({OPTION})")
        found = found or directly
        return [ImageFile(place, str(place), composed(name)) for place, name in found]
    if not path.is_file():
        raise UsageError(f"images must be files or folders that exist, got {plain(path)} ({OPTION})")
    return [ImageFile(path, str(path), "")]


def _classes(files: Sequence[ImageFile], network: TrainedNetwork) -> tuple[tuple[str, ...], bool]:
    """The classes of the files by their positions, and whether these are their labels: if all lie in class folders."""
    named = {file.class_name for file in files}
    if "" in named:
        return tuple(sorted(named)), False
    if unknown := sorted(named - set(network.classes)):
        raise UsageError(
            f"folders of images must be named as classes of the network, got {joined(unknown)} ({OPTION}); its classes "
            f"are {listed(network.classes, MOST_KNOWN)}"
        )
    return network.classes, True
