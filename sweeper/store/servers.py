"""Databases on servers: how to connect to one, and what its errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import create_engine, event, func, select
from sqlalchemy.engine import Engine, ExceptionContext, make_url
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.pool import NullPool

from sweeper.errors import first_line

PREFIX = "postgresql+psycopg://"
# What PostgreSQL's client library waits for, where its own defaults are minutes or hours: seconds for a connection, and
# until a server whose machine or network is gone counts as away; `tcp_user_timeout` is in milliseconds.
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 50_000,
}
# The key of the lock in `alone`, the same in every sweeper.
_LOCK = 0x53_57_45_45_50


class ServerAway(Exception):
    """A server has closed a connection, or takes none; `orig` is the driver's own error."""

    def __init__(self, orig: BaseException) -> None:
        super().__init__(first_line(orig))
        self.orig = orig


class MissingDriver(ImportError):
    """The Python package that talks to this kind of database is not installed."""


def connection_options(url: str) -> dict[str, Any]:
    """The options with which to make an engine for a server; what the address itself says stays."""
    address = make_url(url)
    if address.get_backend_name() != "postgresql" or address.get_driver_name() not in ("psycopg", "psycopg2"):
        return {}
    return {"connect_args": {name: value for name, value in _PATIENCE.items() if name not in address.query}}


def connect(url: str) -> Engine:
    """An engine that keeps no connection open. Raises MissingDriver, and SQLAlchemy's errors."""
    try:
        return create_engine(url, poolclass=NullPool, **connection_options(url))
    except (ImportError, NoSuchModuleError) as error:
        raise MissingDriver(_remedy(url, error)) from error


def name_lost_connections(engine: Engine) -> None:
    """From now on, the engine raises ServerAway where it can reach the server no more."""
    event.listen(engine, "handle_error", _as_server_away, retval=True)


@contextmanager
def alone(url: str) -> Iterator[None]:
    """Lets one process at a time through the block, if the database is PostgreSQL. Raises SQLAlchemy's errors."""
    engine = connect(url)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                # The lock of a transaction: a pool of connections before the server may give each transaction another.
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            yield
    finally:
        engine.dispose()


def _as_server_away(context: ExceptionContext) -> ServerAway | None:
    if context.is_pre_ping:  # the pool makes another connection
        return None
    return ServerAway(context.original_exception) if context.is_disconnect or context.connection is None else None


def _remedy(url: str, error: Exception) -> str:
    text = f"its driver is not installed ({first_line(error)})"
    if not url.startswith("postgres"):
        return text
    begin = "" if url.startswith(PREFIX) else f", and an address that begins with {PREFIX}"
    return f"{text}: `pip install 'cnn-sweeper[postgres]'`{begin}"
