"""Reads the file that renames and joins classes: a flat TOML table of new class names, each with its old names."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeper.errors import UsageError, plain, refuse, shortened
from sweeper.images.class_names import composed
from sweeper.images.options import ClassMap
from sweeper.store.toml_text import read_toml

# A thousand times the longest map of a published data set; bounds the time that it takes to refuse any file.
MOST_BYTES = 10**6
FORM = 'Trousers = ["Jeans", "Leggings"]'


def read_map(path: Path) -> ClassMap:
    """The new classes in label order, each with its old names. Raises UsageError with rule, value and place."""
    return class_map(_table(path), f"--map {plain(path)}")


def class_map(table: Mapping[str, Any], place: str) -> ClassMap:
    """The map in this table of new names, each with its old name or a list of them. Raises UsageError at this place."""
    olds: dict[str, str] = {}
    classes = []
    for key, value in table.items():
        new = composed(key)
        if not new.isprintable() or not new.strip():
            refuse(f"a class must have a printable name, got {plain(new)}", place)
        if isinstance(value, dict):
            refuse(
                f"a map must be one table of names, got a table {plain(new)} in it; write each class as {FORM}, and a "
                "name with other characters than letters, digits, - and _ in quotation marks",
                place,
            )
        names = tuple(composed(name) for name in _names(new, value, place))
        times_of = Counter(names)
        for name in names:
            times = "twice " * (times_of[name] > 1)
            if (other := olds.setdefault(name, new)) != new or times:
                both = plain(new) if other == new else f"{plain(other)} and {plain(new)}"
                refuse(f"an old class must be named once, got {plain(name)} {times}for {both}", place)
        classes.append((new, names))
    if len({new for new, _ in classes}) < len(classes):
        refuse("a new class must be named once, got two spellings of one name", place)
    if len(classes) < 2:
        refuse(f"a map must name at least two classes, got {len(classes)}", place)
    return tuple(classes)


def _names(new: str, value: Any, place: str) -> list[str]:
    names = value if isinstance(value, list) else [value]
    if not names:
        refuse(f"class {plain(new)} must have at least one old name, got an empty list", place)
    for name in names:
        if not isinstance(name, str):
            hint = f'; write "{name}"' if isinstance(name, int | float) else ""
            refuse(f"an old name must be text, got {name!r} for class {plain(new)}{hint}", place)
    return names


def _table(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UsageError(f"a map of classes must have at most {MOST_BYTES:,} bytes, got more ({plain(path)})")
        return read_toml(content.decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"--map must be a file that can be read, got {plain(path)}: {error.strerror}") from error
    except ValueError as error:  # of the encoding, or of TOML
        reason = shortened(str(error))
        raise UsageError(
            f"--map must be valid TOML, got: {plain(reason)} ({plain(path)}); write each class as {FORM}"
        ) from error
