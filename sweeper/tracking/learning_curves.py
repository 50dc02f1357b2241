"""Reads the learning curves of earlier runs from MLflow, for comparison with a new training."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from sweeper.errors import plain, refuse, shortened
from sweeper.evaluation.metrics import LEARNING_CURVES
from sweeper.store.layout import Store
from sweeper.store.names import is_id
from sweeper.tracking.client import reaching, search_runs
from sweeper.tracking.parent_run import UNDER_STUDY
from sweeper.tracking.weights import run_of

# This tag of a training's run says which weights the training started from.
INIT = "sweeper.init"


@dataclass(frozen=True)
class Curves:
    """The epochs of a run's trainings, each with `epoch` and the LEARNING_CURVES, NaN where a metric is missing."""

    name: str
    trainings: Sequence[Sequence[dict[str, float]]]


def curves_of(store: Store, run_id: str, data_sha256: str, option: str) -> Curves:
    """The learning curves of a run: its own, or those of the trainings (folds and repeats) under it.

    `data_sha256` is the hash of the data of the comparison; the name of the curves says if the run had other data.
    Raises UsageError, naming the option, if the run does not exist or has no epochs, and SweeperError if MLflow cannot
    be used.
    """
    if not is_id(run_id):
        refuse(f"a run must be named by its id, 32 hexadecimal digits, got {shortened(repr(run_id))}", option)
    client, run = run_of(store, run_id, option)
    with reaching(store.tracking_uri):
        query = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}' AND tags.`sweeper.kind` = 'training'"
        below = search_runs(client, run.info.experiment_id, query)
        if run.data.tags.get("sweeper.kind") in UNDER_STUDY:
            below = []  # their trainings have different configurations
        trainings = [epochs for child in below or [run] if (epochs := _epochs(client, child))]
    if not trainings:
        refuse(f"run {run_id} ({plain(run.info.run_name)}) has no epochs to compare with", option)
    return Curves(_distinct_name(run, data_sha256), trainings)


def _epochs(client: MlflowClient, run: Run) -> list[dict[str, float]]:
    values: dict[int, dict[str, float]] = {}
    for name in LEARNING_CURVES:
        for metric in client.get_metric_history(run.info.run_id, name):
            # MLflow stores infinity as the largest float.
            value = metric.value if metric.value < sys.float_info.max else math.inf
            values.setdefault(metric.step, dict.fromkeys(LEARNING_CURVES, math.nan))[name] = value
    return [{"epoch": step, **values[step]} for step in sorted(values)]


def _distinct_name(run: Run, data_sha256: str) -> str:
    """The run's name and id, and what else sets it apart: random initial weights, and other data."""
    parts = [str(run.info.run_name)]
    if INIT not in run.data.tags and run.data.params.get("pretrained") != "true":
        parts.append("from scratch")
    inputs = run.inputs.dataset_inputs if run.inputs else []
    # MLflow's digest holds the first characters of the hash.
    others = [entry.dataset.name for entry in inputs if not data_sha256.startswith(entry.dataset.digest)]
    parts += [f"on {name}" for name in dict.fromkeys(others)]
    return f"{', '.join(parts)} (run {run.info.run_id[:8]})"
