"""How the images of a data set are read, apart from what they become."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """How images are read: `notify` gets lines for the user.

    `max_bytes` is the most that decoded images may take; None for what the memory and the size of the files allow.
    """

    notify: Callable[[str], None]
    max_bytes: int | None = None
