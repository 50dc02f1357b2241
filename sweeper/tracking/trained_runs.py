"""Reads what a trained network's run in MLflow holds: its configuration, its weights, and whose run it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from sweeper.errors import UsageError
from sweeper.store.layout import Store
from sweeper.tracking import weights
from sweeper.tracking.client import ROOT, connect, database_exists, reaching
from sweeper.tracking.deletions import ABSENT
from sweeper.tracking.places import check_experiment
from sweeper.tracking.run_writer import WEIGHTS

CONFIG = "config.json"
# In a list of what exists.
MOST_NAMED = 5


@dataclass(frozen=True)
class TrainedRun:
    """A training's run. `config` is the text of its config.json, and `weights` its file of weights, if MLflow has it.

    `study_id` is that of the study to whose search or promotion the run belongs, None without one. `why_no_weights`
    says why there is no file, and which runs have one.
    """

    run_id: str
    name: str
    tags: Mapping[str, str]
    study_id: str | None
    config: str
    weights: Path | None
    why_no_weights: str


def fetch(store: Store, run_id: str, folder: Path, option: str) -> TrainedRun:
    """Downloads a run's config.json and weights into `folder`.

    Raises UsageError, naming the option, if the run does not exist or is of no training, and SweeperError if MLflow
    cannot be used.
    """
    client, run = weights.run_of(store, run_id, option)
    with reaching(store.tracking_uri):
        check_experiment(client.get_experiment(run.info.experiment_id), store)
        has_weights = weights.has_weights(client, run_id)
        reason = "" if has_weights else weights.why_no_weights(client, run)
        if CONFIG not in {file.path for file in client.list_artifacts(run_id)}:
            raise UsageError(
                f"run {run_id} is of no training, it has no {CONFIG}: {reason or 'name another'} ({option})"
            )
        config = client.download_artifacts(run_id, CONFIG, str(folder))
        file = client.download_artifacts(run_id, f"{WEIGHTS}/{weights.FILE}", str(folder)) if has_weights else None
        return TrainedRun(
            run_id=run_id,
            name=str(run.info.run_name),
            tags=run.data.tags,
            study_id=_study_id(client, run),
            config=Path(config).read_text(encoding="utf-8"),
            weights=Path(file) if file else None,
            why_no_weights=reason,
        )


def below(store: Store, run_id: str, option: str) -> list[tuple[str, Mapping[str, str]]]:
    """The ids and tags of the runs below a run, the earliest first. Raises UsageError and SweeperError as `fetch`."""
    client, run = weights.run_of(store, run_id, option)
    with reaching(store.tracking_uri):
        return [(child.info.run_id, child.data.tags) for child in weights.below(client, run)]


def with_weights(store: Store, run_ids: Iterable[str]) -> list[str]:
    """The first of these runs that MLflow has with their weights, at most MOST_NAMED. Raises SweeperError."""
    client = connect(store)
    with reaching(store.tracking_uri):
        return list(islice((run_id for run_id in run_ids if _has_weights(client, run_id)), MOST_NAMED))


def registered(store: Store) -> list[str]:
    """Registered models by their aliases, as NAME@ALIAS, at most MOST_NAMED; creates no database.

    Raises SweeperError.
    """
    if not database_exists(store):
        return []
    client = connect(store)
    with reaching(store.tracking_uri):
        models = client.search_registered_models(max_results=MOST_NAMED)
    return [f"{model.name}@{alias}" for model in models for alias in sorted(model.aliases)][:MOST_NAMED]


def _has_weights(client: MlflowClient, run_id: str) -> bool:
    try:
        return weights.has_weights(client, run_id)
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        return False


def _study_id(client: MlflowClient, run: Run) -> str | None:
    """The study's id, which the run of the study or promotion above this one has; None if there is none any more."""
    tags = run.data.tags
    above = tags.get(ROOT) or tags.get(MLFLOW_PARENT_RUN_ID)
    if above is None:
        return None
    try:
        found = client.get_run(above).data.tags.get("sweeper.study_id")
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        return None
    return None if found is None else str(found)
