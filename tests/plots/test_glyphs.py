import pytest

from sweeper.plots import glyphs

# Of the fonts that come with matplotlib, only STIXGeneral has it.
CIRCLED = "\N{COMBINING ENCLOSING CIRCLE}"
# These codes will never be those of characters.
NOWHERE = "\ufdd0\U0010ffff"


def test_what_the_usual_font_has_stays_as_it_is():
    text = "naïve façade, 50%, $x$, \N{CAT FACE}, قط\nß"
    assert glyphs.drawable(text) == text
    assert glyphs.families(text) == ["DejaVu Sans"]


def test_character_that_another_font_has_is_drawn_in_it(caplog):
    assert glyphs.drawable(f"a{CIRCLED}") == f"a{CIRCLED}"
    families = glyphs.families(f"a{CIRCLED}")
    assert families[0] == "DejaVu Sans"
    assert len(families) == 2
    assert caplog.records == []


def test_character_that_no_font_has_is_escaped():
    assert glyphs.drawable(f"a{NOWHERE}b") == r"a\ufdd0\U0010ffffb"
    assert glyphs.families(NOWHERE) == ["DejaVu Sans"]


def test_fonts_are_opened_once_for_a_character(monkeypatch):
    glyphs.drawable(CIRCLED + NOWHERE)
    monkeypatch.setattr(glyphs, "_search", lambda characters: pytest.fail(f"searched again for {characters}"))
    glyphs.drawable(CIRCLED + NOWHERE)
    glyphs.families(CIRCLED + NOWHERE)
