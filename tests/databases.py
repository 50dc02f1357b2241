"""Empty databases that are copied rather than made: MLflow's migrations take seconds, a copy takes milliseconds."""

import functools
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.once import made_once

# Set by `copy_from`: where the templates lie, which processes may share.
_folder: Path | None = None


def copy_from(folder: Path) -> None:
    """Keeps the templates in this folder, and has the libraries that are imported already use them."""
    global _folder
    _folder = folder
    adopt()


def adopt() -> None:
    """Has MLflow and Optuna copy a template where they would make the tables of a new SQLite database.

    Only of those that are imported, so that tests that need neither do not wait for their imports: to be called again.
    """
    utils, optuna = sys.modules.get("mlflow.store.db.utils"), sys.modules.get("optuna.storages")
    # The function is private to MLflow: without it, databases are made as ever, only more slowly.
    if hasattr(utils, "_initialize_tables") and not hasattr(utils._initialize_tables, "__wrapped__"):
        utils._initialize_tables = _copying_tables(utils._initialize_tables, utils._is_empty_database)
    if optuna is not None and not hasattr(optuna.RDBStorage.__init__, "__wrapped__"):
        optuna.RDBStorage.__init__ = _copying_storage(optuna.RDBStorage.__init__)


def _copying_tables(initialize: Callable[[Any], None], is_empty: Callable[[Any], bool]) -> Callable[[Any], None]:
    def make(path: Path) -> None:
        import sqlalchemy

        engine = sqlalchemy.create_engine(f"sqlite:///{path}")
        initialize(engine)
        engine.dispose()

    @functools.wraps(initialize)
    def copy(engine: Any) -> None:
        if engine.dialect.name != "sqlite" or not is_empty(engine):
            initialize(engine)
            return
        with closing(sqlite3.connect(_template("mlflow.db", make))) as source, closing(engine.raw_connection()) as ours:
            source.backup(ours.driver_connection)

    return copy


def _copying_storage(initialize: Callable[..., None]) -> Callable[..., None]:
    def make(path: Path) -> None:
        import optuna

        storage = optuna.storages.RDBStorage.__new__(optuna.storages.RDBStorage)
        initialize(storage, f"sqlite:///{path}")
        storage.engine.dispose()

    @functools.wraps(initialize)
    def copy(self: Any, url: str, *arguments: Any, **options: Any) -> None:
        path = Path(url.removeprefix("sqlite:///"))
        if url.startswith("sqlite:///") and not path.exists() and path.parent.is_dir():
            shutil.copyfile(_template("optuna.db", make), path)
        initialize(self, url, *arguments, **options)

    return copy


def _template(name: str, make: Callable[[Path], None]) -> Path:
    """The database with all tables and nothing in them; made by the first process that wants it."""
    assert _folder is not None
    path = _folder / name
    with made_once(path) as is_first:
        if is_first:
            path.unlink(missing_ok=True)
            make(path)
    return path
