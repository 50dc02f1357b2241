"""Fixtures of the tests of images: a machine without data or cache."""

from pathlib import Path

import pytest

from tests.fake_data import isolate


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture
def notes() -> list[str]:
    """The notes to the user: pass notes.append as `notify`."""
    return []
