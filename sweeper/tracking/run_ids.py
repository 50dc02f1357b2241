"""Reads which runs a store's own MLflow database has, without importing MLflow, which takes seconds."""

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from sweeper.store import databases
from sweeper.store.layout import Store


def has_runs_table(store: Store) -> bool:
    """Whether the store has a database in which MLflow has made its tables, though it may hold no runs."""
    path = store.root / "mlflow.db"
    if not path.exists():
        return False
    try:
        databases.rows(store.tracking_uri, "runs", "count(*)")
    except SQLAlchemyError:
        return False
    return True


def run_ids(store: Store) -> set[str] | None:
    """The ids of all runs, also deleted ones; empty without a database, None for one that cannot be read."""
    path = store.root / "mlflow.db"
    if not path.exists() or not path.stat().st_size:
        return set()
    try:
        return {run_id for (run_id,) in databases.rows(store.tracking_uri, "runs", "run_uuid")}
    except OperationalError as error:
        return set() if "no such table" in str(error) and _is_new(store) else None
    except SQLAlchemyError:  # whoever opens the database says what is wrong with it
        return None


def _is_new(store: Store) -> bool:
    """Whether the database has no tables but that of its schema: one with others is another program's."""
    tables = {name for (name,) in databases.rows(store.tracking_uri, "sqlite_master", "tbl_name")}
    return tables <= {"alembic_version"}
