import pytest

from sweeper.plots import glyphs


@pytest.fixture
def usual_font_alone(monkeypatch):
    """No fonts but matplotlib's usual one, whatever is installed."""
    monkeypatch.setattr(glyphs, "_fallbacks", list)
    monkeypatch.setattr(glyphs, "_families", {})
