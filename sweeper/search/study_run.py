"""What the study's own run in MLflow holds: where it ran, what it depends on, and at the end its tables and figures."""

import hashlib
import json
import platform
import shlex
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import optuna
from optuna.importance import get_param_importances

from sweeper.data.pool import TrainingPool
from sweeper.data.splits import Split
from sweeper.plots import Plot
from sweeper.search import study as studies
from sweeper.search import variants
from sweeper.search.resources import Execution
from sweeper.search.study import TrialRecord
from sweeper.search.trainings import trainings_of
from sweeper.search.variants import VariantResult
from sweeper.space import Space
from sweeper.store import redact
from sweeper.tracking.runs import DataRecord, Tracker, table

PACKAGES = ("cnn-sweeper", "torch", "torchvision", "optuna", "mlflow", "numpy", "scikit-learn", "timm")


def data_record(pool: TrainingPool) -> DataRecord:
    """What MLflow is told of the data."""
    return DataRecord(pool.name, pool.sha256, pool.source, pool.images.shape)


def tags(command: Sequence[str], execution: Execution, data_sha256: str) -> dict[str, str]:
    """Where and how the command ran."""
    found = {
        "sweeper.command": redact(shlex.join(command)),
        "sweeper.data_sha256": data_sha256,
        "sweeper.device": ", ".join(sorted(set(execution.devices))),
        "sweeper.workers": str(len(execution.workers)),
        "sweeper.threads": str(execution.threads),
        "sweeper.version": version("cnn-sweeper"),
    }
    if commit := _git_commit():
        found["mlflow.source.git.commit"] = commit
    return found


def params(spec: Mapping[str, Any], split: Split) -> dict[str, Any]:
    """What the results of a study or training depend on; a study's space is an artifact, and here its hash.

    `split` is the first fold, where there are several.
    """
    found = {name: value for name, value in spec.items() if name not in ("space", "fold_scalings")}
    if "space" in spec:
        found["space_sha256"] = hashlib.sha256(json.dumps(spec["space"], sort_keys=True).encode()).hexdigest()
    return found | {f"n_{name}": len(getattr(split, name)) for name in ("train", "validation", "confirm")}


def environment(execution: Execution) -> str:
    """Versions and machine, as JSON text."""
    return json.dumps(
        {
            "packages": {name: version(name) for name in PACKAGES},
            "python": platform.python_version(),
            "platform": platform.platform(),
            "execution": asdict(execution),
            "git_commit": _git_commit(),
        },
        indent=2,
    )


def log_end(tracker: Tracker, study: optuna.Study, metric: str, stopped: str, seconds: float) -> None:
    """The ranking, the optimization history and the parameter importance, and the parent run's end."""
    trials = studies.records(study)
    counted = [t for t in trials if t.state in ("complete", "pruned", "failed")]
    tracker.log_text(None, {"ranking.csv": ranking_table(counted, metric)})
    feasible = [t for t in counted if t.feasible]
    history = {
        "numbers": [t.number for t in feasible],
        "values": [t.value for t in feasible],
        "states": [t.state for t in feasible],
        "metric": metric,
        "direction": studies.direction(metric),
    }
    figures = {"optimization_history.png": Plot("optimization_history", history)}
    shares, basis = importances(study, trials)
    # Variants were picked by hand: a share of their scores' variation says nothing of a parameter.
    if shares and not studies.spec_of(study)["variants_only"]:
        figures["parameter_importance.png"] = Plot("parameter_importance", {"importances": shares, "basis": basis})
    tracker.log_figures(None, figures)
    counts = studies.counts(trials)
    metrics: dict[str, float] = {f"n_{state}": number for state, number in counts.items()} | {"seconds": seconds}
    best = studies.best(trials, metric)
    if best is not None and best.value is not None:
        metrics |= {"best_value": best.value, "best_trial": best.number}
    tracker.finish(None, "complete" if stopped in studies.DONE else "interrupted", reason=stopped, metrics=metrics)


def log_variants(
    tracker: Tracker,
    study: optuna.Study,
    found: Sequence[VariantResult],
    space: Space,
    n_train: int,
) -> None:
    """The table and the figures of the named variants, on the parent run."""
    if found:
        tracker.log_text(None, {"variants.csv": variants.results_table(found)})
        tracker.log_figures(None, variants.figures(study, found, space, n_train))


def ranking_table(trials: Sequence[TrialRecord], metric: str) -> str:
    """All ended trials as CSV: the complete ones first, by rank, then the others by number."""
    ranked = studies.ranking(trials, metric)
    names = sorted({name for trial in trials for name in trial.params})
    rows = []
    for trial in [*ranked, *(t for t in trials if t not in ranked)]:
        rank = ranked.index(trial) + 1 if trial in ranked else ""
        columns = (
            rank, trial.number, trial.variant or "", trial.state, trial.value,
            trial.metrics.get(f"{studies.METRICS[metric]}_sd"),
            trial.metrics.get(f"best_{studies.METRICS[metric]}"), trial.metrics.get("best_epoch"), trial.epochs,
            trial.n_parameters, round(trial.seconds, 1), trial.reason,
        )  # fmt: skip
        rows.append((*columns, *(_cell(trial.params.get(name)) for name in names)))
    head = (
        "rank", "trial", "variant", "state", metric, f"{metric}_sd", f"best_epoch_{metric}", "best_epoch", "epochs",
        "n_parameters", "seconds", "reason",
    )  # fmt: skip
    return table((*head, *names), rows)


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple | bool) else value


def importances(study: optuna.Study, trials: Sequence[TrialRecord]) -> tuple[dict[str, float], str]:
    """Shares by PED-ANOVA, and what they are of; no shares where trials are too few or too alike to tell.

    Over the scores at the last epoch, or number of trainings, that all trials reached: pruning leaves too few that
    reached the end.
    """
    ended = [t for t in trials if t.state in ("complete", "pruned") and t.feasible and t.params and t.values]
    step = min((max(t.values) for t in ended), default=0)
    level = optuna.create_study(direction=studies.direction(studies.spec_of(study)["metric"]))
    all_trials = study.get_trials(deepcopy=False)
    for trial in ended:
        frozen = all_trials[trial.number]
        level.add_trial(
            optuna.create_trial(
                params=frozen.params, distributions=frozen.distributions, value=frozen.intermediate_values[step]
            )
        )
    what = "epoch" if len(trainings_of(studies.spec_of(study))) == 1 else "training"
    basis = f"score after {what} {step}, {len(ended)} trials"
    with warnings.catch_warnings():
        # Optuna warns where it would give every parameter the same share: that is no finding.
        warnings.simplefilter("error", UserWarning)
        try:
            # A conditional parameter is missing in some trials, and would get a share of 0 for that.
            common = [name for name in ended[0].params if all(name in t.params for t in ended)] if ended else []
            return get_param_importances(level, params=common), basis
        except (ValueError, RuntimeError, UserWarning):
            return {}, basis


def _git_commit() -> str | None:
    """The commit of the folder that the command is run in, if it is in a git repository."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
