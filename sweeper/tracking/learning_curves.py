"""The epochs that MLflow holds of a run, or of the trainings under it, to be drawn beside others."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from sweeper.errors import plain, refuse, shortened
from sweeper.store.layout import Store
from sweeper.tracking.client import reaching, search_runs
from sweeper.tracking.weights import RUN_ID, run_of

CURVES = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")
# The tag of a training's run that says which weights it started from.
INIT = "sweeper.init"


@dataclass(frozen=True)
class Curves:
    """The epochs of a run's trainings, each with `epoch` and the figures in CURVES, NaN where it has none."""

    name: str
    trainings: Sequence[Sequence[dict[str, float]]]


def curves_of(store: Store, run_id: str, data_sha256: str, option: str) -> Curves:
    """The curves of a training, a trial, or the mean of its folds and repeats; the name tells it from other runs.

    `data_sha256` is of the data that it is compared on: the name says where a run was on others. Raises UsageError,
    naming the option, where there is no such run or it has no epochs, and SweeperError where MLflow cannot be used.
    """
    if not RUN_ID.fullmatch(run_id):
        refuse(f"a run must be named by its id, 32 hexadecimal digits, got {shortened(repr(run_id))}", option)
    client, run = run_of(store, run_id, option)
    with reaching(store.tracking_uri):
        query = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}' AND tags.`sweeper.kind` = 'training'"
        below = search_runs(client, run.info.experiment_id, query)
        if run.data.tags.get("sweeper.kind") == "promotion":
            below = []  # those are of different configurations
        trainings = [epochs for child in below or [run] if (epochs := _epochs(client, child))]
    if not trainings:
        refuse(f"run {run_id} ({plain(str(run.info.run_name))}) has no epochs to compare with", option)
    return Curves(_named(run, data_sha256), trainings)


def _epochs(client: MlflowClient, run: Run) -> list[dict[str, float]]:
    values: dict[int, dict[str, float]] = {}
    for name in CURVES:
        for metric in client.get_metric_history(run.info.run_id, name):
            # MLflow stores the largest float for infinity.
            value = metric.value if metric.value < sys.float_info.max else math.inf
            values.setdefault(metric.step, dict.fromkeys(CURVES, math.nan))[name] = value
    return [{"epoch": step, **values[step]} for step in sorted(values)]


def _named(run: Run, data_sha256: str) -> str:
    """The run's name, with what its name does not tell: its id, whether it began at random, and its data if others."""
    told = [str(run.info.run_name)]
    if INIT not in run.data.tags and run.data.params.get("pretrained") != "true":
        told.append("from scratch")
    inputs = run.inputs.dataset_inputs if run.inputs else []
    # MLflow holds the first characters of the hash.
    others = [entry.dataset.name for entry in inputs if not data_sha256.startswith(entry.dataset.digest)]
    told += [f"on {name}" for name in dict.fromkeys(others)]
    return f"{', '.join(told)} (run {run.info.run_id[:8]})"
