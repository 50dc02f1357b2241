"""Logs a study's tables, plots and metrics to the study's own run in MLflow when a sweep ends."""

import json
from collections.abc import Sequence
from typing import Any

import optuna

from sweeper.evaluation.amounts import amount
from sweeper.events import ENDED, State
from sweeper.plots import Plot
from sweeper.runs.record import SEARCH
from sweeper.runs.variant_result import VariantResult
from sweeper.spaces.space import Space
from sweeper.store.redaction import redact
from sweeper.studies import frontier, importance, lifecycle, trial_records
from sweeper.studies.attributes import spec_of
from sweeper.studies.importance import Importance
from sweeper.studies.objective import METRICS, direction
from sweeper.studies.trial_records import TrialRecord
from sweeper.sweep import study_description, variant_results
from sweeper.tracking.csv_text import csv_text
from sweeper.tracking.descriptions import DESCRIPTION
from sweeper.tracking.tracker import Tracker


def log_end(tracker: Tracker, study: optuna.Study, metric: str, stopped: str, seconds: float) -> None:
    """Logs the ranking, the plots of the whole study and the importances, describes the study, and ends its run."""
    trials = trial_records.records(study)
    counted = [t for t in trials if t.state in ENDED]
    tracker.log_text(None, {"ranking.csv": ranking_table(counted, metric)})
    feasible = [t for t in counted if t.feasible]
    history = {
        "numbers": [t.number for t in feasible],
        "values": [t.value for t in feasible],
        "states": [t.state for t in feasible],
        "metric": metric,
        "direction": direction(metric),
    }
    plots = {f"{SEARCH}/optimization_history.png": Plot("optimization_history", history)}
    found = importance.measure(study, trials)
    if found.shares:
        plots[f"{SEARCH}/parameter_importance.png"] = importance_plot(found)
    networks = frontier.of_study(study, "parameters")
    if networks.points and not spec_of(study).variants_only:
        plots[f"{SEARCH}/frontier.png"] = frontier.plot(networks)
    tracker.log_text(None, {f"{SEARCH}/parameter_importance.json": json.dumps(found.as_json(), indent=2)})
    tracker.log_plots(None, plots)
    tags = {"sweeper.trials": study_description.counts(trials), "sweeper.seconds": f"{seconds:.1f}"}
    best = trial_records.best(trials, metric)
    if best is not None and best.value is not None:
        tags |= {"sweeper.best_value": amount(metric, best.value), "sweeper.best_trial": str(best.number)}
    command = redact(study.user_attrs.get(lifecycle.COMMAND, ""))
    tags[DESCRIPTION] = study_description.description(study.study_name, trials, metric, command)
    # Tags, not metrics: MLflow's interface draws a chart for each metric, and orders them by name.
    tracker.finish(None, State.COMPLETE if stopped in lifecycle.DONE else State.INTERRUPTED, reason=stopped, tags=tags)


def log_variants(
    tracker: Tracker,
    study: optuna.Study,
    found: Sequence[VariantResult],
    space: Space,
    n_train: int,
) -> None:
    """Logs the table and the plots of the named variants to the parent run."""
    if found:
        tracker.log_text(None, {"variants.csv": variant_results.results_table(found)})
        tracker.log_plots(None, variant_results.plots_of(study, found, space, n_train))


def ranking_table(trials: Sequence[TrialRecord], metric: str) -> str:
    """All ended trials as CSV: the complete ones first, by rank, then the others by number."""
    ranked = trial_records.ranking(trials, metric)
    ranks = {trial.number: rank for rank, trial in enumerate(ranked, start=1)}
    names = sorted({name for trial in trials for name in trial.params})
    rows = []
    for trial in [*ranked, *(t for t in trials if t.number not in ranks)]:
        columns = (
            ranks.get(trial.number, ""), trial.number, trial.variant or "", trial.state, trial.value,
            trial.metrics.get(f"{METRICS[metric]}_sd"),
            trial.metrics.get(f"best_{METRICS[metric]}"), trial.metrics.get("best_epoch"), trial.epochs,
            trial.n_parameters, round(trial.seconds, 1), trial.reason,
        )  # fmt: skip
        rows.append((*columns, *(_cell(trial.params.get(name)) for name in names)))
    head = (
        "rank", "trial", "variant", "state", metric, f"{metric}_sd", f"best_epoch_{metric}", "best_epoch", "epochs",
        "n_parameters", "seconds", "reason",
    )  # fmt: skip
    if any(trial.warm_start for trial in trials):
        started = {trial.number: trial.warm_start or "" for trial in trials}
        return csv_text((*head, *names, "warm_start"), [(*row, started[row[1]]) for row in rows])
    return csv_text((*head, *names), rows)


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple | bool) else value


def importance_plot(found: Importance) -> Plot:
    """The plot of importances that were not refused."""
    arguments = {
        "importances": found.shares,
        "basis": found.basis,
        "null_low": found.null_low,
        "null_high": found.null_high,
        "evaluator": found.evaluator,
    }
    return Plot("parameter_importance", arguments)
