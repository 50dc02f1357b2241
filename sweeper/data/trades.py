"""Trades images between the parts of a split: duplicates share a part, and every part gets every class."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def bring_together(
    groups: list[Indices], members: Indices, part: Indices, labels: NDArray[np.int64], state: int
) -> None:
    """Moves each group into one part, which gives up an unduplicated image of the same class for each image moved in.

    `members` are the indices of the images that are split, `part` (n,) has the number of each image's part, which is
    changed in place, `labels` are (n,). The trades keep all counts the same. The part of a group is that of the group's
    first image; if that part has too few images to trade, it is the part of the next image.
    """
    duplicated = np.zeros(len(part), dtype=bool)
    for group in groups:
        duplicated[group] = True
    singles: dict[tuple[int, int], list[int]] = {}
    # RandomState, because numpy never changes its stream: a split must be the same next year.
    for index in np.random.RandomState(state).permutation(members[~duplicated[members]]).tolist():
        singles.setdefault((int(part[index]), int(labels[index])), []).append(index)
    for group in groups:
        targets = part[group].tolist()
        tradable = (number for number in targets if _can_trade(group, number, part, labels, singles))
        target = next(tradable, targets[0])
        for index in group.tolist():
            origin, label = int(part[index]), int(labels[index])
            if origin == target:
                continue
            part[index] = target
            same_class = singles.get((target, label))
            if same_class:
                traded = same_class.pop()
                part[traded] = origin
                singles.setdefault((origin, label), []).append(traded)


def _can_trade(
    group: Indices,
    target: int,
    part: Indices,
    labels: NDArray[np.int64],
    singles: dict[tuple[int, int], list[int]],
) -> bool:
    """Whether part `target` has an unduplicated image of the same class for each image that the group would bring."""
    brought = Counter(labels[group[part[group] != target]].tolist())
    return all(count <= len(singles.get((target, label), ())) for label, count in brought.items())


def spread_small_classes(
    groups: Sequence[Indices], members: Indices, part: Indices, labels: NDArray[np.int64], numbers: Sequence[int]
) -> None:
    """Gives each part an image of every class, as far as there are images to trade; the numbers are those of the parts.

    Arrays are as in `bring_together`. Each image is traded for one of the receiving part's most frequent class, so
    that all sizes stay. A part keeps lacking a class if no other part has two unduplicated images of it, or if it has
    none to give.
    """
    present = {(int(part[index]), int(labels[index])) for index in members.tolist()}
    classes = np.unique(labels[members]).tolist()
    if len(present) == len(numbers) * len(classes):
        return
    singles = np.setdiff1d(members, np.concatenate(groups)) if groups else members
    tradable = {
        (number, label): singles[(part[singles] == number) & (labels[singles] == label)].tolist()
        for number in numbers
        for label in classes
    }
    for number, label in sorted(tradable.keys() - present):
        donor = max(numbers, key=lambda other: len(tradable[other, label]))
        given = max((key for key in tradable if key[0] == number), key=lambda key: len(tradable[key]))
        if len(tradable[donor, label]) < 2 or len(tradable[given]) < 2:
            continue
        for origin, target in (((donor, label), (number, label)), (given, (donor, given[1]))):
            image = tradable[origin].pop()
            tradable[target].append(image)
            part[image] = target[0]
