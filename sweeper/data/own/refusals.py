"""Refuses files that are no images, and images of several sizes, with the option that helps."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from sweeper.errors import SweeperError, plain
from sweeper.images.image_set import UnusableTestImages
from sweeper.images.options import DataOptions
from sweeper.images.sizes import described, height_by_width, how_to_resize, suggested_side

MOST_REASONS, MOST_NAMED, MOST_CLASSES = 10, 5, 5
# Of each of many reasons, fewer files are named.
MANY_REASONS, NAMED_OF_MANY = 4, 3


def describe_bad(bad: Mapping[str, str]) -> str:
    """The number of bad files, and the first ones of each reason, the most common reason first."""
    by_reason = defaultdict(list)
    for name, reason in bad.items():
        by_reason[reason].append(name)
    told, most = [], NAMED_OF_MANY if len(by_reason) >= MANY_REASONS else MOST_NAMED
    for reason, names in sorted(by_reason.items(), key=lambda item: -len(item[1]))[:MOST_REASONS]:
        more = f" and {len(names) - most:,} more" if len(names) > most else ""
        told.append(f"{', '.join(map(plain, names[:most]))}{more}: {plain(reason)}")
    rest = "; ..." * (len(by_reason) > MOST_REASONS)
    return f"{len(bad):,} {'is' if len(bad) == 1 else 'are'} not ({'; '.join(told)}{rest})"


def kept(class_of: Mapping[str, str], bad: Mapping[str, str]) -> str:
    """What is left of each class without the bad files; `class_of` has the classes of all files by their names.

    Of many classes, only those that lose most are named.
    """
    total = Counter(class_of.values())
    lost = Counter(class_of[name] for name in bad)
    shown = sorted(total) if len(total) <= MOST_CLASSES else sorted(lost, key=lambda name: -lost[name] / total[name])
    told = [f"{plain(name)} {total[name] - lost[name]:,} of {total[name]:,}" for name in shown[:MOST_CLASSES]]
    return ", ".join(told) + ", ..." * (len(shown) > MOST_CLASSES)


def refuse_bad(
    class_of: Mapping[str, str], bad: Mapping[str, str], options: DataOptions, *, decoded: bool, test: bool
) -> None:
    """Raises SweeperError if some files are bad and must not be skipped, or if none is good; `class_of` is as in kept.

    UnusableTestImages for files of the test part, without which everything but a test works. Unless the good files are
    `decoded`, more of them may turn out to be bad.
    """
    if not bad or (options.skip_bad and len(bad) < len(class_of)):
        return
    if test:
        remedy = "; replace or remove them, or search with --skip-bad" if len(bad) < len(class_of) else ""
        raise UnusableTestImages(f"all test files must be images: {describe_bad(bad)}{remedy}")
    raise SweeperError(_sentence(class_of, bad, decoded=decoded))


def refuse_sizes(
    sizes: Sequence[tuple[int, int]], class_of: Mapping[str, str], bad: Mapping[str, str], place: str, *, skip_bad: bool
) -> None:
    """Raises SweeperError if the images (width, height) have several sizes; names the bad files too, if there are any.

    With `skip_bad`, it says that images of another size are not bad.
    """
    if len(set(sizes)) < 2:
        return
    message = f"all images must have one size, got {len(set(sizes)):,}: {described(sizes)} ({place}); "
    message += how_to_resize(sizes)
    if skip_bad:
        message += "; --skip-bad leaves out files that are no images, not images of another size"
    elif bad:
        message += f"; besides, {_sentence(class_of, bad, decoded=False)}"
    raise SweeperError(message)


def refuse_test_sizes(sizes: Sequence[tuple[int, int]], wanted: tuple[int, int], place: str) -> None:
    """Raises UnusableTestImages unless all test images have the size of the training images, `wanted`."""
    if others := [size for size in sizes if size != wanted]:
        raise UnusableTestImages(
            f"test images must be {height_by_width(wanted)} like the training images, got {described(others)} "
            f"({place}); a search with --resize {suggested_side([wanted])} makes all alike"
        )


def _sentence(class_of: Mapping[str, str], bad: Mapping[str, str], *, decoded: bool) -> str:
    """What is wrong with the bad files. Offers to skip them only if that leaves most images, and some of each class."""
    message = f"all files must be images: {describe_bad(bad)}"
    if len(bad) == len(class_of):
        return message
    most, of = ("", " training files") if decoded else ("at most ", " training files, if all pixels can be read")
    left = set(class_of.values()) == {name for file, name in class_of.items() if file not in bad}
    if left and 2 * len(bad) <= len(class_of):
        return f"{message}; --skip-bad leaves them out and keeps {most}{kept(class_of, bad)}{of}"
    return f"{message}; without them, there would be {most}{kept(class_of, bad)}{of}"
