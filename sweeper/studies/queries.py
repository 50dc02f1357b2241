"""Reads studies and trials from the storage, without changing them."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import optuna

from sweeper.errors import SweeperError, UsageError, plain
from sweeper.events import State
from sweeper.store.layout import Store
from sweeper.store.names import stored_name
from sweeper.studies import lifecycle, trial_records
from sweeper.studies.attributes import attributes_of, id_of, spec_in
from sweeper.studies.findings import constant_of, findings
from sweeper.studies.ownership import activity_on, is_abandoned, owner_of, owners_of
from sweeper.studies.storage import open_existing_storage, study_names
from sweeper.studies.trial_records import TrialRecord
from sweeper.tracking.outbox import waiting


def studies_in(store: Store) -> list[optuna.Study]:
    """sweeper's studies, the latest last; creates no database."""
    storage = open_existing_storage(store)
    if storage is None:
        return []
    return [optuna.load_study(study_name=name, storage=storage) for name in study_names(storage)]


def find_study(store: Store, name: str | None, *, readable: bool = True) -> optuna.Study:
    """The study of this name, or the latest study if the name is None.

    Raises SweeperError if there is no study, a newer sweeper has written it, or (if it must be `readable`) its
    attributes were changed, and UsageError for an unknown name.
    """
    found = studies_in(store)
    if not found:
        raise SweeperError(f"no studies in {store.root} yet: `sweeper search` makes them")
    by_name = {study.study_name: study for study in found}
    if name is not None and name not in by_name:
        raise UsageError(f"no study {name!r} in this store; it has {', '.join(map(plain, by_name))}")
    study = found[-1] if name is None else by_name[name]
    stored_name(study.study_name)
    if readable:
        lifecycle.check_schema(study)
    else:
        lifecycle.refuse_newer(study)
    return study


def find_again(store: Store, name: str, study_id: str) -> optuna.Study:
    """The study as it is now, for a process that has become its owner; SweeperError if it was deleted meanwhile.

    The owner must not change the study through an object that was loaded earlier: the object holds the study's number
    in the database, and SQLite gives the number of a deleted study to the next one.
    """
    for study in studies_in(store):
        if study.study_name == name and id_of(study) == study_id:
            return study
    raise SweeperError(f"study {name} was deleted meanwhile, by another command")


def status_of(store: Store, study: optuna.Study) -> dict[str, Any]:
    """A study as plain data.

    Its `state` is running (by the process `owner`), finished, stopped (`ended` says by what), deleting (a
    `sweeper delete` was interrupted), or dead: no process runs it, but its last process never recorded an end.
    `trainings` is how many each trial has. `command` resumes the study, if one can. `undelivered` counts the
    writes that wait for MLflow; it is 0 while a process runs the study, and None if an outbox cannot be read.
    `constant_predictor` is what always saying one class scores. `findings` are sentences on the results; a running
    study has none yet.
    """
    stored_name(study.study_name)
    return _status(store, study, owner_of(store, study))


def statuses(store: Store, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """All studies as `status_of` gives them, the latest last; `tell` gets the reason for each that it cannot give."""
    usable, found = [], []
    for study in studies_in(store):
        try:
            stored_name(study.study_name)
            lifecycle.check_schema(study)
            usable.append(study)
        except SweeperError as error:
            tell(str(error))
    for study, owner in zip(usable, owners_of(store, usable), strict=True):
        try:
            found.append(_status(store, study, owner))
        except SweeperError as error:
            tell(str(error))
    return found


def _status(store: Store, study: optuna.Study, owner: str | None) -> dict[str, Any]:
    attributes, trials = attributes_of(study), trial_records.records(study)
    spec = spec_in(study.study_name, attributes)
    counts = trial_records.counts(trials)
    best, constant = trial_records.best(trials, spec.metric), constant_of(study)
    outboxes = store.outboxes_of(study.study_name, id_of(study))
    return {
        "study_name": study.study_name,
        "state": "running" if owner else state_without_owner(study),
        "ended": attributes.get(lifecycle.ENDED),
        "owner": owner,
        "command": lifecycle.resuming_command(study, store.root),
        "dataset": spec.dataset,
        "space": spec.space_name,
        "metric": spec.metric,
        "epochs": spec.protocol.epochs,
        "trainings": len(spec.trainings),
        "undelivered": 0 if owner else _total(waiting(path) for path in outboxes),
        "trials": attributes.get("trials", 0),
        "n_trials": counts,
        "running_trials": [
            {
                **trial_as_dict(trial),
                "of_epochs": spec.n_epochs(trial.variant),
                "place": trial.place if owner else "",
            }
            for trial in trials
            if trial.state == State.RUNNING
        ],
        "best_trial": best and trial_as_dict(best),
        "constant_predictor": constant and asdict(constant),
        "findings": [] if owner else findings(study, trials),
    }


def _total(numbers: Iterable[int | None]) -> int | None:
    """The sum; None if one number is unknown."""
    known = list(numbers)
    return None if None in known else sum(number or 0 for number in known)


def state_without_owner(study: optuna.Study) -> str:
    """The state of a study that no process runs, by how its last process left it."""
    ended = study.user_attrs.get(lifecycle.ENDED)
    if ended is None:
        return "dead"
    if ended == lifecycle.DELETING:
        return "deleting"
    return "finished" if ended in lifecycle.DONE else "stopped"


def is_searched(store: Store, study: optuna.Study) -> bool:
    """Whether a search runs the study now, so that its running trials are trained, or may run it on another machine."""
    return not is_abandoned(store, study) and not activity_on(store, study)


def as_shown(store: Store, study: optuna.Study, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The study's trials as people see them: a running trial that no search works on is interrupted."""
    if not any(trial.state == State.RUNNING for trial in trials) or is_searched(store, study):
        return list(trials)
    return [replace(t, state=State.INTERRUPTED) if t.state == State.RUNNING else t for t in trials]


def trial_as_dict(trial: TrialRecord) -> dict[str, Any]:
    """A trial as plain data."""
    values = trial.values
    return {
        "number": trial.number,
        "state": trial.state,
        "variant": trial.variant,
        "value": values[max(values)] if trial.value is None and values else trial.value,
        "params": dict(trial.params),
        "reason": trial.reason,
        "feasible": trial.feasible,
        "seed": trial.seed,
        "constant": list(trial.constant),
        "epochs": trial.epochs,
        "scored": len(values),
        "n_parameters": trial.n_parameters,
        # JSON has no infinity, and a gradient can be infinite.
        "metrics": {name: value if math.isfinite(value) else None for name, value in trial.metrics.items()},
        "seconds": round(trial.seconds, 1),
        "run_id": trial.run_id,
        "warm_start": trial.warm_start,
    }
