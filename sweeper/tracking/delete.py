"""Deletes a study's MLflow runs and their files, except those that registered models need."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.entities import LoggedModel, Run, ViewType
from mlflow.entities.model_registry import ModelVersion
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from sweeper.store import databases
from sweeper.store.layout import Store
from sweeper.tracking.client import PAGE, ROOT, connect, database_exists, of_all_pages, reaching, search_runs
from sweeper.tracking.copies import is_of_another_store
from sweeper.tracking.places import check_experiment, check_models, local_path
from sweeper.tracking.run_writer import CHILDREN


class StudyRuns:
    """The runs of one study, of its trials, of its promotion and ablation, and of the trainings of both.

    They are found by the study's id in all experiments: the name of its data set may have been changed. Not included
    are test evaluations, because they count for ever, and the runs of the store of which this one is a copy. Finding
    the runs creates no database. Methods raise SweeperError.
    """

    def __init__(self, store: Store, study_id: str) -> None:
        self._store, self._study_id = store, study_id
        self._runs: list[Run] = []  # the study's own last: a repeated deletion finds the remaining runs through it
        self._seen: set[tuple[Any, ...]] | None = None  # all runs that there were when these were found
        self._models: list[LoggedModel] = []
        self._versions: list[ModelVersion] = []
        self.renew(store)

    def renew(self, store: Store) -> None:
        """Looks what there is by now. Reading many runs takes long: they are read again only if any run has changed."""
        self._uri = store.tracking_uri
        self._models, self._versions = [], []
        if not database_exists(store):
            self._runs, self._seen = [], None
            return
        self._client = connect(store)
        with reaching(self._uri):
            everything = of_all_pages(partial(self._client.search_experiments, ViewType.ALL, PAGE))
            experiments = {experiment.experiment_id: experiment for experiment in everything}
            present = _all_runs(store)
            if present is None or present != self._seen:
                self._runs, self._seen = self._find(list(experiments), self._study_id), present
            ids = {run.info.run_id for run in self._runs}
            for experiment_id in {run.info.experiment_id for run in self._runs}:
                check_experiment(experiments[experiment_id], store)
                models = check_models(of_all_pages(partial(self._client.search_logged_models, [experiment_id])))
                self._models += [model for model in models if model.source_run_id in ids]
            if self._runs:
                self._versions = list(of_all_pages(partial(self._client.search_model_versions, "", PAGE)))

    @property
    def n_runs(self) -> int:
        """The number of runs that `delete` would delete."""
        return sum(run.info.lifecycle_stage == "active" and not self._needed_by(run) for run in self._runs)

    @property
    def kept(self) -> dict[str, list[str]]:
        """The runs that stay: for each run id, the registered versions, as "name/version", that need the run."""
        found = {run.info.run_id: self._needed_by(run) for run in self._runs}
        return {run_id: versions for run_id, versions in found.items() if versions}

    def n_bytes(self) -> int | None:
        """The size of the files that `free` would delete; None if they lie on a server."""
        places = [place for run in self._runs if not self._needed_by(run) for place in self._places(run)]
        folders = [folder for place in places if (folder := local_path(place)) is not None]
        return sum(map(folder_bytes, folders)) if len(folders) == len(places) else None

    def free(self) -> None:
        """Deletes the runs' files, and writes nothing. May be repeated."""
        with reaching(self._uri):
            for run in self._runs:
                for place in [] if self._needed_by(run) else self._places(run):
                    self._free(place)

    def delete(self) -> None:
        """Deletes the runs' files, and then moves the runs to MLflow's deleted runs. May be repeated."""
        self.free()
        with reaching(self._uri):
            for run in self._runs:
                if self._needed_by(run):
                    continue
                for model in self._models_of(run):
                    self._client.delete_logged_model(model.model_id)
                if run.info.lifecycle_stage == "active":
                    self._client.delete_run(run.info.run_id)

    def _find(self, experiments: Sequence[str], study_id: str) -> list[Run]:
        """All runs of the study, also deleted ones: their files may still be there."""
        queries = [f"tags.`sweeper.study_id` = '{study_id}' AND tags.`sweeper.kind` = '{kind}'" for kind in CHILDREN]
        parents = [run for query in queries for run in search_runs(self._client, experiments, query, ViewType.ALL)]
        parents = [run for run in parents if not is_of_another_store(self._store, run)]
        children = [
            run
            for parent in parents
            for run in search_runs(
                self._client, parent.info.experiment_id, f"tags.`{ROOT}` = '{parent.info.run_id}'", ViewType.ALL
            )
        ]
        found = {run.info.run_id: run for run in [*children, *parents]}
        return sorted(found.values(), key=lambda run: run.data.tags.get("sweeper.kind") == "study")

    def _models_of(self, run: Run) -> list[LoggedModel]:
        return [model for model in self._models if model.source_run_id == run.info.run_id]

    def _places(self, run: Run) -> list[str]:
        places = [run.info.artifact_uri, *(model.artifact_location for model in self._models_of(run))]
        return [place for place in places if place]

    def _needed_by(self, run: Run) -> list[str]:
        """The registered versions that were made from the run."""
        run_id, models = run.info.run_id, {model.model_id for model in self._models_of(run)}
        sources = (f"runs:/{run_id}/", *self._places(run))
        return [
            f"{version.name}/{version.version}"
            for version in self._versions
            if version.run_id == run_id or version.model_id in models or (version.source or "").startswith(sources)
        ]

    def _free(self, place: str) -> None:
        get_artifact_repository(place, tracking_uri=self._uri).delete_artifacts()
        if folder := local_path(place):
            with suppress(OSError):  # not empty, or never made
                folder.parent.rmdir()


def folder_bytes(folder: Path) -> int:
    """The size of all files below a folder; 0 if the folder does not exist."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # deleted meanwhile
            total += path.lstat().st_size if not path.is_dir() else 0
    return total


def _all_runs(store: Store) -> set[tuple[Any, ...]] | None:
    """Each run in the store's own database, with its state and the place of its files; None for a server."""
    if not store.embedded_tracking:
        return None
    return set(databases.rows(store.tracking_uri, "runs", "run_uuid", "lifecycle_stage", "artifact_uri"))
