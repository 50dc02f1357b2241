"""A full disk, or a storage that takes no more, as one line for the user: nothing is lost by it."""

from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import DISK_FULL, RESUME_HINT, SweeperError, said
from sweeper.store.layout import Store
from sweeper.store.redaction import redact


@contextmanager
def translated(store: Store) -> Iterator[None]:
    """Makes a SweeperError of what a write raises for want of room, and of all that Optuna's storage refuses."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise SweeperError(
            f"{error.filename or store.root} cannot be written: {error.strerror}; {RESUME_HINT}"
        ) from error
    except (SQLAlchemyError, StorageInternalError) as error:
        raise SweeperError(
            f"Optuna's storage {redact(store.storage)} does not answer: {redact(said(error))}; nothing is lost, the "
            "same command goes on once it does"
        ) from error
