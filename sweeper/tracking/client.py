"""Shared access to MLflow: connects, converts errors, checks the store, and finds experiments and runs."""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList
from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.exc import SQLAlchemyError

from sweeper.errors import SweeperError, said
from sweeper.store import databases, new_database
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.tracking import places
from sweeper.tracking.answers import NotMlflow
from sweeper.tracking.places import check_experiment, check_run

PAGE = 1000
Found = TypeVar("Found")
# Every run below a parent run, at any depth, has this tag with the parent run's id.
ROOT = "sweeper.root"
CONTENT = ("experiments WHERE experiment_id <> 0", "runs", "registered_models")
LIBRARY = databases.Library(
    "MLflow", CONTENT, Path(mlflow.__file__).parent / "store" / "db_migrations", "mlflow db upgrade"
)


@contextmanager
def reaching(uri: str) -> Iterator[None]:
    """Converts MLflow's errors to a SweeperError that names MLflow's address."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError, OSError, ValueError) as error:
        raise SweeperError(f"MLflow at {redact(uri)} cannot be used: {redact(said(error))}") from error


def connect(store: Store) -> MlflowClient:
    """MLflow's client for the store's runs and models; creates the embedded database if it is missing.

    Raises SweeperError if MLflow cannot be used, the database is not MLflow's or has another schema, or what answers at
    a server's address is not MLflow.
    """
    store.check_readable()
    if is_server(store):
        check_server(store)
    with reaching(store.tracking_uri), new_database.initialising(store.tracking_uri):
        if not database_exists(store):
            new_database.make(store.tracking_uri, LIBRARY, _create)
        # Without registry_uri, MLflow would prefer a registry from the environment to the one at the tracking address.
        return MlflowClient(tracking_uri=store.tracking_uri, registry_uri=store.tracking_uri)


def _create(url: str) -> None:
    store = SqlAlchemyStore(url, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)  # as MlflowClient itself calls it
    store.engine.dispose()


def database_exists(store: Store) -> bool:
    """Whether MLflow's database exists; SweeperError if the database is not MLflow's or has another schema.

    MLflow itself would create its tables in any program's database, and upgrade an older schema without a backup. A
    server looks after its own database, which counts as existing.
    """
    with reaching(store.tracking_uri):
        return is_server(store) or databases.exists(store.tracking_uri, LIBRARY)


def check_database(store: Store) -> None:
    """Raises SweeperError if the database is not MLflow's or has another schema; there may be none."""
    database_exists(store)


def check_shown(store: Store) -> None:
    """Raises SweeperError if MLflow's UI must not be opened on the store's own database.

    It would migrate an older database to its own schema, without a backup, and show the files of a moved store's
    original, or any files of the user's that somebody else's store names.
    """
    check_database(store)
    if store.embedded_tracking:
        store.check_links()
        with reaching(store.tracking_uri):
            places.check_shown(store)


def check_server(store: Store) -> None:
    """Sends a small request to the server; SweeperError if the server does not answer, or is not MLflow."""
    with reaching(store.tracking_uri):
        # MLflow says that there is none; what answers all requests alike gives something.
        name = f"sweeper-{uuid4().hex}"
        if MlflowClient(tracking_uri=store.tracking_uri).get_experiment_by_name(name) is not None:
            raise NotMlflow("it has an experiment that nobody made")


def public_uri(store: Store) -> str:
    """MLflow's address without its password; "" for the store's own database, whose place may change."""
    return "" if store.embedded_tracking else redact(store.tracking_uri)


def is_server(store: Store) -> bool:
    """Whether runs go to a server, not directly into a database."""
    return not store.tracking_uri.startswith("sqlite")


def check_tracking(store: Store, name: str) -> None:
    """Raises SweeperError, before anything is written, if runs of this experiment could not be written.

    Reasons: the server does not answer, the store was moved after the experiment was created, or its files are on
    another machine.
    """
    if is_server(store) or (store.embedded_tracking and (store.root / "mlflow.db").exists()):
        client = connect(store)
        with reaching(store.tracking_uri):
            experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            check_experiment(experiment, store)


def experiment_id(client: MlflowClient, name: str, store: Store) -> str:
    """The id of the experiment, created if missing; SweeperError if it was deleted, or the store was moved."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        check_experiment(experiment, store)
        if experiment.lifecycle_stage == "deleted":
            raise SweeperError(
                f"the MLflow experiment {name} was deleted; restore it "
                f"(`{restore_command('experiment', [experiment.experiment_id], store.tracking_uri)}`), or give another "
                "--store"
            )
        return str(experiment.experiment_id)
    # With a database, MLflow would put artifacts under the current folder; a server chooses their place itself.
    location = None if is_server(store) else (_artifacts(store) / name).as_uri()
    try:
        created = str(client.create_experiment(name, artifact_location=location))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return experiment_id(client, name, store)  # another process created it first
    if location is None:
        check_experiment(client.get_experiment(created), store)
    return created


def restore_command(kind: str, ids: Sequence[str], uri: str) -> str:
    """The command that restores deleted runs or experiments (`kind`); a password in the address must be typed in."""
    command = f"MLFLOW_TRACKING_URI={shlex.quote(redact(uri))} mlflow {kind}s restore --{kind}-id"
    return f"{command} {ids[0]}" if len(ids) == 1 else f"for {kind} in {' '.join(ids)}; do {command} ${kind}; done"


def _artifacts(store: Store) -> Path:
    """The folder of artifacts: in the store, or beside a SQLite file that the user has named."""
    file = store.tracking_file
    return store.artifacts if store.embedded_tracking or file is None else file.parent / "artifacts"


def search_runs(
    client: MlflowClient, experiments: str | Sequence[str], query: str, view: int = ViewType.ACTIVE_ONLY
) -> list[Run]:
    """All runs of these experiments that match the query, the latest first. Raises SweeperError like `check_run`."""
    ids = [experiments] if isinstance(experiments, str) else list(experiments)
    return [check_run(run) for run in of_all_pages(partial(client.search_runs, ids, query, view, PAGE, None))]


def of_all_pages(search: Callable[..., PagedList[Found]]) -> Iterator[Found]:
    """All that a search of MLflow's finds; it takes the token of a page, None for the first, as `page_token`."""
    token = None
    while True:
        page = search(page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def params_of(values: Mapping[str, Any]) -> list[Param]:
    """Converts parameters to MLflow's; lists, tuples, dicts and booleans become JSON text."""
    return [
        Param(name, json.dumps(value) if isinstance(value, list | tuple | dict | bool) else str(value))
        for name, value in values.items()
    ]


def tags_of(values: Mapping[str, str]) -> list[RunTag]:
    """Converts tags to MLflow's."""
    return [RunTag(name, str(value)) for name, value in values.items()]
