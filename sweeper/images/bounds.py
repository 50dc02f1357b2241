"""Refuses images that would take more memory than there is, or far more than the files that they come from."""

from collections.abc import Sequence
from math import ceil, prod

from sweeper.errors import SweeperError
from sweeper.process.resources import available_memory
from sweeper.quantities import counted

# Files of less than this, decoded, may be of any kind: black images compress a thousandfold.
ANY_RATIO_BYTES = 3_000_000_000
# No real images are this many times larger than their files: JPEG reaches 20, masks in .npz files 100.
MOST_RATIO = 200
RESIZE = "make them smaller with --resize, or "


def check_size(
    shape: Sequence[int], stored: int | None, max_bytes: int | None, place: str, advice: str = RESIZE
) -> None:
    """Raises SweeperError if uint8 images of this shape are too large, decoded; call it before anything is expanded.

    `stored` is the size in bytes of the files with these images, None if the user has asked for the size of the images.
    `max_bytes` is the bound that the user gives, which replaces all others. `advice` says what helps besides.
    """
    needed, images = prod(shape), f"{counted(shape[0], 'image')} of {'x'.join(map(str, shape[1:]))}"
    if max_bytes is not None:
        if needed > max_bytes:
            raise SweeperError(
                f"images must take {size(max_bytes)} at most (--max-bytes), got {size(needed)}, {images} ({place})"
            )
        return
    # Training copies its part of the images once.
    require_memory(needed, images, place, advice)
    if stored is not None and needed > ANY_RATIO_BYTES and needed > MOST_RATIO * stored:
        raise SweeperError(
            f"images of more than {size(ANY_RATIO_BYTES)}, decoded, must take {MOST_RATIO} times the bytes of their "
            f"files at most, got {size(needed)} from {size(stored)}, {images}, {needed // max(1, stored):,} times as "
            f"many ({place}); {_lift(needed)}"
        )


def require_memory(needed: int, images: str, place: str, advice: str = "") -> None:
    """Raises SweeperError if images that need so many bytes do not fit into the memory that is available."""
    memory = available_memory()
    if memory is not None and needed > memory:
        raise SweeperError(
            f"images must fit into the available memory, {size(memory)}, got {size(needed)}, {images} ({place}); "
            f"{advice}{_lift(needed)}"
        )


def size(n_bytes: int) -> str:
    """A number of bytes for people."""
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 100_000_000 else f"{n_bytes / 1e6:,.1f} MB"


def _lift(needed: int) -> str:
    return f"lift this bound with --max-bytes {ceil(needed / 1e6)}MB"
