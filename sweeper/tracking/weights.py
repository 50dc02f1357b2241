"""Finds weights in MLflow by a run or a registered model, and downloads them."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from sweeper.errors import UsageError, plain, refuse, shortened
from sweeper.store.layout import Store
from sweeper.store.names import is_id
from sweeper.tracking.client import ROOT, connect, database_exists, reaching, search_runs
from sweeper.tracking.places import check_experiment, check_run
from sweeper.tracking.run_writer import WEIGHTS

FILE = "model.safetensors"
MODEL = re.compile(r"(?:models:/)?(?P<name>[^/:@]{1,255})(?:@(?P<alias>[\w-]{1,255})|/(?P<version>\d{1,9}))", re.ASCII)
# MLflow's codes for what it does not have; the second is for an alias.
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
# If a run has no weights, the error names at most this many runs below it that do.
MOST_NAMED = 5


@dataclass(frozen=True)
class Source:
    """Where weights come from: a name that stays valid when aliases move, and the run that has the weights."""

    name: str
    run_id: str

    @property
    def short(self) -> str:
        """The name with a shortened run id, for titles."""
        return self.name.replace(self.run_id, self.run_id[:8])


def resolve(store: Store, reference: str, option: str) -> Source:
    """The source that a reference names: a run's id, or NAME@ALIAS or NAME/VERSION with or without models:/ before it.

    A run is looked up only when its weights are downloaded. Raises UsageError, naming the option, for any other text
    and for a model that does not exist, and SweeperError if MLflow cannot be used.
    """
    if is_id(reference):
        return Source(f"run {reference}", reference)
    named = MODEL.fullmatch(reference)
    if not named or not reference.isprintable():
        refuse(
            "weights must be named by a run's id (32 hexadecimal digits), or by a registered model as NAME@ALIAS or "
            f"NAME/VERSION, got {shortened(repr(reference))}",
            option,
        )
    name = named["name"]
    with _looking_up(store, f"MLflow has no registered model {reference}", option) as client:
        if named["alias"]:
            found = client.get_model_version_by_alias(name, named["alias"])
        else:
            found = client.get_model_version(name, named["version"])
    if not is_id(found.run_id):
        refuse(f"the registered model {reference} was not made by a run, so it has no {WEIGHTS}/{FILE}", option)
    return Source(f"models:/{name}/{found.version}", found.run_id)


def download(store: Store, source: Source, folder: Path, option: str) -> Path:
    """Downloads the source's safetensors file into the folder; returns its path.

    Raises UsageError, naming the option, if the run does not exist or has no weights; the error then names runs below
    it that do. Raises SweeperError if MLflow cannot be used.
    """
    client, run = run_of(store, source.run_id, option)
    with reaching(store.tracking_uri):
        check_experiment(client.get_experiment(run.info.experiment_id), store)
        if not has_weights(client, source.run_id):
            raise UsageError(f"run {source.run_id} has no weights: {why_no_weights(client, run)} ({option})")
        return Path(client.download_artifacts(source.run_id, f"{WEIGHTS}/{FILE}", str(folder)))


def run_of(store: Store, run_id: str, option: str) -> tuple[MlflowClient, Run]:
    """The run, and the client that found it. Raises UsageError, naming the option, if the run does not exist."""
    with _looking_up(store, f"MLflow has no run {run_id}", option) as client:
        run = check_run(client.get_run(run_id))
    if run.info.lifecycle_stage == LifecycleStage.DELETED:
        refuse(f"run {run_id} was deleted in MLflow", option)
    return client, run


@contextmanager
def _looking_up(store: Store, message: str, option: str) -> Iterator[MlflowClient]:
    """A client for a look-up; a look-up that finds nothing becomes a UsageError with this message."""
    if store.embedded_tracking and not database_exists(store):
        refuse(f"{message}: the store {store.root} has no runs yet", option)
    client = connect(store)
    with reaching(store.tracking_uri):
        try:
            yield client
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            raise UsageError(f"{message} ({option})") from error


def below(client: MlflowClient, run: Run) -> list[Run]:
    """The runs below this one, at any depth, the earliest first. Raises MLflow's errors."""
    found: dict[str, Run] = {}
    for tag in (ROOT, MLFLOW_PARENT_RUN_ID):
        query = f"tags.`{tag}` = '{run.info.run_id}'"
        found |= {child.info.run_id: child for child in search_runs(client, run.info.experiment_id, query)}
    return sorted(found.values(), key=lambda child: (child.info.start_time, child.info.run_name))


def why_no_weights(client: MlflowClient, run: Run) -> str:
    """Why the run has no weights, and which runs below it do. Raises MLflow's errors."""
    if run.data.tags.get("sweeper.weights") == "dropped":
        return "they were dropped when better trials finished (see `sweeper search --keep`)"
    children = below(client, run)
    # A training's name begins with the name of the run above it.
    named = [
        f"{child.info.run_id} ({plain(str(child.info.run_name).removeprefix(f'{run.info.run_name}, '))})"
        for child in _with_weights(client, children)
    ]
    more = ["..."] if len(named) > MOST_NAMED else []
    if named:
        return f"give a run below it: {', '.join(named[:MOST_NAMED] + more)}"
    if run.info.status == "RUNNING":
        return "its run has not ended in MLflow: it trains, was interrupted, or has writes that wait (`sweeper sync`)"
    if children:
        return "runs below it have none either"
    return "only the best trials of a search keep theirs (see `sweeper search --keep`)"


def has_weights(client: MlflowClient, run_id: str) -> bool:
    """Whether MLflow has weights of the run. Raises MLflow's errors."""
    return any(entry.path == f"{WEIGHTS}/{FILE}" for entry in client.list_artifacts(run_id, WEIGHTS))


def _with_weights(client: MlflowClient, runs: Sequence[Run]) -> Iterator[Run]:
    """Those of the runs that have weights, at most MOST_NAMED and one more."""
    n_found = 0
    for child in runs:
        if n_found <= MOST_NAMED and has_weights(client, child.info.run_id):
            n_found += 1
            yield child
