"""Weights that MLflow holds, found by a run or by a registered model, and brought to a folder of ours."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from sweeper.errors import UsageError, plain, refuse, shortened
from sweeper.store.layout import Store
from sweeper.tracking.client import ROOT, check_database, check_place, connect, reaching, search_runs
from sweeper.tracking.outbox_worker import WEIGHTS

FILE = "model.safetensors"
RUN_ID = re.compile(r"[0-9a-f]{32}")
MODEL = re.compile(r"(?:models:/)?(?P<name>[^/:@]{1,255})(?:@(?P<alias>[\w-]{1,255})|/(?P<version>\d{1,9}))", re.ASCII)
# MLflow's codes for what it does not have; the second is of an alias.
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
# Of the runs below one that has no weights itself, so many that have are named.
MOST_NAMED = 5


@dataclass(frozen=True)
class Source:
    """Whose weights they are, as they can be named again, and the run that has them."""

    name: str
    run_id: str

    @property
    def short(self) -> str:
        """The name as it fits into a title."""
        return self.name.replace(self.run_id, self.run_id[:8])


def resolve(store: Store, reference: str, option: str) -> Source:
    """What a run's id, or models:/NAME@ALIAS and models:/NAME/VERSION with or without the first word, stand for.

    A run is only looked for when its weights are fetched. Raises UsageError, naming the option, for any other text and
    for a model that is not there, and SweeperError where MLflow cannot be used.
    """
    if RUN_ID.fullmatch(reference):
        return Source(f"run {reference}", reference)
    named = MODEL.fullmatch(reference)
    if not named or not reference.isprintable():
        refuse(
            "weights must be named by a run's id (32 hexadecimal digits), or by a registered model as NAME@ALIAS or "
            f"NAME/VERSION, got {shortened(repr(reference))}",
            option,
        )
    name = named["name"]
    with _absent_is_refused(store, f"MLflow has no registered model {reference}", option) as client:
        if named["alias"]:
            found = client.get_model_version_by_alias(name, named["alias"])
        else:
            found = client.get_model_version(name, named["version"])
    if not found.run_id:
        refuse(f"the registered model {reference} was made by no run, and has no {WEIGHTS}/{FILE}", option)
    return Source(f"models:/{name}/{found.version}", found.run_id)


def download(store: Store, source: Source, folder: Path, option: str) -> Path:
    """Brings the source's safetensors file into the folder; gives its path.

    Raises UsageError, naming the option, where there is no such run or it has no weights: then those below it that have
    are named. Raises SweeperError where MLflow cannot be used.
    """
    client, run = run_of(store, source.run_id, option)
    with reaching(store.tracking_uri):
        check_place(client.get_experiment(run.info.experiment_id).artifact_location, store)
        if not _has_weights(client, source.run_id):
            raise UsageError(f"run {source.run_id} has no weights: {_why_none(client, run)} ({option})")
        return Path(client.download_artifacts(source.run_id, f"{WEIGHTS}/{FILE}", str(folder)))


def run_of(store: Store, run_id: str, option: str) -> tuple[MlflowClient, Run]:
    """The run, and the client that found it. Raises UsageError, naming the option, where there is none."""
    with _absent_is_refused(store, f"MLflow has no run {run_id}", option) as client:
        run = client.get_run(run_id)
    if run.info.lifecycle_stage == LifecycleStage.DELETED:
        refuse(f"run {run_id} was deleted in MLflow", option)
    return client, run


@contextmanager
def _absent_is_refused(store: Store, message: str, option: str) -> Iterator[MlflowClient]:
    """A client for a look-up, of which the UsageError with this message says that it found nothing."""
    if store.embedded_tracking and not check_database(store):
        refuse(f"{message}: the store {store.root} has no runs yet", option)
    client = connect(store)
    with reaching(store.tracking_uri):
        try:
            yield client
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            raise UsageError(f"{message} ({option})") from error


def _why_none(client: MlflowClient, run: Run) -> str:
    """Why the run has no weights, and which runs below it have."""
    if run.data.tags.get("sweeper.weights") == "dropped":
        return "they were dropped when better trials came (`sweeper search --keep`)"
    below = list(_with_weights_below(client, run))
    # A training's name begins with that of the run above it.
    named = [
        f"{child.info.run_id} ({plain(str(child.info.run_name).removeprefix(f'{run.info.run_name}, '))})"
        for child in below
    ]
    more = ["..."] if len(named) > MOST_NAMED else []
    return f"below it {', '.join(named[:MOST_NAMED] + more)} have" if named else "nor has any run below it"


def _has_weights(client: MlflowClient, run_id: str) -> bool:
    return any(entry.path == f"{WEIGHTS}/{FILE}" for entry in client.list_artifacts(run_id, WEIGHTS))


def _with_weights_below(client: MlflowClient, run: Run) -> Iterator[Run]:
    """The runs under it, at any depth, that have weights, the first to begin first; at most one more than is named."""
    found: dict[str, Run] = {}
    for tag in (ROOT, MLFLOW_PARENT_RUN_ID):
        query = f"tags.`{tag}` = '{run.info.run_id}'"
        found |= {child.info.run_id: child for child in search_runs(client, run.info.experiment_id, query)}
    n_found = 0
    for child in sorted(found.values(), key=lambda child: (child.info.start_time, child.info.run_name)):
        if n_found <= MOST_NAMED and _has_weights(client, child.info.run_id):
            n_found += 1
            yield child
