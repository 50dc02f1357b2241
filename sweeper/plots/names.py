"""Names from outside, such as those of classes, as they fit into figures: cut, still distinct, in glyphs that exist."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sweeper.plots.glyphs import escapes

# In letters.
LONGEST_CLASS_NAME = 24
ELLIPSIS = "…"
# Categories of characters that belong to the one before them. A joiner also ties the one after it.
MARKS = ("Cf", "Mc", "Me", "Mn")
JOINER = "\u200d"


def fitted(names: Sequence[str], longest: int) -> list[str]:
    """The names in at most `longest` letters (see `width`), cut at the end.

    Those that this would make alike are cut in the middle instead, or else end in their positions, counted from 0.
    """
    escaped = escapes("".join(names))
    pieces = [_pieces(name, escaped) for name in names]
    shown = ["".join(some) for some in pieces]
    long = [position for position, name in enumerate(shown) if width(name) > longest]
    for n_tail in (0, longest // 2, None):
        counts = Counter(shown)
        for position in long:
            if width(shown[position]) <= longest and counts[shown[position]] == 1:
                continue
            tail = f" {position}" if n_tail is None else "".join(_first(pieces[position][::-1], n_tail)[::-1])
            head = "".join(_first(pieces[position], longest - width(ELLIPSIS + tail)))
            shown[position] = head + ELLIPSIS + tail
    return shown


def width(text: str) -> int:
    """The width of a text in letters: Chinese, Japanese and Korean characters are as wide as two, marks have none."""
    return sum(
        0 if unicodedata.category(character) in MARKS else 1 + (unicodedata.east_asian_width(character) in "FW")
        for character in text
    )


def _pieces(name: str, escaped: Mapping[int, str]) -> list[str]:
    """The characters of a name as they are drawn, each with its marks: where the name can be cut."""
    pieces: list[str] = []
    for character in name:
        drawn = escaped.get(ord(character), character)
        is_tied = unicodedata.category(character) in MARKS or (pieces and pieces[-1].endswith(JOINER))
        if pieces and is_tied and drawn == character:
            pieces[-1] += drawn
        else:
            pieces.append(drawn)
    return pieces


def _first(pieces: Iterable[str], most: int) -> list[str]:
    """The first pieces, as many as are `most` letters wide at most."""
    found = []
    for piece in pieces:
        most -= width(piece)
        if most < 0:
            break
        found.append(piece)
    return found
