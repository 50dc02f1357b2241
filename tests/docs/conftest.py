"""Fixtures that the tests of pages share."""

import pytest

from tests.docs import commands


@pytest.fixture
def forks(driver, monkeypatch):
    """Makes `sweeper` a fork of a process that has already imported what it needs."""
    monkeypatch.setattr(commands, "PROGRAMS", driver.programs())
    yield
    driver.clear()
