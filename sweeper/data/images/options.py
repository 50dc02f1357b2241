"""Options for reading any data set: which classes, at what size, in colour or grey."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeper.errors import UsageError, nearest, plain

# A colour image of this side takes 50 MB: no network here can handle such images.
MOST_SIDE = 4096


@dataclass(frozen=True)
class DataOptions:
    """How the images of a data set are read.

    `classes` names the classes to keep, in label order; empty keeps all. `resize` is the side of square images, in
    pixels. With `skip_bad`, files that are not images of the right kind are left out rather than refused.
    """

    classes: tuple[str, ...] = ()
    resize: int | None = None
    grayscale: bool = False
    skip_bad: bool = False


def chosen_classes(options: DataOptions, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that the options keep. Raises UsageError for an unknown or repeated class, and for a single one."""
    for name in options.classes:
        if name not in classes:
            raise UsageError(
                f"unknown class {plain(name)}{nearest(name, classes)} Known: {_listed(classes)} (--classes)"
            )
    if len(set(options.classes)) < len(options.classes):
        raise UsageError(f"a class must be named once, got {', '.join(map(plain, options.classes))} (--classes)")
    if len(options.classes) == 1:
        raise UsageError(f"there must be at least two classes, got only {plain(options.classes[0])} (--classes)")
    return options.classes or tuple(classes)


def _listed(names: Sequence[str]) -> str:
    most = 20
    return ", ".join(map(plain, names[:most])) + f", and {len(names) - most} more" * (len(names) > most)
