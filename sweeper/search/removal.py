"""A study and all that belongs to it, deleted so that a deletion which was cut short can be finished."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from sweeper.errors import SweeperError
from sweeper.search import study as studies
from sweeper.store import Store
from sweeper.tracking.removal import StudyRuns, folder_bytes


@dataclass(frozen=True)
class Removal:
    """What a deletion takes: trials, MLflow runs, and bytes, of which those on a server are not known.

    `kept` names the runs that stay, by id: each is needed by registered model versions ("name/version").
    """

    study_name: str
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
        n_trials=len(study.get_trials(deepcopy=False)),
        n_runs=runs.n_runs,
        n_bytes=(in_mlflow or 0) + sum(_size(path) for path in _local(store, study)),
        bytes_on_server=in_mlflow is None,
        kept=runs.kept,
    )


def remove(store: Store, study: optuna.Study) -> None:
    """Deletes the study, its runs in MLflow, and its files here. Raises SweeperError while a process runs it.

    By the study it is found again what is still to be deleted, so that goes last.
    """
    name = study.study_name
    with store.owning(name):
        # Before anything else, for MLflow may be away.
        runs = _runs(store, study)
        studies.mark_ended(study, studies.DELETING)
        runs.delete()
        for path in _local(store, study):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        optuna.delete_study(study_name=name, storage=study._storage)
        store.forget(name)


def _runs(store: Store, study: optuna.Study) -> StudyRuns:
    return StudyRuns(store, studies.spec_of(study)["dataset"], studies.id_of(study))


def _local(store: Store, study: optuna.Study) -> list[Path]:
    """The study's own files and folders in the store."""
    return [path for path in store.belongings(study.study_name, studies.id_of(study)) if path.exists()]


def _size(path: Path) -> int:
    return folder_bytes(path) if path.is_dir() else path.stat().st_size
