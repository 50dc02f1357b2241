"""What every part of the tracking needs of MLflow's client: its errors as ours, experiments, runs page by page."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import SweeperError
from sweeper.store import Store, redact

PAGE = 1000


@contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Turns what MLflow raises into a SweeperError that names its address."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError, ValueError) as error:
        raise SweeperError(f"MLflow at {redact(uri)} cannot be used: {redacted(error)}") from error


def experiment_id(client: MlflowClient, name: str, store: Store) -> str:
    """The experiment of this name, made if need be; SweeperError if it was deleted."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        if experiment.lifecycle_stage == "deleted":
            raise SweeperError(f"the MLflow experiment {name} was deleted; restore it, or take another --store")
        return str(experiment.experiment_id)
    # A SQLite store would put artifacts under the current folder; a server knows its own place for them.
    location = (store.artifacts / name).as_uri() if store.embedded_tracking else None
    return str(client.create_experiment(name, artifact_location=location))


def search_runs(client: MlflowClient, experiment: str, query: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    """All runs of the experiment that the query finds, the latest first."""
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], query, view, PAGE, None, token)
        found += page
        token = page.token
        if not token:
            return found


def redacted(error: Exception) -> str:
    """The first line of an error's message, without passwords."""
    return redact(str(error).splitlines()[0] if str(error) else type(error).__name__)
