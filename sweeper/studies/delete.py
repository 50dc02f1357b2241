"""A study and all that belongs to it, deleted so that a deletion which was cut short can be finished."""

import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError

from sweeper.errors import SweeperError
from sweeper.store.layout import Store
from sweeper.studies import lifecycle, storage_errors
from sweeper.studies.attributes import id_of, spec_of
from sweeper.studies.queries import find_again
from sweeper.tracking.delete import StudyRuns, folder_bytes


@dataclass(frozen=True)
class Removal:
    """What a deletion takes: trials, MLflow runs, and bytes, of which those on a server are not known.

    `kept` names the runs that stay, by id: each is needed by registered model versions ("name/version").
    """

    study_name: str
    study_id: str
    n_trials: int
    n_runs: int
    n_bytes: int
    bytes_on_server: bool
    kept: Mapping[str, Sequence[str]]


def plan(store: Store, study: optuna.Study) -> Removal:
    """What would be deleted; nothing is yet. Raises SweeperError while a process runs the study."""
    owner = store.owner(study.study_name)
    if owner is not None:
        raise SweeperError(f"{study.study_name} is being run by {owner}: `sweeper stop` ends it")
    runs = _runs(store, study)
    in_mlflow = runs.n_bytes()
    return Removal(
        study_name=study.study_name,
        study_id=id_of(study),
        n_trials=len(study.get_trials(deepcopy=False)),
        n_runs=runs.n_runs,
        n_bytes=(in_mlflow or 0) + sum(_size(path) for path in _local(store, study)),
        bytes_on_server=in_mlflow is None,
        kept=runs.kept,
    )


def remove(store: Store, planned: Removal) -> None:
    """Deletes the study that was planned to be, its runs in MLflow, and its files here.

    By the study it is found again what is still to be deleted, so that goes last. Raises SweeperError while a process
    runs it, and where it is no more.
    """
    name = planned.study_name
    with storage_errors.translated(store), store.owning(name):
        study = find_again(store, name, planned.study_id)
        # Before anything else, for MLflow may be away.
        runs = _runs(store, study)
        try:
            lifecycle.mark_ended(study, lifecycle.DELETING)
        except StorageInternalError as error:
            if not _is_of_a_full_disk(error):
                raise
            # Its own files make the room. Without the mark the study seems whole, but deleting it again goes on.
            _free(store, study)
            runs.free()
            lifecycle.mark_ended(study, lifecycle.DELETING)
        # Before MLflow's database, which needs room too for what is written to it.
        _free(store, study)
        runs.delete()
        optuna.delete_study(study_name=name, storage=study._storage)
        store.forget(name)


def _is_of_a_full_disk(error: BaseException) -> bool:
    """Whether Optuna's error comes of SQLite's that there is no room."""
    cause = getattr(error.__cause__, "orig", None)
    return isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode == sqlite3.SQLITE_FULL


def _runs(store: Store, study: optuna.Study) -> StudyRuns:
    return StudyRuns(store, spec_of(study).dataset, id_of(study))


def _local(store: Store, study: optuna.Study) -> list[Path]:
    """The study's own files and folders in the store."""
    return [path for path in store.belongings(study.study_name, id_of(study)) if path.exists()]


def _free(store: Store, study: optuna.Study) -> None:
    for path in _local(store, study):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _size(path: Path) -> int:
    return folder_bytes(path) if path.is_dir() else path.stat().st_size
