"""Turns errors of a full disk, a failing storage or a changed value into one line for the user."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from optuna.distributions import json_to_distribution
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb.models import NOT_FOUND_MSG
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import DISK_FULL, RESUME_HINT, SweeperError, first_line, plain, said, shortened
from sweeper.store import databases
from sweeper.store.layout import Store
from sweeper.store.redaction import redact

# What Python raises for a stored value that is not as sweeper or Optuna writes it; Optuna checks some by assertions.
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, AssertionError)
REMEDY = (
    "sweeper has not written it so: put Optuna's database back from a backup, or delete the study (`sweeper delete`)"
)
# Where Optuna keeps JSON: how it is read, tables, whose value it is, its name, and its text.
_STUDY, _TRIAL = "studies USING (study_id)", "trials USING (trial_id) JOIN studies USING (study_id)"
_TEXTS = (
    (json.loads, f"study_user_attributes JOIN {_STUDY}", "study_name", "''", "key", "value_json"),
    (json.loads, f"study_system_attributes JOIN {_STUDY}", "study_name", "''", "key", "value_json"),
    (json.loads, f"trial_user_attributes JOIN {_TRIAL}", "study_name", "number", "key", "value_json"),
    (json.loads, f"trial_system_attributes JOIN {_TRIAL}", "study_name", "number", "key", "value_json"),
    (json_to_distribution, f"trial_params JOIN {_TRIAL}", "study_name", "number", "param_name", "distribution_json"),
)


@contextmanager
def translated(store: Store) -> Iterator[None]:
    """Turns the error of a write to a full disk, and any error of Optuna's storage, into a SweeperError."""
    try:
        yield
    except KeyError as error:
        if not _is_deleted(error):
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


@contextmanager
def reading(what: str, storage: BaseStorage | None = None) -> Iterator[None]:
    """Turns what is raised for a stored value that sweeper has not written into a SweeperError about `what`.

    With the storage, for values that Optuna itself reads: the error names the first that it cannot read.
    """
    try:
        yield
    except UNREADABLE as error:
        if _is_deleted(error):
            raise
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else first_line(error)
        if isinstance(error, AssertionError):
            reason = "a value is not as Optuna writes it"
        place = what if storage is None else _damaged(storage) or what
        raise SweeperError(f"{place} cannot be read: {shortened(reason)}; {REMEDY}") from error


def _is_deleted(error: BaseException) -> bool:
    """Whether the error is Optuna's for a study or trial that was there when the command began."""
    return isinstance(error, KeyError) and error.args == (NOT_FOUND_MSG,)


def _damaged(storage: BaseStorage) -> str | None:
    """The first value in the storage that Optuna cannot read, in words; None if there is none."""
    backend = getattr(storage, "_backend", storage)
    if not isinstance(backend, RDBStorage):
        return None
    with suppress(SQLAlchemyError):
        for read, name, *columns in _TEXTS:
            for study, number, key, text in databases.rows(backend.url, name, *columns):
                try:
                    read(text)
                except UNREADABLE:
                    trial = "" if number == "" else f"trial {number} of "
                    return f"{plain(key)} of {trial}study {plain(study)}"
    return None
