"""A store of its own for each file, and what is said of its data."""

import pytest

from sweeper.store.options import StoreOptions
from sweeper.tracking.tracker import DataRecord

DATA = DataRecord("tiny", "ab" * 32, "/data", (60, 1, 28, 28))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = StoreOptions(tmp_path_factory.mktemp("store")).resolve({})
    store.prepare()
    return store
