"""A store of its own for each file, and what is said of its data."""

import pytest

from sweeper.store import layout
from sweeper.tracking.runs import DataRecord

DATA = DataRecord("tiny", "ab" * 32, "/data", (60, 1, 28, 28))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = layout.resolve(tmp_path_factory.mktemp("store"), None, None, {})
    store.prepare()
    return store
