"""Opens and checks Optuna's storage, and finds the names of its studies."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import SweeperError, said
from sweeper.store import databases, new_database
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.studies.attributes import SPEC
from sweeper.studies.bulk_storage import BulkStorage
from sweeper.studies.patient_storage import PatientStorage
from sweeper.studies.storage_errors import reading

LIBRARY = databases.Library(
    "Optuna",
    ("studies",),
    Path(optuna.__file__).parent / "storages" / "_rdb" / "alembic",
    "optuna storage upgrade --storage",
)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def open_storage(store: Store, tell: Callable[[str], None] = _say) -> BulkStorage:
    """Optuna's storage; SweeperError if its database cannot be used.

    `tell` gets a line when a server goes away later, and one when it is back.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    store.check_readable()
    with _usable(store), new_database.initialising(store.storage):
        if not database_exists(store):
            new_database.make(store.storage, LIBRARY, _create)
        return _storage(store.storage, tell)


def open_existing_storage(store: Store) -> BulkStorage | None:
    """Optuna's storage, or None if its database does not exist yet; SweeperError if it cannot be used."""
    store.check_readable()
    return open_storage(store) if database_exists(store) else None


@contextmanager
def _usable(store: Store) -> Iterator[None]:
    """Turns the errors of opening Optuna's storage into a SweeperError."""
    try:
        yield
    except (SQLAlchemyError, ImportError, RuntimeError, ValueError, OSError) as error:
        message = redact(said(error))
        raise SweeperError(f"Optuna's storage {redact(store.storage)} cannot be used: {message}") from error


def _storage(url: str, tell: Callable[[str], None] = _say) -> BulkStorage:
    if not url.startswith("sqlite"):
        return PatientStorage(url, tell)
    # Optuna's check would load all its migration scripts each time; `database_exists` compares the schemas, too.
    options = {"connect_args": {"timeout": databases.BUSY_SECONDS}}
    return BulkStorage(url, engine_kwargs=options, skip_compatibility_check=True)


def _create(url: str) -> None:
    storage = _storage(url)
    storage.remove_session()
    storage.engine.dispose()


def database_exists(store: Store) -> bool:
    """Whether Optuna's database exists already; SweeperError if it cannot be used, or has another schema."""
    with _usable(store):
        return databases.exists(store.storage, LIBRARY)


def study_names(storage: RDBStorage) -> list[str]:
    """The names of sweeper's studies in the storage, the latest last."""
    # optuna.get_all_study_summaries would read all trials of all studies, to count them.
    with reading("the list of studies", storage):
        found = [s for s in storage.get_all_studies() if SPEC in s.user_attrs]
    return [s.study_name for s in sorted(found, key=lambda s: s._study_id)]


def free_name(storage: RDBStorage, name: str) -> str:
    """The first of NAME, NAME-2, NAME-3, ... that no study has."""
    taken = set(optuna.get_all_study_names(storage))
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate
