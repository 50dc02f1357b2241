"""One sweep from its request to its outcome: data, study, workers, tracking, and the ranking at the end."""

import hashlib
import json
import os
import platform
import subprocess
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna
from matplotlib.figure import Figure
from optuna.importance import get_param_importances

from sweeper import plots
from sweeper.config import Protocol
from sweeper.data.pool import TrainingPool, load_training_pool
from sweeper.data.splits import Split, split_pool
from sweeper.data.summary import channel_statistics
from sweeper.errors import SweeperError, UsageError
from sweeper.search import study as studies
from sweeper.search.coordinator import Coordinator, Limits, StopRequest
from sweeper.search.events import Listener, Note
from sweeper.search.resources import Execution, plan_execution
from sweeper.search.study import TrialRecord
from sweeper.search.workers import WorkerPool, WorkerSetup
from sweeper.space import Space
from sweeper.store import Store, redact
from sweeper.tracking.runs import DataRecord, Tracker, table

PACKAGES = ("cnn-sweeper", "torch", "torchvision", "optuna", "mlflow", "numpy", "scikit-learn", "timm")
# Ways to stop that leave nothing to be gone on with: the trials are done, or the target is reached.
DONE = ("", "target")


@dataclass(frozen=True)
class Request:
    """A search as asked for on the command line."""

    dataset: str
    space: Space
    protocol: Protocol
    study: str
    new: bool
    trials: int
    seed: int
    sampler: str
    pruner: str
    metric: str
    device: str
    jobs: int | None
    subset: int | None
    max_parameters: int | None
    target: float | None
    keep: int
    timeout: float | None  # seconds
    data_dir: Path | None
    offline: bool
    store: Store
    command: Sequence[str]


@dataclass(frozen=True)
class Plan:
    """What a search will do, known before anything is written."""

    pool: TrainingPool
    split: Split
    execution: Execution
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended. `stopped` is "" when it is done, else timeout, target, or a signal's name."""

    study_name: str
    experiment_id: str
    run_id: str
    trials: Sequence[TrialRecord]
    metric: str
    stopped: str
    seconds: float

    def summary(self) -> dict[str, Any]:
        """The object that `sweeper search --json` prints."""
        best = studies.best(self.trials, self.metric)
        return {
            "schema_version": 1,
            "study_name": self.study_name,
            "experiment_id": self.experiment_id,
            "run_id": self.run_id,
            "n_trials": studies.counts(self.trials),
            "best_trial": best
            and {
                "number": best.number,
                "value": best.value,
                "params": dict(best.params),
                "run_id": best.run_id,
            },
            "seconds": round(self.seconds, 1),
        }


def plan(request: Request, notify: Listener) -> Plan:
    """Obtains and cuts the data, and fixes what the study's results depend on. Raises SweeperError."""
    pool = load_training_pool(
        request.dataset,
        data_dir=request.data_dir,
        offline=request.offline,
        notify=lambda text: notify(Note(text)),
    )
    protocol = request.protocol
    try:
        split = split_pool(
            pool.images,
            pool.labels,
            validation=protocol.validation,
            confirm=protocol.confirm,
            seed=studies.derive_seed(request.seed, "split"),
            subset=request.subset,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    execution = plan_execution(request.device, request.jobs, pool.images.nbytes, os.environ)
    # Of the train part alone, so that nothing of the other parts leaks in.
    mean, std = channel_statistics(pool.images[split.train])
    if protocol.pixels == "unit":
        mean, std = [0.0] * len(mean), [1.0] * len(std)
    spec = {
        "dataset": request.dataset,
        "space_name": request.space.name,
        "space": request.space.describe(),
        "seed": request.seed,
        "metric": request.metric,
        "sampler": request.sampler,
        "pruner": request.pruner,
        "max_params": request.max_parameters,
        **asdict(protocol),
        "subset": request.subset,
        "data_sha256": pool.sha256,
        "split_sha256": split.sha256,
        "mean": mean,
        "std": [value or 1.0 for value in std],  # a constant channel has no spread to divide by
        "device": execution.device_type,
        "threads": execution.threads,
        "layout": execution.layout,
    }
    return Plan(pool, split, execution, json.loads(json.dumps(spec)))


def run(request: Request, listener: Listener, stop: StopRequest) -> Outcome:
    """Runs the search to its end, or to `stop`. Raises SweeperError and UsageError."""
    started = time.monotonic()
    planned = plan(request, listener)
    pool, split, spec = planned.pool, planned.split, planned.spec
    store = request.store
    store.prepare()
    storage = studies.open_storage(store)
    name = studies.free_name(storage, request.study) if request.new else request.study
    with ExitStack() as stack:
        stack.enter_context(store.owning(name))
        study = studies.open_study(storage, name, spec, request.space)
        study.set_user_attr("trials", request.trials)
        study.set_user_attr("finished", False)
        workers = WorkerPool(
            WorkerSetup(
                train=(pool.images[split.train], pool.labels[split.train]),
                validation=(pool.images[split.validation], pool.labels[split.validation]),
                n_classes=len(pool.classes),
                mean=spec["mean"],
                std=spec["std"],
                threads=planned.execution.threads,
                layout=planned.execution.layout,
            ),
            planned.execution.devices,
            store.log_folder(name),
        )
        stack.callback(workers.close)
        # The workers import torch while MLflow makes or opens its tables.
        data = DataRecord(pool.name, pool.sha256, pool.source, pool.images.shape)
        tracker = Tracker(store, data, lambda text: listener(Note(text)))
        tracker.open_study(name, _tags(request, planned), _params(spec, split))
        tracker.log_text(None, {"space.toml": request.space.text, "environment.json": _environment(planned)})
        coordinator = Coordinator(
            study=study,
            space=request.space,
            spec=spec,
            input_shape=pool.images.shape[1:],
            classes=pool.classes,
            limits=Limits(
                trials=request.trials,
                deadline=None if request.timeout is None else started + request.timeout,
                target=request.target,
                max_parameters=request.max_parameters,
                keep=request.keep,
            ),
            store=store,
            pool=workers,
            tracker=tracker,
            listener=listener,
            stop=stop,
        )
        try:
            coordinator.run()
            trials = studies.records(study)
            study.set_user_attr("finished", stop.reason in DONE)
            _log_study(tracker, study, trials, spec["metric"], stop.reason)
        except SweeperError as error:
            tracker.finish(None, "failed", reason=str(error))
            raise
        finally:
            if stop.reason != "KeyboardInterrupt":  # a second Ctrl-C: at once
                tracker.close()
        return Outcome(
            study_name=name,
            experiment_id=tracker.experiment_id,
            run_id=tracker.run_id,
            trials=_with_run_ids(study, tracker),
            metric=spec["metric"],
            stopped=stop.reason,
            seconds=time.monotonic() - started,
        )


def _with_run_ids(study: optuna.Study, tracker: Tracker) -> list[TrialRecord]:
    """The trials, after giving each its MLflow run where the run was made only after the trial's end."""
    for trial in studies.records(study):
        run_id = tracker.trial_run_id(trial.number)
        if run_id and run_id != trial.run_id:
            studies.set_run_id(study, trial.number, run_id)
    return studies.records(study)


def _log_study(tracker: Tracker, study: optuna.Study, trials: Sequence[TrialRecord], metric: str, stopped: str) -> None:
    """The ranking, the optimization history and the parameter importance, and the parent run's end."""
    counted = [t for t in trials if t.state in ("complete", "pruned", "failed")]
    tracker.log_text(None, {"ranking.csv": ranking_table(counted, metric)})
    history = [(t.number, t.value, t.state) for t in counted if t.feasible]
    importances = _importances(study)

    def draw_history() -> Figure:
        numbers, values, states = zip(*history, strict=True) if history else ((), (), ())
        return plots.optimization_history(numbers, values, states, metric, studies.direction(metric))

    figures: dict[str, Callable[[], Figure]] = {"optimization_history.png": draw_history}
    if importances:
        figures["parameter_importance.png"] = lambda: plots.parameter_importance(importances)
    tracker.log_figures(None, figures)
    counts = studies.counts(trials)
    metrics: dict[str, float] = {f"n_{state}": number for state, number in counts.items()}
    best = studies.best(trials, metric)
    if best is not None and best.value is not None:
        metrics |= {"best_value": best.value, "best_trial": best.number}
    tracker.finish(None, "complete" if stopped in DONE else "interrupted", reason=stopped, metrics=metrics)


def ranking_table(trials: Sequence[TrialRecord], metric: str) -> str:
    """All ended trials as CSV: the complete ones first, by rank, then the others by number."""
    ranked = studies.ranking(trials, metric)
    names = sorted({name for trial in trials for name in trial.params})
    rows = []
    for trial in [*ranked, *(t for t in trials if t not in ranked)]:
        rank = ranked.index(trial) + 1 if trial in ranked else ""
        columns = (
            rank, trial.number, trial.variant or "", trial.state, trial.value,
            trial.metrics.get(f"best_{studies.METRICS[metric]}"), trial.metrics.get("best_epoch"), trial.epochs,
            trial.n_parameters, round(trial.seconds, 1), trial.reason,
        )  # fmt: skip
        rows.append((*columns, *(_cell(trial.params.get(name)) for name in names)))
    head = (
        "rank", "trial", "variant", "state", metric, f"best_epoch_{metric}", "best_epoch", "epochs",
        "n_parameters", "seconds", "reason",
    )  # fmt: skip
    return table((*head, *names), rows)


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple | bool) else value


def _importances(study: optuna.Study) -> dict[str, float]:
    """Shares by PED-ANOVA over the completed trials; empty where they are too few or too alike to tell."""
    with warnings.catch_warnings():
        # Optuna warns where it would give every parameter the same share: that is no finding.
        warnings.simplefilter("error", UserWarning)
        try:
            return get_param_importances(study)
        except (ValueError, RuntimeError, UserWarning):
            return {}


def _tags(request: Request, planned: Plan) -> dict[str, str]:
    execution = planned.execution
    tags = {
        "sweeper.command": redact(" ".join(request.command)),
        "sweeper.data_sha256": planned.pool.sha256,
        "sweeper.device": ", ".join(sorted(set(execution.devices))),
        "sweeper.workers": str(len(execution.devices)),
        "sweeper.threads": str(execution.threads),
        "sweeper.version": version("cnn-sweeper"),
    }
    if commit := _git_commit():
        tags["mlflow.source.git.commit"] = commit
    return tags


def _params(spec: Mapping[str, Any], split: Split) -> dict[str, Any]:
    """What the study's results depend on; the space itself is an artifact, and here its hash."""
    space = hashlib.sha256(json.dumps(spec["space"], sort_keys=True).encode()).hexdigest()
    sizes = {f"n_{name}": len(getattr(split, name)) for name in ("train", "validation", "confirm")}
    return {name: value for name, value in spec.items() if name != "space"} | {"space_sha256": space} | sizes


def _environment(planned: Plan) -> str:
    return json.dumps(
        {
            "packages": {name: version(name) for name in PACKAGES},
            "python": platform.python_version(),
            "platform": platform.platform(),
            "execution": asdict(planned.execution),
            "git_commit": _git_commit(),
        },
        indent=2,
    )


def _git_commit() -> str | None:
    """The commit of the folder that the command is run in, if it is in a git repository."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
