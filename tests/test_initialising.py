"""Two processes that made the tables of one database at once would end each other: the second waits."""

import threading

import pytest

from sweeper import store as stores
from sweeper.search import study as studies
from sweeper.tracking import client
from tests.commands.processes import DEADLINE

# For a negative: nothing is to happen meanwhile. A slow machine only makes the test less likely to notice that it did.
A_WHILE = 0.5


@pytest.mark.parametrize("open_database", [studies.open_storage, client.connect])
def test_database_that_another_process_is_making_is_waited_for(tmp_path, open_database):
    store, opened = stores.resolve(tmp_path / "store", None, None, {}), threading.Event()
    store.prepare()
    opening = threading.Thread(target=lambda: (open_database(store), opened.set()))
    with store.initialising(embedded=True):
        opening.start()
        assert not opened.wait(A_WHILE)
    assert opened.wait(DEADLINE)
    opening.join()


def test_servers_database_is_not_waited_for(tmp_path):
    store = stores.resolve(tmp_path, None, None, {})
    with store.initialising(embedded=True), store.initialising(embedded=False):
        pass
