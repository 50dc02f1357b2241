"""Files of the images that workers may see; all workers map them, so that memory holds one copy."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from sweeper.engine.workload import ImagesAndLabels
from sweeper.errors import SweeperError
from sweeper.store.atomic import SUFFIX, whole_folder

_NAMES = ("train_images", "train_labels", "validation_images", "validation_labels")


def write(folder: Path, folds: Iterable[tuple[ImagesAndLabels, ...]]) -> None:
    """Writes each fold's train and validation part to `folder`, and deletes the leftovers of killed processes.

    Raises SweeperError if the images cannot be written.
    """
    import numpy as np

    # Only the study's owner writes here, so any temporary folder is a leftover of a killed process.
    for leftover in folder.parent.glob(f".{folder.name}.*{SUFFIX}"):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        with whole_folder(folder) as temporary:
            for number, (train, validation) in enumerate(folds):
                (temporary / str(number)).mkdir()
                for name, array in zip(_NAMES, (*train, *validation), strict=True):
                    np.save(temporary / str(number) / f"{name}.npy", array)
    except OSError as error:
        raise SweeperError(f"the workers' images cannot be written to {folder}: {error.strerror or error}") from error


def read(folder: Path, fold: int) -> tuple[ImagesAndLabels, ImagesAndLabels]:
    """The train and the validation part of a fold, counted from 0, mapped and read-only.

    Not copy-on-write: each worker's memory limit would count such a mapping in full.
    """
    import numpy as np

    train_images, train_labels, *validation = (
        np.load(folder / str(fold) / f"{name}.npy", mmap_mode="r") for name in _NAMES
    )
    return (train_images, train_labels), (validation[0], validation[1])


def remove(folder: Path) -> None:
    """Deletes the images, if they exist."""
    shutil.rmtree(folder, ignore_errors=True)
