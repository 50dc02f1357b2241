"""Fixtures of the data tests: a machine without data, and a tiny data set."""

from pathlib import Path

import pytest

from sweeper.data.known import catalog
from tests.fake_data import isolate, write_fake_dataset


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture
def dataset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> catalog.Dataset:
    """The data set "tiny", known by name, with its plain files in tmp_path/data."""
    tiny = write_fake_dataset(tmp_path / "data")
    monkeypatch.setitem(catalog.DATASETS, tiny.name, tiny)
    return tiny


@pytest.fixture
def notes() -> list[str]:
    """The notes to the user: pass notes.append as `notify`."""
    return []
