"""How the images of a data set are read, apart from what they become."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """Who is told what happens while images are read: `notify` gets lines for the user."""

    notify: Callable[[str], None]
