"""Reads the labels and class names in an .npz file, in any of the forms in which people store them."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.data.own.npz_arrays import StoredArray
from sweeper.errors import UsageError, joined, plain
from sweeper.folders.names import in_label_order

Value = int | str


@dataclass(frozen=True, eq=False)
class Labels:
    """The label of each image of a part: whole numbers or text. `conversion` says what else was stored, if anything."""

    values: NDArray[Any]
    is_boolean: bool
    conversion: str
    place: str

    @property
    def is_text(self) -> bool:
        return self.values.dtype.kind == "U"


@dataclass(frozen=True)
class Classes:
    """The classes that have training images, in label order: their names, and the labels that stand for them.

    `empty` are names that the file gives to classes without training images.
    """

    names: tuple[str, ...]
    values: tuple[Value, ...]
    empty: tuple[str, ...]
    conversion: str

    def numbers(self, labels: Labels) -> NDArray[np.int64]:
        """The number of each image's class; -1 for a label that no training image has."""
        number_of = {value: number for number, value in enumerate(self.values)}
        stored, place = np.unique(labels.values, return_inverse=True)
        return np.array([number_of.get(value, -1) for value in stored.tolist()], dtype=np.int64)[place]


def labels_of(array: StoredArray) -> Labels:
    """The labels that an array holds. Raises UsageError if it holds anything else than one class for each image."""
    stored, conversion = _one_axis(array.values()), ""
    if not stored.ndim or not stored.size:
        raise UsageError(f"there must be at least one label, got shape {stored.shape} ({array.place})")
    if stored.dtype.kind not in "biufUS":
        raise UsageError(f"labels must be whole numbers or text, got {stored.dtype} ({array.place})")
    if stored.ndim == 2:
        stored, conversion = _from_one_hot(stored, array.place), "one-hot labels to classes"
    if stored.ndim != 1:
        shape = " x ".join(map(str, stored.shape))
        raise UsageError(
            f"labels must have shape (n,), (n, 1), or be one-hot, got {shape} ({array.place}); masks that label the "
            "pixels of an image cannot be used"
        )
    if stored.dtype.kind in "US":
        return Labels(_texts(stored, array.place), False, conversion, array.place)
    if stored.dtype.kind == "f":
        stored, conversion = _from_floats(stored, array.place), "labels of floats to whole numbers"
    is_boolean = stored.dtype.kind == "b"
    return Labels(_whole_numbers(stored, array.place), is_boolean, conversion, array.place)


def class_names_of(array: StoredArray) -> tuple[str, ...]:
    """The class names that an array holds. Raises UsageError if it does not hold different printable names."""
    given = _one_axis(array.values())
    if given.ndim != 1 or given.dtype.kind not in "USiu":
        raise UsageError(
            f"class names must be an array of text, got {given.dtype} of shape {given.shape} ({array.place}); "
            "numpy.array(NAMES, dtype=str) makes one"
        )
    found = tuple(_decoded(given if given.dtype.kind in "US" else given.astype(str), array.place))
    _require_printable(found, array.place)
    if len(set(found)) < len(found):
        raise UsageError(f"classes must have different names ({array.place})")
    return found


def classes_of(
    training: Sequence[Labels],
    names: tuple[str, ...],
    known: Sequence[Labels] = (),
    wanted: Collection[str] = (),
) -> Classes:
    """The classes of the training images with these labels; `names` are those that the file gives, if it gives any.

    `known` are the labels of other parts, and `wanted` the names of classes that the user expects: they can tell
    whether labels count the names from 0 or from 1. Raises UsageError if they do not, if the names do not fit the
    labels, or if there are not two classes.
    """
    place, present = training[0].place, _different(training)
    if names:
        found = _named_classes(present, names, present | _different(known), wanted, place)
    elif any(isinstance(value, str) for value in present):
        ordered = in_label_order({str(value) for value in present})
        _refuse_names_that_differ_by_case(ordered, place)
        found = Classes(ordered, ordered, (), "")
    else:
        numbers = sorted(present)
        as_text = [str(bool(number)) if training[0].is_boolean else str(number) for number in numbers]
        found = Classes(tuple(as_text), tuple(numbers), (), "")
    _require_printable(found.names, place)
    if len(found.names) < 2:
        only = plain(found.names[0])
        raise UsageError(f"there must be at least two classes, got only {only} ({place}); add images of another class")
    return found


def require_one_kind(first: Labels, other: Labels) -> None:
    """Raises UsageError if labels of one part are text and those of another are numbers: none would be equal."""
    if first.is_text != other.is_text:
        got, but = ("text" if labels.is_text else "whole numbers" for labels in (other, first))
        raise UsageError(
            f"labels must be of one kind in all parts, got {got} ({other.place}) and {but} ({first.place}); store both "
            "as whole numbers or both as text"
        )


def _different(parts: Sequence[Labels]) -> set[Any]:
    return {value for part in parts for value in np.unique(part.values).tolist()}


def _named_classes(
    present: set[Any], names: tuple[str, ...], known: set[Any], wanted: Collection[str], place: str
) -> Classes:
    """The named classes that have training images.

    Numbers stand for themselves if all are names, unless they are all the places of names; else they count the names
    from 0 or from 1.
    """
    conversion, numbers = "", {str(value): value for value in present}
    if any(isinstance(value, str) for value in present):
        values: tuple[Value, ...] = names
        if unknown := sorted(map(str, present - set(names))):
            raise UsageError(f"labels must be among the class names, got {joined(unknown)} ({place})")
    elif numbers.keys() <= set(names) and present != set(range(len(names))):
        values = tuple(numbers.get(name, name) for name in names)
    else:
        first = _first_label(present, names, known, wanted, place)
        values = tuple(range(first, first + len(names)))
        conversion = "labels from 1" if first else ""
        if unknown := sorted(present - set(values)):
            raise UsageError(
                f"labels must be in 0..{len(names) - 1}, as there are {len(names):,} class names, got {unknown[-1]} "
                f"({place})"
            )
    kept = [(name, value) for name, value in zip(names, values, strict=True) if value in present]
    empty = tuple(name for name, value in zip(names, values, strict=True) if value not in present)
    return Classes(tuple(name for name, _ in kept), tuple(value for _, value in kept), empty, conversion)


def _first_label(
    present: set[int], names: tuple[str, ...], known: set[int], wanted: Collection[str], place: str
) -> int:
    """Whether these training labels count the names from 0 or from 1. Raises UsageError if nothing tells."""
    if min(known) < 1 or max(present) > len(names):
        return 0
    if max(known) == len(names):
        return 1
    readings = [[names[label - first] for label in sorted(present)] for first in (0, 1)]
    meant = [first for first, classes in enumerate(readings) if wanted and set(wanted) <= set(classes)]
    if len(meant) == 1:
        return meant[0]
    from_0, from_1 = (joined(classes) for classes in readings)
    raise UsageError(
        f"labels must tell whether they count the {len(names):,} class names from 0 or from 1, got labels from "
        f"{min(present)} to {max(present)}, which may be {from_0} or {from_1} ({place}); name these in --classes, or "
        "store class_names[labels] or class_names[labels - 1] as the labels of all parts"
    )


def _one_axis(values: NDArray[Any]) -> NDArray[Any]:
    """The values without axes of size 1: (n, 1) is as usual as (n,), and MATLAB has rows (1, n)."""
    return values.reshape(-1) if values.ndim and values.size == max(values.shape) else values


def _from_one_hot(rows: NDArray[Any], place: str) -> NDArray[np.int64]:
    """The column that is 1 in each row. Raises UsageError, by name, for what else rows of labels can be."""
    n, columns = rows.shape
    got = f"{n:,} rows of {columns:,}"
    if rows.dtype.kind in "US":
        raise UsageError(f"each image must have one label, got {got} texts ({place}); keep one column")
    sums = rows.sum(axis=1, dtype=np.float64)
    if bool(((rows == 0) | (rows == 1)).all()):
        if n_other := int(np.count_nonzero(sums != 1)):
            raise UsageError(
                f"each image must have one class, got multi-label rows: {n_other:,} of {got} name none or several "
                f"({place}); keep one column, or only the images of one class"
            )
        return np.argmax(rows, axis=1)
    if rows.dtype.kind == "f" and bool((rows >= 0).all()) and bool((np.abs(sums - 1) < 1e-3).all()):
        raise UsageError(
            f"each image must have one class, got soft labels: {got} shares ({place}); numpy.argmax(labels, 1) makes "
            "classes of them"
        )
    raise UsageError(
        f"each image must have one label, got {got} numbers ({place}); keep one column, or make rows one-hot: a single "
        "1 among zeros"
    )


def _from_floats(stored: NDArray[Any], place: str) -> NDArray[np.int64]:
    values = stored.astype(np.float64)
    wrong = ~np.isfinite(values) | (values != np.round(values)) | (np.abs(values) > 2**53)
    if n_wrong := int(np.count_nonzero(wrong)):
        raise UsageError(
            f"labels must be whole numbers or text, got {values[wrong][0]:g} for {_of(n_wrong, values)} ({place}); "
            "leave these images out, or make classes of them"
        )
    return values.astype(np.int64)


def _whole_numbers(values: NDArray[Any], place: str) -> NDArray[np.int64]:
    if values.max() > np.iinfo(np.int64).max:
        raise UsageError(f"labels must be at most {np.iinfo(np.int64).max}, got {values.max()} ({place})")
    numbers = values.astype(np.int64)
    negative = numbers < 0
    # Two classes are often called -1 and 1. Elsewhere, a negative number mostly marks images without a label.
    if negative.any() and not np.isin(numbers, (-1, 1)).all():
        raise UsageError(
            f"labels must not be negative, got {numbers.min()} for {_of(int(negative.sum()), numbers)} ({place}); "
            "leave out images without a label, or number the classes from 0"
        )
    return numbers


def _texts(values: NDArray[Any], place: str) -> NDArray[Any]:
    stored, where = np.unique(values, return_inverse=True)
    names = np.array(_decoded(stored, place))[where]
    if n_empty := int(np.count_nonzero(names == "")):
        raise UsageError(
            f"labels must not be empty, got '' for {_of(n_empty, names)} ({place}); leave out images without a label"
        )
    return names


def _decoded(values: NDArray[Any], place: str) -> list[str]:
    """Text without outer spaces, its characters composed: the same name can be written in several ways."""
    found = []
    for value in values.tolist():
        if isinstance(value, bytes):
            try:
                value = value.decode()
            except UnicodeDecodeError:
                raise UsageError(f"text must be UTF-8, got {plain(repr(value))} ({place})") from None
        found.append(unicodedata.normalize("NFC", value.strip()))
    return found


def _require_printable(names: Sequence[str], place: str) -> None:
    for name in names:
        if not name.isprintable() or not name:
            raise UsageError(f"a class must have a printable name, got {plain(name)} ({place})")


def _refuse_names_that_differ_by_case(names: Sequence[str], place: str) -> None:
    """Mostly, such labels are one class. Where they are not, as for letters, an array of class names tells."""
    alike: dict[str, str] = {}
    for name in names:
        if (other := alike.setdefault(name.casefold(), name)) != name:
            raise UsageError(
                f"classes must differ by more than case, got {plain(other)} and {plain(name)} ({place}); rename or "
                "join them, or store an array class_names with all names"
            )


def _of(n: int, values: NDArray[Any]) -> str:
    return f"{n:,} of {len(values):,} images"
