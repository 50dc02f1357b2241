"""Reads a study from its store, in a form that lets two runs of the same study be compared."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import optuna
from optuna.trial import TrialState
from safetensors.numpy import load_file

# Metrics that come from a clock differ from run to run.
TIMES = ("images_per_second", "epoch_seconds", "training_seconds", "seconds")
EPOCH_METRIC = "train_loss"


@dataclass(frozen=True)
class Trial:
    """A trial with its data in Optuna and in MLflow; `runs` are its MLflow runs."""

    number: int
    state: TrialState
    params: dict[str, Any]
    values: dict[int, float]
    metrics: dict[str, float]
    reason: str
    infeasible: bool
    runs: list[Any]
    histories: dict[str, list[tuple[int, float]]]  # over all its runs: (step, value) by metric, in order of arrival
    times: list[int]  # timestamps of EPOCH_METRIC, ms

    def comparable(self) -> dict[str, Any]:
        """Everything that must be the same, however often the trial was interrupted."""
        names = ("number", "state", "params", "values", "metrics", "reason")
        return {name: getattr(self, name) for name in names} | self.histories


def trials(store: Path, study: str, tracking_uri: str | None = None, storage_url: str | None = None) -> list[Trial]:
    """All trials of a study, with their data in MLflow."""
    storage = optuna.storages.RDBStorage(storage_url or f"sqlite:///{store}/optuna.db")
    try:
        found = optuna.load_study(study_name=study, storage=storage)
        study_id, frozen = found.user_attrs["study_id"], found.get_trials()
    finally:
        storage.engine.dispose()
    client = mlflow.MlflowClient(tracking_uri or f"sqlite:///{store}/mlflow.db")
    runs = _runs(client, study_id)
    return [_trial(client, trial, runs.get(str(trial.number), [])) for trial in frozen]


def differences(found: list[Trial], expected: list[Trial]) -> list[str]:
    """The differences between two studies, a line each; empty if they are equal."""
    lines = [f"{len(found)} trials, not {len(expected)}"] * (len(found) != len(expected))
    for trial, other in zip(found, expected, strict=False):
        is_, should_be = trial.comparable(), other.comparable()
        for name in sorted({*is_, *should_be}):
            if is_.get(name) != should_be.get(name):
                lines.append(f"trial {other.number}, {name}: {is_.get(name)}, not {should_be.get(name)}")
    return lines


def parents(store: Path, study: str, kind: str = "study") -> list[Any]:
    """The MLflow runs of the study itself, or of its promotion."""
    client = mlflow.MlflowClient(f"sqlite:///{store}/mlflow.db")
    query = f"tags.`sweeper.study` = '{study}' AND tags.`sweeper.kind` = '{kind}'"
    return list(client.search_runs([e.experiment_id for e in client.search_experiments()], query))


def weights(store: Path, trial: Trial) -> dict[str, bytes]:
    """The bytes of a trial's kept weights, by the name of the tensor."""
    [run] = trial.runs
    client = mlflow.MlflowClient(f"sqlite:///{store}/mlflow.db")
    path = client.download_artifacts(run.info.run_id, "weights/model.safetensors")
    return {name: tensor.tobytes() for name, tensor in load_file(path).items()}


def epoch_lines(store: Path, study: str, trial: int | None = None) -> int:
    """How many epochs of one trial or of all the workers have trained, according to their logs.

    Those of fresh seeds, which idle workers train for a promotion, are none of a trial's.
    """
    number = r"\d+" if trial is None else trial
    logs = (store / "logs").glob(f"{study}-????????/worker-*.log")
    return sum(
        len(re.findall(rf"^trial {number}, (?!fresh seed).*\bepoch \d+:", log.read_text(), re.M)) for log in logs
    )


def partial_files(store: Path) -> list[Path]:
    """Files whose names show that a write was interrupted."""
    return [path for path in store.rglob("*") if path.name.endswith((".tmp", ".part", ".partial"))]


def _runs(client: mlflow.MlflowClient, study_id: str) -> dict[str, list[Any]]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    query = f"tags.`sweeper.study_id` = '{study_id}' AND tags.`sweeper.kind` = 'study'"
    children: dict[str, list[Any]] = {}
    for parent in client.search_runs(experiments, query):
        for run in client.search_runs(experiments, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"):
            if "sweeper.trial" in run.data.tags:
                children.setdefault(run.data.tags["sweeper.trial"], []).append(run)
    return children


def _trial(client: mlflow.MlflowClient, frozen: optuna.trial.FrozenTrial, runs: list[Any]) -> Trial:
    result = frozen.user_attrs.get("result", {})
    histories: dict[str, list[tuple[int, float]]] = {}
    times: list[int] = []
    for run in runs:
        for name in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, name)
            if name == EPOCH_METRIC:
                times += [metric.timestamp for metric in history]
            if name not in TIMES:
                histories.setdefault(name, []).extend((metric.step, metric.value) for metric in history)
    metrics = {name: value for name, value in result.get("metrics", {}).items() if name not in TIMES}
    return Trial(
        number=frozen.number,
        state=frozen.state,
        params=frozen.params,
        values=frozen.intermediate_values,
        metrics={name: value for name, value in metrics.items() if not math.isnan(value)},
        reason=result.get("reason", ""),
        infeasible=any(value > 0 for value in frozen.constraints.values()),
        runs=runs,
        histories=dict(sorted(histories.items())),
        times=times,
    )


def text_of(path: Path) -> str:
    """A file's bytes as text, in which a search finds a secret whatever else the file holds."""
    return path.read_bytes().decode("latin-1")
