"""Finds and creates the run of a study, of its promotion or ablation, or of a training by itself."""

from collections.abc import Iterable
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from sweeper.store.layout import Store
from sweeper.tracking.client import ROOT, search_runs
from sweeper.tracking.copies import check_run_of_store
from sweeper.tracking.deletions import ABSENT
from sweeper.tracking.names import experiments_of
from sweeper.tracking.outbox import Target
from sweeper.tracking.places import check_run
from sweeper.tracking.user import user_tag

# The kinds of runs that stand below a study's own, and whose trainings have different configurations.
UNDER_STUDY = ("promotion", "ablation")


@dataclass(frozen=True)
class ParentRun:
    """A parent run. One that is `deleted` in MLflow takes no writes, but may be restored; `run` None: gone for good."""

    run_id: str
    experiment_id: str
    deleted: bool
    run: Run | None


class ParentRuns:
    """The parent runs of one study, of its promotion or ablation, or of a training by itself.

    Methods raise MLflow's errors. `study_id` identifies the study, or the training.
    """

    def __init__(self, client: MlflowClient, data_name: str, data_sha256: str, study_id: str) -> None:
        self._client, self._data_name, self._data_sha256 = client, data_name, data_sha256
        self._study_id = study_id

    def find(self, kind: str, recorded: Iterable[str] = ()) -> list[ParentRun]:
        """The parent runs of this kind: those that take writes first, then the deleted ones, the latest first.

        `recorded` are the ids of runs below it that the study knows: they lead to a run that was deleted for good, or
        whose experiment was renamed.
        """
        query = f"tags.`{id_tag(kind)}` = '{self._study_id}' AND tags.`sweeper.kind` = '{kind}'"
        runs = [
            run
            for experiment in self._experiments()
            for run in search_runs(self._client, experiment.experiment_id, query, ViewType.ALL)
        ]
        found = [_parent(run) for run in runs] or self._above(recorded)
        return sorted(found, key=lambda parent: parent.deleted)

    def create(self, kind: str, experiment_id: str, study: str, name: str) -> ParentRun:
        """Creates the parent run; `name` is that of a training by itself."""
        identity = {id_tag(kind): self._study_id, "sweeper.kind": kind, **user_tag()}
        if kind != "training":
            identity["sweeper.study"] = name = study
        if kind in UNDER_STUDY:
            name = f"{study} {kind}"
            studies = [parent for parent in self.find("study") if not parent.deleted]
            if studies:
                identity[MLFLOW_PARENT_RUN_ID] = studies[0].run_id
        return _parent(check_run(self._client.create_run(experiment_id, run_name=name, tags=identity)))

    def adopt(self, parent: ParentRun, dropped: Iterable[str]) -> None:
        """Puts the runs that are left below parent runs that were given up below this one."""
        experiments = {experiment.experiment_id for experiment in self._experiments()} | {parent.experiment_id}
        for run_id in dropped:
            for experiment in experiments:
                for child in search_runs(self._client, experiment, f"tags.`{ROOT}` = '{run_id}'"):
                    if child.data.tags.get(MLFLOW_PARENT_RUN_ID) == run_id:
                        self._client.set_tag(child.info.run_id, MLFLOW_PARENT_RUN_ID, parent.run_id)
                    self._client.set_tag(child.info.run_id, ROOT, parent.run_id)

    def _experiments(self) -> list[Experiment]:
        return experiments_of(self._client, self._data_name, self._data_sha256)

    def _above(self, recorded: Iterable[str]) -> list[ParentRun]:
        """The parent run above the first of these runs that MLflow still has."""
        for run_id in recorded:
            child = _get(self._client, run_id)
            if child is None or not (root := child.data.tags.get(ROOT)):
                continue
            run = _get(self._client, root)
            if run is not None and self._study_id not in run.data.tags.values():
                continue  # the study's record of this run was changed: it is not ours
            return [_parent(run) if run else ParentRun(root, child.info.experiment_id, deleted=True, run=None)]
        return []


def is_parent(client: MlflowClient, store: Store, target: Target) -> bool:
    """Whether the target's run is its study's, or gone for good: a damaged or foreign outbox could name any run.

    Raises SweeperError for the run of a store of which this one is a copy.
    """
    run = _get(client, target.run_id)
    if run is None:
        return True
    check_run_of_store(store, run)
    tags = run.data.tags
    found = run.info.experiment_id, tags.get("sweeper.kind"), tags.get(id_tag(target.kind))
    return found == (target.experiment_id, target.kind, target.study_id)


def id_tag(kind: str) -> str:
    """The tag that identifies a parent run: by its study's id, or by its own id for a training by itself."""
    return "sweeper.training_id" if kind == "training" else "sweeper.study_id"


def _parent(run: Run) -> ParentRun:
    deleted = run.info.lifecycle_stage == LifecycleStage.DELETED
    return ParentRun(run.info.run_id, run.info.experiment_id, deleted, run)


def _get(client: MlflowClient, run_id: str) -> Run | None:
    try:
        return check_run(client.get_run(run_id))
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        return None
