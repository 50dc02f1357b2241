"""What a user may ask of any data set: which classes, at what size, in colour or grey."""

from collections.abc import Sequence
from dataclasses import dataclass

from sweeper.errors import UsageError, nearest, plain

# Images of this side, in colour, are 50 MB each: no network here takes them.
MOST_SIDE = 4096


@dataclass(frozen=True)
class DataOptions:
    """`classes` are the names to keep, in this order: all, where empty; `resize` is the side of square images (pixels).

    With `skip_bad`, files that are no images of the right kind are left out rather than refused.
    """

    classes: tuple[str, ...] = ()
    resize: int | None = None
    grayscale: bool = False
    skip_bad: bool = False


AS_IT_IS = DataOptions()


def chosen_classes(options: DataOptions, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes asked for, of those that there are. Raises UsageError for others, and for fewer than two."""
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
