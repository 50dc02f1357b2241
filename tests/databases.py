"""Empty template databases for tests to copy: MLflow's migrations take seconds, a copy takes milliseconds."""

import functools
import inspect
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.once import made_by_first

# The folder of the templates. Several processes may share it.
_folder: Path | None = None


def copy_from(folder: Path) -> None:
    """Keeps the templates in this folder, and calls `adopt`."""
    global _folder
    _folder = folder
    adopt()


def adopt() -> None:
    """Makes MLflow and Optuna copy a template instead of creating the tables of a new SQLite database.

    Patches only what is already imported, because many tests need neither; call it again after later imports.
    """
    if "mlflow" in sys.modules:  # MLflow itself imports this module only with its first database
        from mlflow.store.db import utils

        # Both are private to MLflow. If a release lacks them, MLflow creates its tables as usual, only more slowly.
        initialize, is_empty = (getattr(utils, name, None) for name in ("_initialize_tables", "_is_empty_database"))
        if initialize is not None and is_empty is not None and not hasattr(initialize, "__wrapped__"):
            utils._initialize_tables = _copying_tables(initialize, is_empty)
    storages = sys.modules.get("optuna.storages")
    if storages is not None and not hasattr(storages.RDBStorage.__init__, "__wrapped__"):
        storages.RDBStorage.__init__ = _copying_storage(storages.RDBStorage.__init__)


def make_empty(store: Path) -> None:
    """Makes a store's folder, and its two databases, with all tables and no rows."""
    import mlflow
    import optuna

    adopt()
    store.mkdir()
    optuna.storages.RDBStorage(f"sqlite:///{store}/optuna.db").engine.dispose()
    mlflow.MlflowClient(f"sqlite:///{store}/mlflow.db").search_experiments()


def make_all() -> None:
    """Undoes `adopt` in this process: from now on, the libraries create their tables themselves."""
    from mlflow.store.db import utils
    from optuna import storages

    for owner, name in ((utils, "_initialize_tables"), (storages.RDBStorage, "__init__")):
        setattr(owner, name, inspect.unwrap(getattr(owner, name)))


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
        if url.startswith("sqlite:////") and "?" not in url and not path.exists() and path.parent.is_dir():
            shutil.copyfile(_template("optuna.db", make), path)
        initialize(self, url, *arguments, **options)

    return copy


def _template(name: str, make: Callable[[Path], None]) -> Path:
    """The template with all tables and no rows; the first process that needs it creates it."""
    assert _folder is not None
    path = _folder / name
    with made_by_first(path) as is_first:
        if is_first:
            path.unlink(missing_ok=True)
            make(path)
    return path
