"""The names of studies and of their folders, and ids, checked when they are given and when they are read back."""

import re
from typing import Any, TypeGuard

from sweeper.errors import SweeperError, UsageError, shortened

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Ids are hexadecimal digits; here it matters only that they name no other folder.
STUDY_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_RULE = "a study's name must be 1 to 100 letters, digits, dots, dashes and underscores"


def is_id(value: Any) -> TypeGuard[str]:
    """Whether this can be the id of a study or of a run in MLflow: names of folders are made from it."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{32}", value) is not None


def check_study_name(name: str) -> str:
    """Returns the name if it can name a folder; raises UsageError if not."""
    if not STUDY_NAME.fullmatch(name):
        raise UsageError(f"{_RULE}, got {shortened(repr(name))} (--study)")
    return name


def stored_name(name: Any) -> str:
    """A study's name as a database or file has it; raises SweeperError for one that sweeper gives no study."""
    if not isinstance(name, str) or not STUDY_NAME.fullmatch(name):
        raise SweeperError(
            f"{_RULE}, but this store has one named {shortened(repr(name))}: sweeper has not made it; take another "
            "store"
        )
    return name


def folder_name(study: str, study_id: str) -> str:
    """The name of a study's folders and files: another study may have the same name, but not the same id.

    Raises SweeperError for a name or an id that sweeper gives no study.
    """
    if not STUDY_ID.fullmatch(study_id):
        raise SweeperError(
            f"study {study} cannot be read: its id must be 32 hexadecimal digits, got {shortened(repr(study_id))}; put "
            "Optuna's database back from a backup, or take another store"
        )
    return f"{stored_name(study)}-{study_id[:8]}"
