"""Works on many image files in threads, within a limit on memory."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from PIL import Image

# The most bytes that the threads together may hold of files and of images that are being decoded.
HELD_BYTES = 1 << 30
THREADS = min(8, os.cpu_count() or 1)

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(work: Callable[[Item], Result], items: Sequence[Item], n_at_once: int) -> list[Result]:
    """What `work` makes of each item, in order, of `n_at_once` items at a time."""
    if n_at_once <= 1:
        return list(map(work, items))
    with ThreadPoolExecutor(min(THREADS, n_at_once)) as threads:
        return list(threads.map(work, items))


@contextmanager
def silent_pillow(max_pixels: int) -> Iterator[None]:
    """Silences Pillow's warnings and log: real faults raise errors, and odd metadata does not matter.

    Pillow refuses images of so many pixels neither: its own limit is no lower.
    """
    logger = logging.getLogger("PIL")
    level, limit = logger.level, Image.MAX_IMAGE_PIXELS
    logger.setLevel(logging.CRITICAL + 1)
    if limit is not None:
        Image.MAX_IMAGE_PIXELS = max(limit, max_pixels)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
        logger.setLevel(level)
