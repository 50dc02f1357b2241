import errno
import os
import sqlite3

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from sweeper.errors import SweeperError
from sweeper.store.options import StoreOptions
from sweeper.studies import storage_errors


def raised(error, storage=None):
    """What the user is told of an error, or the error itself."""
    store = StoreOptions(None, storage).resolve({})
    with pytest.raises(Exception) as caught, storage_errors.translated(store):  # noqa: PT011 (which one is what is tested)
        raise error
    return caught.value


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disk_is_told_with_the_file_and_how_to_go_on(number):
    told = raised(OSError(number, os.strerror(number), "/store/spool.db"))
    assert isinstance(told, SweeperError)
    assert str(told) == (
        f"/store/spool.db cannot be written: {os.strerror(number)}; "
        "nothing is lost, the same command resumes once there is room"
    )


def test_other_errors_are_not_taken_for_a_full_disk():
    error = OSError(errno.EACCES, "Permission denied", "/store/spool.db")
    assert raised(error) is error


def test_storage_is_named_without_its_password_and_quoted_in_the_databases_own_words():
    full = OperationalError("UPDATE trials", {}, sqlite3.OperationalError("database or disk is full"))
    wrapped = StorageInternalError("An exception is raised during the commit.")
    wrapped.__cause__ = full
    for error in (full, wrapped):
        told = raised(error, storage="postgresql://me:hunter2@db/optuna")
        assert isinstance(told, SweeperError)
        assert str(told) == (
            "Optuna's storage postgresql://me:***@db/optuna does not answer: database or disk is full; "
            "nothing is lost, the same command resumes once it does"
        )


def test_error_without_words_is_named_by_its_kind():
    assert "does not answer: StorageInternalError; nothing" in str(raised(StorageInternalError()))


def test_error_of_a_missing_key_that_is_not_the_storages_is_left_alone():
    error = KeyError("lr")
    assert raised(error) is error
