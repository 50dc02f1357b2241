"""Reads the .mat files of SVHN's cropped digits."""

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data.formats.gzipped import MOST_EXPANSION
from sweeper.errors import SweeperError, plain


def read_svhn(content: bytes, place: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images (N, 3, H, W) and labels (N,) of a .mat file.

    The file holds X of H x W x 3 x N bytes and y of N x 1 bytes, where 10 stands for the digit 0 (Y. Netzer et al.,
    "The Street View House Numbers Dataset", format 2). The shapes and types that the file claims are checked before
    anything is allocated. Raises SweeperError that names `place`.
    """
    claims = {name: (shape, kind) for name, shape, kind in _scipy("whosmat", content, place)}
    for name, ndim in (("X", 4), ("y", 2)):
        shape, kind = claims.get(name, ((), "nothing"))
        if kind != "uint8" or len(shape) != ndim:
            said = f"{' x '.join(map(str, shape))} of {kind}" if shape else kind
            raise SweeperError(f"{name} must have {ndim} dimensions and type uint8, got {said} ({place})")
    shapes = [claims[name][0] for name in ("X", "y")]
    n_bytes = sum(math.prod(shape) for shape in shapes)
    if shapes[0][2] != 3 or shapes[1] != (shapes[0][3], 1) or not 0 < n_bytes <= MOST_EXPANSION * len(content):
        said = " and ".join(" x ".join(map(str, shape)) for shape in shapes)
        raise SweeperError(
            f"X and y must be height x width x 3 x N and N x 1 and fit into {len(content):,} bytes, "
            f"got {said} ({place})"
        )
    arrays = _scipy("loadmat", content, place, variable_names=["X", "y"])
    labels = arrays["y"][:, 0].astype(np.int64)
    labels[labels == 10] = 0
    return np.ascontiguousarray(arrays["X"].transpose(3, 2, 0, 1)), labels


def _scipy(function: str, content: bytes, place: str, **options: Any) -> Any:
    """The result of scipy's function for the file. Raises SweeperError that names `place`."""
    import scipy.io  # imported here, because only this data set needs it

    try:
        return getattr(scipy.io, function)(io.BytesIO(content), **options)
    except Exception as error:  # damaged content raises anything: IndexError, TypeError, zlib.error, scipy's own
        raise SweeperError(f"the file must be a MATLAB 5 file, got: {plain(str(error))} ({place})") from None
