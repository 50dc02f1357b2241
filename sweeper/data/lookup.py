"""Finds the data set that DATASET on a command line names: a known data set, or the path of the user's own data."""

import re
import shlex
from pathlib import Path

from sweeper.data.known import catalog
from sweeper.data.own import image_folder, npz
from sweeper.data.own.image_files import Format
from sweeper.errors import UsageError, plain
from sweeper.folders.other_data import what_is
from sweeper.folders.tables import is_table
from sweeper.images.image_set import ImageSet, PixelFormat, UnusableTestImages
from sweeper.images.options import DataOptions
from sweeper.images.reading import Reading
from sweeper.images.sizes import suggested_side
from sweeper.images.value_range import OPTION

NPZ = ".npz"
# Lower-case names that the user's own data cannot have: known data sets, MLflow's own experiment, and the ledger's.
RESERVED_NAMES = {*catalog.DATASETS, "default", "sweeper-ledger"}


def path_of(dataset: str) -> Path | None:
    """The path of the user's folder of images or .npz file; None for a known name. Raises UsageError for neither."""
    if dataset in catalog.DATASETS:
        return None
    path = Path(dataset)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError):  # the name is too long for a file, or holds a null character
        is_folder = is_file = False
    if not dataset or not (is_folder or is_file):
        if "/" in dataset or dataset.lower().endswith(NPZ):
            raise UsageError(f"a data set must be a known name, or a folder or file that exists, got {plain(dataset)}")
        catalog.get(dataset)
    if not str(path).isprintable():
        # Every message about the content names this path.
        raise UsageError(f"a data set's path must be printable, got {plain(dataset)}")
    if is_file and path.suffix.lower() != NPZ:
        raise UsageError(
            f"a data set must be a known name, a folder of images or an .npz file, got file {plain(dataset)}"
            f"{_remedy(path)}"
        )
    return path


def _remedy(path: Path) -> str:
    """What to do with a file that is no data set, as the end of a message."""
    if is_table(path.name) and path.suffix.lower() != ".parquet":
        return f"; for a table of labels, give the folder of its images, with --labels {shlex.quote(str(path))}"
    kind = what_is(path)
    return f", {kind}" if kind else ""


def name_of(dataset: str) -> str:
    """The name of the data set and of its experiment: a known name, or the path's last part. Raises UsageError."""
    path = path_of(dataset)
    if path is None:
        return dataset
    kind = "npz" if path.is_file() else "folder"
    last = path.resolve().name
    last = last[: -len(NPZ)] if kind == "npz" and last.lower().endswith(NPZ) else last
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip(".-")[:50] or kind
    return f"{name}-{kind}" if name.lower() in RESERVED_NAMES else name


def check_options(dataset: str, options: DataOptions) -> None:
    """Raises UsageError for options that make no sense for this data set, or beside each other."""
    path = path_of(dataset)
    if options.for_folders and (path is None or not path.is_dir()):
        raise UsageError(f"{options.for_folders[0]} is for folders of images, got {plain(dataset)}")
    if options.max_pixels is not None and (path is None or not path.is_dir()):
        raise UsageError(f"--max-pixels is for folders of images, got {plain(dataset)}")
    if options.value_range is not None and path is None:
        raise UsageError(f"{OPTION} is for your own images, got {plain(dataset)}, whose pixels are bytes")
    if options.resplit and path is None:
        raise UsageError(f"--resplit is for your own data: {dataset} has no validation part of its own")
    if options.channels is not None and (path is None or path.is_dir()):
        raise UsageError(f"--channels is for .npz files, got {plain(dataset)}")
    if options.min_per_class is not None and path is None:
        raise UsageError(f"--min-per-class is for your own data: no class of {dataset} has too few images")
    if options.no_exif and (path is None or not path.is_dir()):
        raise UsageError(f"--no-exif is for folders of images, got {plain(dataset)}")
    if options.background != DataOptions.background and path is None:
        raise UsageError(f"--background is for your own images, got {plain(dataset)}, none of which is transparent")
    columns = [name for name in options.for_folders if name.endswith("-column")]
    if options.labels is None and columns:
        raise UsageError(f"{columns[0]} needs --labels")
    if options.labels is not None and (
        others := [name for name in options.for_folders if name not in (*columns, "--labels")]
    ):
        raise UsageError(f"--labels takes the place of {others[0]}, got both")


def input_shape(dataset: str, options: DataOptions) -> tuple[int, int, int]:
    """Channels, height and width of the training images after the options are applied; decodes no image.

    Raises SweeperError and UsageError.
    """
    path = path_of(dataset)
    check_options(dataset, options)
    if path is not None and path.is_dir():
        return image_folder.training_format(path, options).input_shape
    shape = catalog.get(dataset).input_shape if path is None else npz.training_shape(path, options)
    channels, height, width = shape
    return 1 if options.grayscale else channels, options.resize or height, options.resize or width


def training_part(path: Path, options: DataOptions, reading: Reading) -> ImageSet:
    """The images for training and validation. Raises SweeperError and UsageError."""
    if path.is_dir():
        return image_folder.training_part(path, options, reading)
    return npz.training_part(path, options, reading)


def test_part(path: Path, options: DataOptions, wanted: PixelFormat, reading: Reading) -> ImageSet:
    """The test images, which must have the shape of the training images. Raises SweeperError and UsageError."""
    channels, height, width = wanted.shape
    if path.is_dir():
        return image_folder.test_part(
            path, options, Format((width, height), channels == 1, wanted.value_range), reading
        )
    part = npz.test_part(path, options, wanted, reading)
    if part.images.shape[1:] != wanted.shape:
        got, needed = ("x".join(map(str, sizes)) for sizes in (part.images.shape[1:], wanted.shape))
        is_size = part.images.shape[2:] != (height, width)
        option = f"--resize {suggested_side([(width, height)])}" if is_size else "--grayscale"
        raise UnusableTestImages(
            f"test images must be {needed} like the training images, got {got} ({plain(path)}); a search with "
            f"{option} makes all alike"
        )
    return part


def whole_part(path: Path, options: DataOptions, reading: Reading) -> ImageSet:
    """All labelled images of data that have no test part of their own. Raises SweeperError and UsageError."""
    if path.is_dir():
        return image_folder.training_part(path, options, reading, whole=True)
    return npz.training_part(path, options, reading)


def names_test_part(dataset: str, options: DataOptions) -> bool:
    """Whether the data set itself says which of its images are for tests; opens none. Raises as `has_test_part`."""
    path = path_of(dataset)
    if path is not None and path.is_dir() and image_folder.sets_aside(path, options):
        return False
    return has_test_part(dataset, options)


def has_test_part(dataset: str, options: DataOptions) -> bool:
    """Whether the data set has test images; opens none of them. Raises SweeperError and UsageError."""
    path = path_of(dataset)
    if path is None:
        return True
    return image_folder.has_test_part(path, options) if path.is_dir() else npz.has_test_part(path)


def test_sha256(path: Path, options: DataOptions) -> str | None:
    """The hash of the test part, which is read but not decoded; None if there is no test part."""
    return image_folder.test_sha256(path, options) if path.is_dir() else npz.test_sha256(path)
