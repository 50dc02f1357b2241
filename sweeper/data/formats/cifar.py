"""Reads the batches of CIFAR-10 and CIFAR-100, which are pickles, without unpickling anything."""

import pickletools

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError, plain

IMAGE_SIZE = 3 * 32 * 32
# Pickle operations around and between the numbers of a list of small integers. A long list comes in several pieces.
LIST_OPERATIONS = {"EMPTY_LIST", "MARK", "APPEND", "APPENDS", "BINPUT", "LONG_BINPUT"}


def read_batch(content: bytes, place: str, labels_key: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images (N, 3, 32, 32) and labels (N,) of a batch; the images are a view of `content` where possible.

    A batch is a dictionary that Python 2 pickled with protocol 2 (A. Krizhevsky, "The CIFAR-10 dataset", its Python
    version). Under "data" it holds an array of N x 3072 bytes: the values are one string of the array's pickled state,
    right after a flag for Fortran order. Under `labels_key` it holds a list of N integers. Other keys are ignored.
    Raises SweeperError that names `place`.
    """
    pixels, fortran, labels = memoryview(b""), False, list[int]()
    key, before = "", ""
    try:
        # genops yields the operations and executes none. It rejects any length beyond the remaining content.
        for operation, value, position in pickletools.genops(content):
            name = operation.name
            if name == "SHORT_BINSTRING" and value in ("data", labels_key):
                key = str(value)
            elif key == "data" and name == "BINSTRING":
                start = int(position or 0) + 5  # one byte of operation, four of length
                pixels, fortran, key = memoryview(content)[start : start + len(str(value))], before == "NEWTRUE", ""
            elif key == labels_key and name == "BININT1":
                labels.append(int(value or 0))
            elif key == labels_key and name not in LIST_OPERATIONS:
                key = ""
            before = name
    except ValueError as error:
        said = plain(str(error))
        raise SweeperError(f"the batch must be a pickle as Python 2 wrote it, got: {said} ({place})") from None
    if not labels:
        raise SweeperError(f"the batch must hold a list {labels_key} of small integers, got none ({place})")
    if len(pixels) != len(labels) * IMAGE_SIZE:
        raise SweeperError(
            f"there must be {IMAGE_SIZE:,} bytes per image, "
            f"got {len(pixels):,} bytes and {len(labels):,} labels ({place})"
        )
    values = np.frombuffer(pixels, np.uint8)
    rows = values.reshape(IMAGE_SIZE, -1).T if fortran else values.reshape(-1, IMAGE_SIZE)
    return rows.reshape(-1, 3, 32, 32), np.array(labels, np.int64)
