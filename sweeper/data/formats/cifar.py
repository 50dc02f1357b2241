"""The batches of CIFAR-10 and CIFAR-100, which are pickles: their values are read, but nothing is unpickled."""

import pickletools

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import SweeperError, plain

IMAGE_SIZE = 3 * 32 * 32
# What stands around and between the numbers of a list of small integers. A long list comes in several pieces.
IN_A_LIST = {"EMPTY_LIST", "MARK", "APPEND", "APPENDS", "BINPUT", "LONG_BINPUT"}


def read_batch(content: bytes, place: str, labels_key: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images (N, 3, 32, 32) and labels (N,) of a batch, views of `content` where they can be.

    A batch is a dictionary that Python 2 pickled with protocol 2 (A. Krizhevsky, "The CIFAR-10 dataset", its Python
    version): under "data" an array of N x 3072 bytes, whose values are one string of its state, right behind whether
    they are in Fortran's order; under `labels_key` a list of N integers. Other keys are passed over. SweeperError
    names `place`.
    """
    pixels, fortran, labels = memoryview(b""), False, list[int]()
    key, before = "", ""
    try:
        # genops reads the operations one by one and carries none out; it believes no length that the rest cannot hold.
        for operation, value, position in pickletools.genops(content):
            name = operation.name
            if name == "SHORT_BINSTRING" and value in ("data", labels_key):
                key = str(value)
            elif key == "data" and name == "BINSTRING":
                start = int(position or 0) + 5  # one byte of operation, four of length
                pixels, fortran, key = memoryview(content)[start : start + len(str(value))], before == "NEWTRUE", ""
            elif key == labels_key and name == "BININT1":
                labels.append(int(value or 0))
            elif key == labels_key and name not in IN_A_LIST:
                key = ""
            before = name
    except ValueError as error:
        said = plain(str(error))
        raise SweeperError(f"the batch must be a pickle as Python 2 wrote it, got: {said} ({place})") from None
    if not labels:
        raise SweeperError(f"the batch must hold a list {labels_key} of small integers, got none ({place})")
    if len(pixels) != len(labels) * IMAGE_SIZE:
        raise SweeperError(
            f"there must be {IMAGE_SIZE:,} bytes an image, "
            f"got {len(pixels):,} bytes and {len(labels):,} labels ({place})"
        )
    values = np.frombuffer(pixels, np.uint8)
    rows = values.reshape(IMAGE_SIZE, -1).T if fortran else values.reshape(-1, IMAGE_SIZE)
    return rows.reshape(-1, 3, 32, 32), np.array(labels, np.int64)
