"""Has a process not wait until the disk has what it writes.

Only a failure of the machine loses that, which no test causes: a killed process has left its writes to the system. On a
disk that takes 10 ms for it, each commit of Optuna's and MLflow's to SQLite would take as long.
"""

import os
import sqlite3
import sys
from typing import Any


def files() -> None:
    """Replaces os.fsync, which tests of what is flushed replace by their own."""
    os.fsync = lambda descriptor: None  # type: ignore[misc]


def databases() -> None:
    """Has SQLAlchemy's connections to SQLite not wait, if it is imported; call it again after later imports."""
    if "sqlalchemy" in sys.modules:
        from sqlalchemy import Engine, event

        if not event.contains(Engine, "connect", _do_not_wait):
            event.listen(Engine, "connect", _do_not_wait)


def _do_not_wait(connection: Any, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")
