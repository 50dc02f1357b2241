"""Decides which classes are kept and under which names: by a map, by name, and by their numbers of training images."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import UsageError, nearest, plain
from sweeper.images.class_names import composed, listed
from sweeper.images.options import DataOptions
from sweeper.quantities import counted

# In a list of the known classes, and in one of those that were left out.
MOST_KNOWN, MOST_LEFT_OUT = 20, 5


@dataclass(frozen=True)
class ClassChoice:
    """The classes that are kept, in label order, and which of them each class of the data set itself belongs to.

    `notes` are sentences for the user about what the map, the names, and the number of images leave out.
    """

    classes: tuple[str, ...]
    class_of: Mapping[str, str]
    notes: Sequence[str]

    def labels_of(self, own: Sequence[str]) -> NDArray[np.int64]:
        """The label of each of the data set's own classes; -1 for one that is left out."""
        place = {name: label for label, name in enumerate(self.classes)}
        return np.array([place.get(self.class_of.get(name, ""), -1) for name in own], dtype=np.int64)

    def tell(self, notify: Callable[[str], None]) -> None:
        """Tells the notes; for the training part only, since the choice is the same for the others."""
        for note in self.notes:
            notify(note)


def class_counts(labels: NDArray[np.int64], classes: Sequence[str]) -> dict[str, int]:
    """The number of images of each class; the labels (n,) are positions in `classes`, or ValueError is raised."""
    return dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))


def choose(options: DataOptions, n_images: Mapping[str, int], others: Collection[str] = ()) -> ClassChoice:
    """The choice that the options make among the data set's own classes.

    `n_images` has the number of training images of each, the data set's own validation part included, in label order;
    `others` are classes of which there are test images only. Raises UsageError for an unknown or repeated class, and
    if fewer than two are left.
    """
    notes = []
    old_names: dict[str, tuple[str, ...]] = {name: (name,) for name in n_images}
    if options.map:
        old_names = _by_map(options, [*n_images, *others])
        kept = {old for olds in old_names.values() for old in olds}
        if left_out := {name: n for name, n in n_images.items() if name not in kept}:
            notes.append(_note("--map", left_out, n_images))
    classes = _named(options.classes, list(old_names))
    all_counts = {new: sum(n_images.get(old, 0) for old in olds) for new, olds in old_names.items()}
    new_counts = {new: all_counts[new] for new in classes}
    if left_out := {new: n for new, n in all_counts.items() if new not in new_counts}:
        notes.append(_note("--classes", left_out, all_counts))
    if options.min_per_class is not None:
        small = {new: n for new, n in new_counts.items() if n < options.min_per_class}
        classes = tuple(new for new in classes if new not in small)
        if len(classes) < 2:
            largest = sorted(new_counts, key=lambda new: -new_counts[new])[:2]
            found = " and ".join(f"{plain(new)} with {new_counts[new]:,}" for new in largest)
            raise UsageError(
                f"at least two classes must have {counted(options.min_per_class, 'training image')} (--min-per-class), "
                f"got {len(classes)}; the largest are {found}"
            )
        if small:
            notes.append(_note(f"--min-per-class {options.min_per_class}", small, new_counts))
    return ClassChoice(classes, {old: new for new in classes for old in old_names[new]}, notes)


def _by_map(options: DataOptions, own: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The data set's own names of each new class."""
    spelled = {composed(name): name for name in own}
    for new, olds in options.map:
        for old in olds:
            if old not in spelled:
                raise UsageError(
                    f"unknown class {plain(old)}{nearest(old, spelled)} (--map, for {plain(new)}; known: "
                    f"{listed(own, MOST_KNOWN)})"
                )
    return {new: tuple(spelled[old] for old in olds) for new, olds in options.map}


def _named(chosen: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    spelled = {composed(name): name for name in known}
    for name in chosen:
        if name not in spelled and name not in known:
            raise UsageError(
                f"unknown class {plain(name)}{nearest(name, known)} (--classes; known: {listed(known, MOST_KNOWN)})"
            )
    if len(set(chosen)) < len(chosen):
        raise UsageError(f"a class must be named once, got {listed(chosen, len(chosen))} (--classes)")
    if len(chosen) == 1:
        raise UsageError(f"there must be at least two classes, got only {plain(chosen[0])} (--classes)")
    return tuple(name if name in known else spelled[name] for name in chosen) or tuple(known)


def _note(cause: str, left_out: Mapping[str, int], all_classes: Mapping[str, int]) -> str:
    """What was left out, the largest classes first."""
    largest = sorted(left_out, key=lambda name: -left_out[name])
    named = ", ".join(f"{plain(name)} ({left_out[name]:,})" for name in largest[:MOST_LEFT_OUT])
    more = ", ..." if len(largest) > MOST_LEFT_OUT else ""
    return (
        f"{cause} leaves out {len(left_out):,} of {len(all_classes):,} classes, {sum(left_out.values()):,} of "
        f"{sum(all_classes.values()):,} training images: {named}{more}"
    )
