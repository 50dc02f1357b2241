"""Splits the training set into train, validation (or folds) and confirm: stratified, seeded, duplicates together."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import resample

from sweeper.data.part_sizes import count_of, enough_for
from sweeper.data.trades import bring_together, spread_small_classes
from sweeper.images.shortages import leaving_out, name_of, require_every_class
from sweeper.quantities import counted

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Three disjoint parts of a training set, as sorted indices into it."""

    train: Indices
    validation: Indices
    confirm: Indices

    @property
    def sha256(self) -> str:
        """One hash of which image is in which part, the same on every machine."""
        return splits_sha256([self])


def splits_sha256(splits: Sequence[Split]) -> str:
    """One hash of which image is in which part of each split, in order; a single split gives that split's own hash."""
    digest = hashlib.sha256()
    for split in splits:
        for part in (split.train, split.validation, split.confirm):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part.astype("<i8").tobytes())
    return digest.hexdigest()


def split_once(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    validation: float | int,
    confirm: float | int,
    seed: int,
    subset: int | None = None,
    own_validation: Indices | None = None,
    classes: Sequence[str] | None = None,
) -> Split:
    """Splits a training set of images (N, C, H, W) and labels (N,) into train, validation and confirm parts.

    A float is a share of the training set (of the subset, if there is one), an int is a count; `confirm` may be 0. A
    share that comes to fewer images than there are classes is one image a class instead, if each class has an image for
    each part. `subset` first draws that many images, stratified by class. The seed determines every draw.

    `own_validation` holds the images that the data set itself keeps for validation. They become the validation part,
    whatever `validation` says; with a `subset`, a proportional number of them does. Duplicates in other parts do not
    move them, because the user chose this part.

    Guaranteed: the parts are disjoint and together make up the training set, or a subset of exactly `subset` images;
    exact duplicates share a part, even under different labels. Each part has exactly its count, and its proportional
    share of each class to within two images, as long as there are unduplicated images to trade for the duplicates
    brought together. When these run out, sizes are off by the number of images that could not be traded. A class with
    an image for each part has one in each, unless a count or a subset is smaller than the number of classes.

    Raises ValueError if a value is out of range or a part would lack an image of some class. The message gives the
    class by its name in `classes`, or else by its label.
    """
    size = _size(images, labels, seed, subset)
    if own_validation is not None:
        return _split_around(images, labels, own_validation, classes, size=size, confirm=confirm, seed=seed)
    enough = enough_for(labels, size, 3 if confirm else 2)
    n_validation = count_of("validation", validation, size, least=1, enough=enough)
    n_confirm = count_of("confirm", confirm, size, least=0, enough=enough)
    if n_validation + n_confirm >= size:
        raise ValueError(
            f"validation and confirm must leave images to train on, got {n_validation} + {n_confirm} of {size} images; "
            "--set validation=N and --set confirm=N give smaller numbers"
        )

    def split(rest: Indices, state: int) -> dict[str, Indices]:
        drawn = _stratified(rest, labels, n_validation, state)
        return {"train": np.setdiff1d(rest, drawn), "validation": drawn}

    return Split(**_parts(images, labels, classes, np.arange(len(labels)), size, n_confirm, seed, split))


def _split_around(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    validation: Indices,
    classes: Sequence[str] | None,
    *,
    size: int,
    confirm: float | int,
    seed: int,
) -> Split:
    """The split whose validation part is these images, or a proportional number of them when splitting a subset."""
    rest = np.setdiff1d(np.arange(len(labels)), validation)
    n_validation = math.floor(len(validation) * size / len(labels) + 0.5)
    enough = enough_for(labels[rest], size - n_validation, 2)
    n_confirm = count_of("confirm", confirm, size, least=0, enough=enough)
    if not n_validation or n_validation + n_confirm >= size:
        raise ValueError(
            "validation and confirm must hold images and leave some to train on, "
            f"got {n_validation} + {n_confirm} of {size} images; --set confirm=N gives a smaller number, and --resplit "
            "cuts validation from all training images"
        )
    validation = _stratified(validation, labels, n_validation, seed)
    require_every_class("validation", validation, labels, classes, is_own=True)
    parts = _parts(images, labels, classes, rest, size - n_validation, n_confirm, seed, lambda left, _: {"train": left})
    return Split(validation=validation, **parts)


def split_folds(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    folds: int,
    confirm: float | int,
    seed: int,
    subset: int | None = None,
    classes: Sequence[str] | None = None,
) -> list[Split]:
    """Splits a training set of images (N, C, H, W) and labels (N,) into a confirm part and folds for cross-validation.

    Returns one split per fold: the fold is its validation part, the other folds together are its train part, and the
    confirm part is the same in all. `confirm`, `subset` and `seed` mean the same as for `split_once`. With the same
    values, both functions choose the same confirm images, except those traded to bring duplicates together.

    Guaranteed: the folds are disjoint and together make up the training set (or subset) without confirm; exact
    duplicates share a fold, or are all in confirm, even under different labels. Confirm has exactly its count, the
    sizes of the folds differ by at most one, and so do their counts of each class, as long as there are unduplicated
    images to trade for the duplicates brought together. When these run out, sizes are off by the number of images that
    could not be traded.

    Raises ValueError if a value is out of range or a part would lack an image of some class; `classes` is as for
    `split_once`.
    """
    size = _size(images, labels, seed, subset)
    if folds < 2:
        raise ValueError(f"folds must be at least 2, got {folds}")
    n_confirm = count_of("confirm", confirm, size, least=0, enough=enough_for(labels, size, folds + 1))
    if n_confirm >= size:
        raise ValueError(
            f"confirm must leave images to train on, got {n_confirm} of {size} images; --set confirm=0 needs none"
        )

    def split(rest: Indices, state: int) -> dict[str, Indices]:
        counts = np.bincount(labels[rest], minlength=int(labels.max()) + 1)
        few = [label for label in np.unique(labels).tolist() if counts[label] < folds]
        if few:
            least = int(counts[few].min())
            remedies = [f"use at most --folds {least}"] if least > 1 else []
            remedies += leaving_out(few, labels, needed=folds + (n_confirm > 0))
            raise ValueError(
                f"each of {folds} folds must hold an image of each class, "
                f"got {counted(counts[few[0]], 'image')} of class {name_of(few[0], classes)}; {', or '.join(remedies)}"
            )
        folding = StratifiedKFold(folds, shuffle=True, random_state=state).split(rest, labels[rest])
        return {f"fold {number}": rest[fold] for number, (_, fold) in enumerate(folding, start=1)}

    parts = _parts(images, labels, classes, np.arange(len(labels)), size, n_confirm, seed, split)
    confirmed = parts.pop("confirm")
    members = np.concatenate(list(parts.values()))
    return [Split(np.setdiff1d(members, fold), fold, confirmed) for fold in parts.values()]


def raised_parts(split: Split, validation: float | int | None, confirm: float | int, n_classes: int) -> list[str]:
    """A sentence on each part whose share is too small for one image of each class, and that got these all the same.

    `validation` is None if that part is not cut by a share.
    """
    size = len(split.train) + len(split.validation) + len(split.confirm)
    return [
        f"The {name} part has {len(part):,} images, one of each class, where {100 * share:.0f} % of all would be "
        f"{share * size:,.0f}"
        for name, part, share in (("validation", split.validation, validation), ("confirm", split.confirm, confirm))
        if isinstance(share, float) and 0 < round(share * size) < n_classes <= len(part)
    ]


def duplicate_groups(images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], among: Indices) -> Iterator[Indices]:
    """The groups of two or more identical images (n, ...) `among` these indices, in order of their first image."""
    groups: dict[bytes, list[int]] = {}
    for index in among.tolist():
        key = hashlib.blake2b(images[index].tobytes(), digest_size=32).digest()
        groups.setdefault(key, []).append(index)
    return (np.array(group) for group in groups.values() if len(group) > 1)


def _size(images: NDArray[np.uint8], labels: NDArray[np.int64], seed: int, subset: int | None) -> int:
    """The number of images to split. Raises ValueError if the images, labels, seed and subset do not make sense."""
    if len(images) != len(labels):
        raise ValueError(
            f"there must be one label per image, got {counted(len(images), 'image')} and "
            f"{counted(len(labels), 'label')}"
        )
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    size = len(labels) if subset is None else subset
    if not 1 <= size <= len(labels):
        raise ValueError(f"subset must be in 1..{len(labels)} (the size of the training set), got {subset}")
    return size


def _parts(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: Sequence[str] | None,
    among: Indices,
    size: int,
    n_confirm: int,
    seed: int,
    split: Callable[[Indices, int], dict[str, Indices]],
) -> dict[str, Indices]:
    """Draws `size` images, draws confirm from them, applies `split` to the rest, and brings duplicates together."""
    draws = (int(state) for state in np.random.SeedSequence(seed).generate_state(4))
    members = _stratified(among, labels, size, next(draws))
    # Drawn first, confirm holds the same images however the rest is split, apart from those traded for duplicates.
    confirmed = _stratified(members, labels, n_confirm, next(draws))
    parts = split(np.setdiff1d(members, confirmed), next(draws)) | {"confirm": confirmed}
    part = np.zeros(len(labels), dtype=np.int64)
    for number, drawn in enumerate(parts.values()):
        part[drawn] = number
    groups = list(duplicate_groups(images, members))
    bring_together(groups, members, part, labels, next(draws))
    numbers = [number for number, drawn in enumerate(parts.values()) if len(drawn)]
    spread_small_classes(groups, members, part, labels, numbers)
    parts = {name: members[part[members] == number] for number, name in enumerate(parts)}
    for name, drawn in parts.items():
        if name != "confirm" or n_confirm:
            require_every_class(
                name, drawn, labels, classes, groups=groups, n_parts=len(numbers), is_subset=size < len(among)
            )
    return parts


def _stratified(indices: Indices, labels: NDArray[np.int64], size: int, state: int) -> Indices:
    """Draws `size` of the indices, each class in proportion, and sorts them.

    Uses scikit-learn's stratified resample without replacement. Unlike train_test_split, it may leave out fewer images
    than there are classes, so a subset can have any size.
    """
    if size == len(indices):
        return indices
    if size == 0:
        return indices[:0]
    drawn = resample(indices, replace=False, n_samples=size, stratify=labels[indices], random_state=state)
    return np.sort(drawn)
