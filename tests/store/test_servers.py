import sys

import pytest
from sqlalchemy import create_engine, text

from sweeper.store import servers
from sweeper.store.servers import ServerAway


@pytest.fixture
def engine(tmp_path):
    """An engine that keeps one connection to a SQLite file open."""
    made = create_engine(f"sqlite:///{tmp_path}/x.db", pool_size=1, max_overflow=0)
    servers.name_lost_connections(made)
    yield made
    made.dispose()


def test_lost_connection_is_told_from_other_errors_and_the_next_one_works(engine):
    lost = engine.connect()
    lost.connection.driver_connection.close()
    with pytest.raises(ServerAway, match=r"^Cannot operate on a closed database\.$") as away:
        lost.execute(text("SELECT 1"))
    lost.close()
    assert "closed database" in str(away.value.orig)
    with pytest.raises(Exception, match="no such table") as other, engine.connect() as connection:
        connection.execute(text("SELECT 1 FROM trials"))
    assert not isinstance(other.value, ServerAway)


def test_connection_that_cannot_be_made_is_told_from_other_errors(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/none/x.db")
    servers.name_lost_connections(engine)
    with pytest.raises(ServerAway, match="unable to open database file"), engine.connect():
        pass


def test_connection_that_was_lost_in_the_pool_is_replaced(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/x.db", pool_size=1, max_overflow=0, pool_pre_ping=True)
    servers.name_lost_connections(engine)
    with engine.connect() as connection:
        before = connection.connection.driver_connection
    before.close()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_what_an_address_says_of_its_connections_stays():
    found = servers.connection_options("postgresql+psycopg://me@host/db?connect_timeout=99")["connect_args"]
    assert "connect_timeout" not in found
    assert found["keepalives_idle"] < 60
    assert servers.connection_options("postgresql+pg8000://host/db") == {}  # which has other names for them
    assert servers.connection_options("mysql://host/db") == {}


@pytest.mark.parametrize(
    ("url", "package", "told"),
    [
        ("postgresql+psycopg://me:secret@host/db", "psycopg", r"`pip install 'cnn-sweeper\[postgres\]'`$"),
        (
            "postgresql+psycopg2://me:secret@host/db",
            "psycopg2",
            r"`pip install 'cnn-sweeper\[postgres\]'`, and an address that begins with postgresql\+psycopg://$",
        ),
        ("postgres://me:secret@host/db", "none", r"dialects:postgres\): `pip .*begins with postgresql\+psycopg://$"),
        ("mysql://me:secret@host/db", "MySQLdb", r"^its driver is not installed \(.*MySQLdb.*\)$"),
    ],
)
def test_missing_driver_comes_with_the_remedy(monkeypatch, url, package, told):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(servers.MissingDriver, match=told) as missing:
        servers.connect(url)
    assert "secret" not in str(missing.value)


def test_other_databases_need_no_lock(tmp_path):
    with servers.alone(f"sqlite:///{tmp_path}/x.db"), servers.alone(f"sqlite:///{tmp_path}/x.db"):
        pass
