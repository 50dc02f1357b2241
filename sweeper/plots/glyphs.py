"""Characters that figures can draw: the installed font that has one, or an escape for what no font has."""

import re
from collections.abc import Iterable
from functools import cache
from threading import Lock

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.ft2font import FT2Font

# Fonts for parts of formulas, whose characters are not what their codes say, and one that has a box for each code.
UNFIT = re.compile(r"cm\w{1,2}10|STIX(?:NonUnicode|Size).*|Last Resort.*")
NORMAL_WEIGHTS = (400, "normal", "regular")

# The family of each character that the usual font lacks; None if no font has it. Opening all fonts takes seconds.
_families: dict[str, str | None] = {}
_lock = Lock()


def drawable(text: str) -> str:
    """The text, with each character that no font has as in Python's source code, such as `\\u4e2d`."""
    return text.translate(escapes(text))


def escapes(text: str) -> dict[int, str]:
    """The characters of the text that no font has, by their codes, with what is drawn instead."""
    return {
        ord(character): character.encode("unicode_escape").decode()
        for character, family in _looked_up(text).items()
        if family is None
    }


def families(text: str) -> list[str]:
    """The families of fonts that have the characters of the text, the usual one first."""
    others = {family for family in _looked_up(text).values() if family}
    return [_usual_font().family_name, *sorted(others)]


def _looked_up(text: str) -> dict[str, str | None]:
    """The families of those characters of the text that the usual font lacks."""
    usual = _usual_font()
    lacking = {character for character in text if character != "\n" and not usual.get_char_index(ord(character))}
    with _lock:
        if unknown := lacking - _families.keys():
            _families.update(_search(unknown))
        return {character: _families[character] for character in lacking}


def _search(characters: Iterable[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = dict.fromkeys(characters)
    for family, path in _fallbacks():
        if not (left := [character for character, known in found.items() if known is None]):
            break
        try:
            font = get_font(path)
        except (OSError, RuntimeError):  # the file is gone, or FreeType cannot read it
            continue
        found |= {character: family for character in left if _draws(font, character)}
    return found


def _draws(font: FT2Font, character: str) -> bool:
    """Whether the font has an outline for the character: colour fonts have only pictures."""
    if not font.get_char_index(ord(character)):
        return False
    try:
        font.set_size(12, 72)
        return font.load_char(ord(character)).width > 0 or character.isspace()
    except RuntimeError:
        return False


@cache
def _fallbacks() -> list[tuple[str, str]]:
    """Families with a normal font, and its path; fonts without serifs first, as the usual one is."""
    paths: dict[str, str] = {}
    for font in fontManager.ttflist:
        # Other weights are drawn with a warning. Of collections only the first font is looked at.
        is_normal = font.weight in NORMAL_WEIGHTS and font.style == font.stretch == "normal"
        if is_normal and not getattr(font, "index", 0) and not UNFIT.fullmatch(font.name):
            paths.setdefault(font.name, font.fname)
    return sorted(paths.items(), key=lambda item: ("sans" not in item[0].lower(), item[0]))


def _usual_font() -> FT2Font:
    return get_font(findfont(FontProperties()))
