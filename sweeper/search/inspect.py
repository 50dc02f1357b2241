"""What the storage says of studies and trials, for whoever only looks."""

import math
from typing import Any

import optuna

from sweeper.errors import SweeperError, UsageError
from sweeper.search import study as studies
from sweeper.search.study import TrialRecord
from sweeper.store import Store


def studies_in(store: Store) -> list[optuna.Study]:
    """sweeper's studies, the latest last; looking makes no database."""
    if store.embedded_storage and not (store.root / "optuna.db").exists():
        return []
    storage = studies.open_storage(store)
    return [optuna.load_study(study_name=name, storage=storage) for name in studies.study_names(storage)]


def find_study(store: Store, name: str | None) -> optuna.Study:
    """The study of this name, or (None) the latest; SweeperError where there is none, UsageError for another name."""
    found = studies_in(store)
    if not found:
        raise SweeperError(f"no studies in {store.root} yet: `sweeper search` makes them")
    if name is None:
        return found[-1]
    by_name = {study.study_name: study for study in found}
    if name not in by_name:
        raise UsageError(f"no study {name!r} in this store; it has {', '.join(by_name)}")
    return by_name[name]


def status_of(store: Store, study: optuna.Study) -> dict[str, Any]:
    """A study as plain data. Its state is running (some process owns it), finished, or stopped."""
    spec, trials = studies.spec_of(study), studies.records(study)
    counts = studies.counts(trials)
    best = studies.best(trials, spec["metric"])
    wanted = study.user_attrs.get("trials", 0)
    if store.is_owned(study.study_name):
        state = "running"
    elif study.user_attrs.get("finished"):
        state = "finished"
    else:
        state = "stopped"
    return {
        "study_name": study.study_name,
        "state": state,
        "dataset": spec["dataset"],
        "space": spec["space_name"],
        "metric": spec["metric"],
        "epochs": spec["epochs"],
        "trials": wanted,
        "n_trials": counts,
        "running_trials": [described(trial) for trial in trials if trial.state == "running"],
        "best_trial": best and described(best),
    }


def described(trial: TrialRecord) -> dict[str, Any]:
    """A trial as plain data."""
    values = trial.values
    return {
        "number": trial.number,
        "state": trial.state,
        "variant": trial.variant,
        "value": values[trial.epochs] if trial.value is None and trial.epochs in values else trial.value,
        "params": dict(trial.params),
        "reason": trial.reason,
        "feasible": trial.feasible,
        "epochs": trial.epochs,
        "n_parameters": trial.n_parameters,
        # JSON knows no infinity, and a gradient can have one.
        "metrics": {name: value if math.isfinite(value) else None for name, value in trial.metrics.items()},
        "seconds": round(trial.seconds, 1),
        "run_id": trial.run_id,
    }
