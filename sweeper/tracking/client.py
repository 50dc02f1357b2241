"""What every part of the tracking needs of MLflow's client: its errors as ours, experiments, runs page by page."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import SweeperError, said
from sweeper.store import databases
from sweeper.store.layout import Store
from sweeper.store.redaction import redact

PAGE = 1000
# The tag of every run below a parent run, at any depth, with that one's id.
ROOT = "sweeper.root"
# Addresses of databases rather than of servers.
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
LIBRARY = databases.Library(
    "MLflow", "runs", Path(mlflow.__file__).parent / "store" / "db_migrations", "mlflow db upgrade"
)


@contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Turns what MLflow raises into a SweeperError that names its address."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError, ValueError) as error:
        raise SweeperError(f"MLflow at {redact(uri)} cannot be used: {redact(said(error))}") from error


def connect(store: Store) -> MlflowClient:
    """MLflow's client for runs and models of the store; an embedded database is made where there is none.

    Raises SweeperError where MLflow cannot be used, or the database is none that it should be let near.
    """
    with reaching(store.tracking_uri), store.initialising(embedded=store.embedded_tracking):
        check_database(store)
        # MLflow takes the registry from the environment before it takes it from the tracking address.
        return MlflowClient(tracking_uri=store.tracking_uri, registry_uri=store.tracking_uri)


def check_database(store: Store) -> bool:
    """Whether there is a database of MLflow's already; SweeperError where it is no such thing, or of another schema.

    MLflow itself would make its tables in anybody's database, and change an older one without a copy. A server
    looks after its own.
    """
    with reaching(store.tracking_uri):
        return is_server(store) or databases.check(store.tracking_uri, LIBRARY)


def check_server(store: Store) -> None:
    """Asks the server for something; SweeperError where it does not answer."""
    with reaching(store.tracking_uri):
        MlflowClient(tracking_uri=store.tracking_uri).search_experiments(max_results=1)


def is_server(store: Store) -> bool:
    """Whether runs go to a server, rather than straight into a database."""
    return re.split(r"[+:]", store.tracking_uri)[0] not in DATABASES


def check_tracking(store: Store, name: str) -> None:
    """Raises SweeperError, before anything is written, where runs of this experiment could not be.

    The server does not answer, or the store was moved since the experiment was made in it.
    """
    if is_server(store):
        check_server(store)
    elif store.embedded_tracking and (store.root / "mlflow.db").exists():
        client = connect(store)
        with reaching(store.tracking_uri):
            experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            check_place(experiment.artifact_location, store)


def check_place(location: str, store: Store) -> None:
    """Raises SweeperError for an experiment whose artifacts' location is in no part of this store, by whatever path.

    MLflow keeps absolute addresses: in a store that was moved it would write to the old place, and make it anew.
    """
    if not store.embedded_tracking or not is_local_uri(location):
        return
    place = Path(local_file_uri_to_path(location))
    if place.is_relative_to(store.root) or any(_same(parent, store.root) for parent in place.parents):
        return
    old = place.parent.parent
    raise SweeperError(
        f"the store {store.root} was moved or copied: the artifacts of its runs belong to {old}; move it back there, "
        f"or, if nothing is there any more, make a link: `ln -s {store.root} {old}`"
    )


def experiment_id(client: MlflowClient, name: str, store: Store) -> str:
    """The experiment of this name, made if need be; SweeperError if it was deleted, or the store was moved."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        check_place(experiment.artifact_location, store)
        if experiment.lifecycle_stage == "deleted":
            raise SweeperError(f"the MLflow experiment {name} was deleted; restore it, or take another --store")
        return str(experiment.experiment_id)
    # A SQLite store would put artifacts under the current folder; a server knows its own place for them.
    location = (store.artifacts / name).as_uri() if store.embedded_tracking else None
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return experiment_id(client, name, store)  # another process on the same server was faster


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


def params_of(values: Mapping[str, Any]) -> list[Param]:
    """Parameters as MLflow takes them; what is not a plain value is JSON text."""
    return [
        Param(name, json.dumps(value) if isinstance(value, list | tuple | dict | bool) else str(value))
        for name, value in values.items()
    ]


def tags_of(values: Mapping[str, str]) -> list[RunTag]:
    """Tags as MLflow takes them."""
    return [RunTag(name, value) for name, value in values.items()]


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
