"""Finds out by their names which arrays of an .npz file are images, labels and class names, and of which part."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sweeper.data.own.npz_arrays import names, opened
from sweeper.errors import SweeperError, UsageError, plain, shortened
from sweeper.folders.names import SPLIT_WORDS, TEST, TRAIN, VAL

Kind = Literal["images", "labels"]
KINDS: dict[str, Kind] = {
    **dict.fromkeys(("images", "image", "imgs", "img", "pixels", "x", "xs"), "images"),
    **dict.fromkeys(("data", "dataset", "features", "inputs"), "images"),
    **dict.fromkeys(("labels", "label", "lbls", "lbl", "y", "ys", "targets", "target"), "labels"),
}
# Those of folders' names, and the short ones of Xtr and Xte.
PART_WORDS = {**SPLIT_WORDS, **dict.fromkeys(("tr", "trn"), TRAIN), **dict.fromkeys(("te", "tst"), TEST)}
FILLERS = ("set",)  # as in train_set_x
# Words of an array that says which part each image belongs to.
DIVISIONS = ("split", "splits", "fold", "folds", "partition")
CLASS_NAMES = ("classes", "classnames", "labelnames", "targetnames")
NO_PART = ""
MOST_LISTED = 10


@dataclass(frozen=True)
class Keys:
    """The names of an .npz file's arrays, by part and kind. `others` are the names that say neither."""

    path: Path
    found: Mapping[tuple[str, Kind], Sequence[str]]
    class_names: Sequence[str]
    others: Sequence[str]

    @property
    def are_without_parts(self) -> bool:
        """Whether no name tells of a part, so that all images are training images."""
        return all(part == NO_PART for part, _ in self.found)

    @property
    def unused(self) -> list[str]:
        """The arrays of images or labels that no part takes, because others go before them."""
        parts, kinds = (TRAIN, VAL, TEST), set(KINDS.values())
        used = {name for part in parts for kind in kinds for name in self._named(part, kind)}
        return [name for named in self.found.values() for name in named if name not in used]

    def has(self, part: str) -> bool:
        """Whether there are images and labels of the part. Raises UsageError if there are only one of both."""
        images, labels = self._named(part, "images"), self._named(part, "labels")
        if bool(images) != bool(labels):
            name, other = (images[0], "labels") if images else (labels[0], "images")
            raise UsageError(
                f"images and labels of a part must both be there, got {plain(name)} and no {part} {other} "
                f"({plain(self.path)}); {part}_{other} would be understood"
            )
        return bool(images)

    def refuse_division(self) -> None:
        """Raises UsageError if an array seems to say which part each image belongs to: it must not be passed over."""
        words = (*PART_WORDS, *DIVISIONS)
        dividing = [name for name in self.others if any(word in words for word in _words(name))]
        if self.are_without_parts and dividing:
            raise UsageError(
                f"each part must have arrays of its own, got {_listed(dividing)} beside images without a part "
                f"({plain(self.path)}); store the parts as train_images, train_labels, test_images, test_labels"
            )

    def array(self, part: str, kind: Kind) -> str:
        """The name of the array. Raises UsageError if there is none, or more than one."""
        found = self._named(part, kind)
        if len(found) > 1:
            raise UsageError(
                f"one array must hold the {kind} of the {part} part, got {_listed(found)} ({plain(self.path)}); "
                "store the file without the others"
            )
        if not found:
            raise UsageError(
                f"the file must hold images and labels under names such as {part}_images and {part}_labels, "
                f"x_{part} and y_{part}, images and labels, or X and y, got no {part} {kind} among "
                f"{_described(self.path)} ({plain(self.path)}); numpy.savez(FILE, train_images=..., "
                "train_labels=...) names them"
            )
        return found[0]

    def of_classes(self) -> str | None:
        """The name of the array of class names, if there is one. Raises UsageError for more than one."""
        if len(self.class_names) > 1:
            raise UsageError(
                f"one array must hold the class names, got {_listed(self.class_names)} ({plain(self.path)}); "
                "store the file without the others"
            )
        return self.class_names[0] if self.class_names else None

    def _named(self, part: str, kind: Kind) -> Sequence[str]:
        named = self.found.get((part, kind), ())
        plainest: dict[Kind, str] = {"images": f"{part}_images", "labels": f"{part}_labels"}
        if all(name in self.found.get((part, each), ()) for each, name in plainest.items()):
            return [plainest[kind]]
        if part != TRAIN:
            return named
        # Beside arrays of the training part, a pair without a part is a second reading, and a single array is none.
        without = {each: self.found.get((NO_PART, each), ()) for each in ("images", "labels")}
        names_training = any(part == TRAIN for part, _ in self.found)
        return [*named, *without[kind]] if all(without.values()) or not names_training else named


def keys_of(path: Path) -> Keys:
    """The file's keys; reads no array. Raises SweeperError."""
    found: dict[tuple[str, Kind], list[str]] = defaultdict(list)
    class_names, others = [], []
    for name in dict.fromkeys(names(path)):  # of two members with one name, the last one counts
        words = _words(name)
        if "".join(words) in CLASS_NAMES:
            class_names.append(name)
        elif meaning := _meaning(words):
            found[meaning].append(name)
        else:
            others.append(name)
    return Keys(path, found, class_names, others)


def _meaning(words: Sequence[str]) -> tuple[str, Kind] | None:
    """The part and kind that a name of these words speaks of; None if it says anything else."""
    parts = {PART_WORDS[word] for word in words if word in PART_WORDS}
    kinds = {KINDS[word] for word in words if word in KINDS}
    if not kinds or len(parts) > 1 or any(word not in (*PART_WORDS, *KINDS, *FILLERS) for word in words):
        return None
    kind: Kind = "labels" if "labels" in kinds else "images"  # image_labels are labels
    return (parts.pop() if parts else NO_PART), kind


def _words(name: str) -> list[str]:
    """The words of a name in small letters: split at signs, before capitals, and within xtrain and trainx."""
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=^[XY])(?=[A-Z])", " ", name).lower())
    return [part for word in words for part in _parted(word)]


def _parted(word: str) -> tuple[str, ...]:
    if word[0] in "xy" and word[1:] in PART_WORDS:
        return word[0], word[1:]
    return (word[:-1], word[-1]) if word[-1] in "xy" and word[:-1] in PART_WORDS else (word,)


def _described(path: Path) -> str:
    """The arrays of the file with their types and shapes."""
    found = list(dict.fromkeys(names(path)))
    shown = []
    for name in found[:MOST_LISTED]:
        try:
            with opened(path, name) as array:
                shown.append(f"{plain(name)} ({array.dtype}, {' x '.join(map(str, array.shape))})")
        except SweeperError:
            shown.append(f"{plain(name)} (no numbers or text)")
    more = f" and {len(found) - MOST_LISTED:,} more" if len(found) > MOST_LISTED else ""
    return ", ".join(shown) + more if found else "no arrays"


def _listed(found: Sequence[str]) -> str:
    return shortened(" and ".join(map(plain, found)))
