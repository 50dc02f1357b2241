"""What somebody deleted in MLflow, an experiment or runs, and how to restore it or go on without it."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException

from sweeper.store.arguments import store_arguments
from sweeper.store.layout import Store
from sweeper.store.redaction import redact
from sweeper.tracking.client import restore_command

# MLflow's code for a run or an experiment that it does not have.
ABSENT = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True)
class Deletion:
    """An experiment or a run that was deleted; `for_good` if MLflow no longer has it (`mlflow gc`).

    `name` says which it is: "the experiment tiny", "trial 3", "study tiny-lenet5".
    """

    kind: str  # experiment or run
    id: str
    name: str
    for_good: bool


def of_experiment(client: MlflowClient, experiment_id: str, name: str) -> Deletion | None:
    """The experiment's deletion; None if it is active. Raises MLflow's errors."""
    try:
        experiment = client.get_experiment(experiment_id)
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        return Deletion("experiment", experiment_id, f"the experiment {name}", for_good=True)
    if experiment.lifecycle_stage == LifecycleStage.DELETED:
        return Deletion("experiment", experiment_id, f"the experiment {experiment.name}", for_good=False)
    return None


def of_run(client: MlflowClient, run_id: str, name: str) -> Deletion | None:
    """The run's deletion; None if it is active. Raises MLflow's errors."""
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        return Deletion("run", run_id, name, for_good=True)
    deleted = run.info.lifecycle_stage == LifecycleStage.DELETED
    return Deletion("run", run_id, name, for_good=False) if deleted else None


def told(deletions: Iterable[Deletion], store: Store, study: str) -> str:
    """What was deleted, the command that restores it, and how to go on without it; for the study that lacks it."""
    uri = store.tracking_uri
    distinct = list(dict.fromkeys(deletions))
    # An experiment's deletion is the cause of its runs' deletions.
    shown = [deletion for deletion in distinct if deletion.kind == "experiment"] or distinct
    lost = [deletion for deletion in shown if deletion.for_good]
    found = [deletion for deletion in shown if not deletion.for_good]
    parts = []
    if found:
        restore = restore_command(found[0].kind, [deletion.id for deletion in found], uri)
        parts.append(f"{_named(found)} deleted in MLflow: `{restore}` restores it")
    if lost:
        parts.append(f"{_named(lost)} deleted for good: MLflow at {redact(uri)} no longer has it")
    parts.append(f"`sweeper sync {shlex.quote(study)} --drop-deleted{store_arguments(store)}` goes on without its past")
    if any(deletion.kind == "experiment" or deletion.name == f"study {study}" for deletion in shown):
        parts.append("a search with --new starts another study")
    return "; ".join(parts)


def _named(deletions: list[Deletion]) -> str:
    """The beginning of a sentence: "the run of trial 1 was", "the runs of trial 1 and trial 3 were"."""
    names = [deletion.name for deletion in deletions]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    if deletions[0].kind == "experiment":
        return f"{listed} was"
    return f"the run of {listed} was" if len(names) == 1 else f"the runs of {listed} were"
