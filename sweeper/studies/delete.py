"""Deletes a study and everything that belongs to it; an interrupted deletion can be finished later."""

import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from sweeper.store import databases
from sweeper.store.layout import Store
from sweeper.studies import lifecycle, storage_errors
from sweeper.studies.attributes import id_of
from sweeper.studies.ownership import Tell, check_free, claimed
from sweeper.studies.queries import find_again
from sweeper.tracking.delete import StudyRuns, folder_bytes


@dataclass(frozen=True)
class Removal:
    """What a deletion removes: trials, MLflow runs, and bytes; those on a server are unknown and not counted.

    `kept` are the runs that stay: for each run id, the registered model versions ("name/version") that need the run.
    `runs` are all that the study has.
    """

    study_name: str
    study_id: str
    n_trials: int
    n_runs: int
    n_bytes: int
    bytes_on_server: bool
    kept: Mapping[str, Sequence[str]]
    runs: StudyRuns

    def as_json(self) -> dict[str, Any]:
        """The object that `sweeper delete --json` prints."""
        return {name: value for name, value in vars(self).items() if name != "runs"}


def plan(store: Store, study: optuna.Study) -> Removal:
    """What `remove` would delete; deletes nothing yet. Raises SweeperError while a process runs the study."""
    store.refuse_owned(study.study_name)
    check_free(store, study)
    runs = StudyRuns(store, id_of(study))
    in_mlflow = runs.n_bytes()
    return Removal(
        study_name=study.study_name,
        study_id=id_of(study),
        n_trials=_n_trials(store, study),
        n_runs=runs.n_runs,
        n_bytes=(in_mlflow or 0) + sum(_size(path) for path in _files(store, study)),
        bytes_on_server=in_mlflow is None,
        kept=runs.kept,
        runs=runs,
    )


def remove(store: Store, planned: Removal, tell: Tell = lambda text: None) -> None:
    """Deletes the planned study, its runs in MLflow, and its local files.

    The study itself is deleted last, because a resumed deletion needs it to find the rest. Raises SweeperError while a
    process runs the study, and if the study no longer exists; `tell` gets a line if it must be waited for to be known.
    """
    name = planned.study_name
    with ExitStack() as stack:
        stack.enter_context(storage_errors.translated(store))
        stack.enter_context(store.owning(name))
        study = find_again(store, name, planned.study_id)
        # Before anything is deleted, because MLflow may not answer.
        runs = planned.runs
        runs.renew(store)
        writes = (
            lambda: stack.enter_context(claimed(store, study, tell)),
            lambda: lifecycle.mark_ended(study, lifecycle.DELETING),
        )
        for write in writes:
            try:
                write()
            except (StorageInternalError, OperationalError) as error:
                if not _is_disk_full(error):
                    raise
                # Deleting the study's files makes room. Until the mark is written, the study seems whole, but deleting
                # it again resumes the deletion.
                _delete_files(store, study)
                runs.free()
                write()
        # Before the runs, because MLflow's database also needs room for its writes.
        _delete_files(store, study)
        runs.delete()
        optuna.delete_study(study_name=name, storage=study._storage)
        store.forget(name)


def _is_disk_full(error: BaseException) -> bool:
    """Whether the cause of Optuna's or SQLAlchemy's error is SQLite's error for a full disk."""
    cause = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None)
    return isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode == sqlite3.SQLITE_FULL


def _files(store: Store, study: optuna.Study) -> list[Path]:
    """The study's existing files and folders in the store."""
    return [path for path in store.belongings(study.study_name, id_of(study)) if path.exists()]


def _delete_files(store: Store, study: optuna.Study) -> None:
    for path in _files(store, study):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _n_trials(store: Store, study: optuna.Study) -> int:
    """The number of the study's trials, also of those that Optuna cannot read."""
    return sum(number == study._study_id for (number,) in databases.rows(store.storage, "trials", "study_id"))


def _size(path: Path) -> int:
    return folder_bytes(path) if path.is_dir() else path.stat().st_size
