import pytest


@pytest.fixture
def root(tmp_path):
    """An empty folder for a data set."""
    (tmp_path / "pets").mkdir()
    return tmp_path / "pets"
