"""Refuses parts of a split that lack images of a class, with what to do about it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sweeper.errors import plain
from sweeper.images.class_names import typed
from sweeper.quantities import counted

Indices = NDArray[np.int64]
# Train, validation and confirm: a class of as many images has one in each.
PARTS = 3
# A list of class names that is to be typed must stay short.
MOST_TYPED = 10


def require_every_class(
    part: str,
    members: Indices,
    labels: Indices,
    classes: Sequence[str] | None,
    *,
    groups: Sequence[Indices] = (),
    n_parts: int = PARTS,
    is_own: bool = False,
    is_subset: bool = False,
) -> None:
    """Raises ValueError, with the remedies, if the part lacks a class that the labels (n,) have.

    `members` are the indices of the part's images. `groups` are those of identical images, which share one of `n_parts`
    parts. `is_own` says that the data set itself keeps these images as the part, `is_subset` that only some are split.
    """
    counts = np.bincount(labels)
    present, held = np.flatnonzero(counts), np.unique(labels[members])
    absent = np.setdiff1d(present, held)
    if not len(absent):
        return
    fewest = int(counts[absent].min())
    if not is_own:
        _refuse_copies(part, labels, classes, groups, absent, n_parts)
    remedies = []
    if is_own:
        remedies.append("--resplit cuts this part from all training images")
        if classes is not None and 2 <= len(held) <= MOST_TYPED:
            remedies.append(f"--classes {typed([classes[label] for label in held])} uses those that it has")
    elif is_subset:
        remedies.append("a larger --subset draws more of each class")
    elif part == "train":
        remedies.append("--set validation=N and --set confirm=N leave more for it")
    elif len(members) < len(present) and part in ("validation", "confirm"):
        remedies.append(f"--set {part}={len(present)} or more makes it large enough")
    if part == "confirm" or fewest == PARTS - 1:
        remedies.append("--set confirm=0 needs no confirm part")
    if fewest < PARTS:
        remedies += leaving_out(absent[counts[absent] < PARTS], labels, PARTS)
    remedies = remedies or ["copies of an image share a part: remove the copies"]
    raise ValueError(
        f"{part} must hold an image of each of the {len(present)} classes, got {counted(len(members), 'image')} "
        f"without class {name_of(absent[0], classes)}, which has {counts[absent[0]]:,} in all; "
        + ", or ".join(remedies)
    )


def _refuse_copies(
    part: str,
    labels: Indices,
    classes: Sequence[str] | None,
    groups: Sequence[Indices],
    absent: Indices,
    n_parts: int,
) -> None:
    """Raises ValueError if a class that is absent has images for each part only by their copies: no number helps."""
    counts = np.bincount(labels)
    different = counts.copy()
    for group in groups:
        held, n_held = np.unique(labels[group], return_counts=True)
        different[held] -= n_held - 1
    few = [label for label in absent.tolist() if different[label] < n_parts <= counts[label]]
    if not few:
        return
    remedies = [f"add other images: a class needs {n_parts} that differ"]
    enough = np.flatnonzero(different >= n_parts)
    if classes is not None and 2 <= len(enough) <= MOST_TYPED:
        remedies.append(f"--classes {typed([classes[label] for label in enough.tolist()])} uses those that have them")
    raise ValueError(
        f"{part} must hold an image of each of the {np.count_nonzero(counts)} classes, "
        f"got {counted(counts[few[0]], 'image')} of class {name_of(few[0], classes)}, of which only "
        f"{counted(different[few[0]], 'is', 'are')} different: copies share a part; {', or '.join(remedies)}"
    )


def leaving_out(few: Sequence[int] | Indices, labels: Indices, needed: int) -> list[str]:
    """The remedies for classes of too few images: to leave them out, or else to add images up to the number needed."""
    counts = np.bincount(labels)
    enough = int(counts[few].max()) + 1
    n_out = int(((counts > 0) & (counts < enough)).sum())
    if (counts >= enough).sum() < 2:
        return [f"add images: a class needs {needed} or more"]
    return [f"--min-per-class {enough} leaves out {'this class' if n_out == 1 else counted(n_out, 'class', 'classes')}"]


def name_of(label: int, classes: Sequence[str] | None) -> str:
    """The class's name, or its number if it has none, for a message."""
    return str(label) if classes is None else plain(classes[label])
