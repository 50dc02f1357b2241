"""Two processes that made the tables of one database at once would end each other: only one does at a time."""

import fcntl

import pytest

from sweeper.store.layout import StoreOptions
from sweeper.studies import storage
from sweeper.studies.storage import open_storage
from sweeper.tracking import client


@pytest.mark.parametrize(("module", "open_database"), [(storage, open_storage), (client, client.connect)])
def test_database_is_looked_at_and_made_under_the_stores_lock(tmp_path, monkeypatch, module, open_database):
    store, check, held = StoreOptions(tmp_path / "store").resolve({}), module.check_database, []
    store.prepare()

    def watched(store):
        with open(store.root / ".initialising.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(True)
        return check(store)

    monkeypatch.setattr(module, "check_database", watched)
    open_database(store)
    assert held == [True]


def test_servers_database_is_not_waited_for(tmp_path):
    store = StoreOptions(tmp_path).resolve({})
    with store.initialising(embedded=True), store.initialising(embedded=False):
        pass
