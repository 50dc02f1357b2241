"""Turns errors of a full disk or a failing storage into one line for the user; such errors lose nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import StorageInternalError
from optuna.storages._rdb.models import NOT_FOUND_MSG
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import DISK_FULL, RESUME_HINT, SweeperError, said
from sweeper.store.layout import Store
from sweeper.store.redaction import redact


@contextmanager
def translated(store: Store) -> Iterator[None]:
    """Turns the error of a write to a full disk, and any error of Optuna's storage, into a SweeperError."""
    try:
        yield
    except KeyError as error:
        # Optuna's words for a study or trial that was there when the command began.
        if error.args != (NOT_FOUND_MSG,):
            raise
        raise SweeperError(
            f"the study was deleted from Optuna's storage {redact(store.storage)} while it was in use, by another "
            "program: its trials are gone, its runs in MLflow stay; the same command starts it anew"
        ) from error
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise SweeperError(
            f"{error.filename or store.root} cannot be written: {error.strerror}; {RESUME_HINT}"
        ) from error
    except (SQLAlchemyError, StorageInternalError) as error:
        raise SweeperError(
            f"Optuna's storage {redact(store.storage)} does not answer: {redact(said(error))}; nothing is lost, the "
            "same command resumes once it does"
        ) from error
