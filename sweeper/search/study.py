"""The study in Optuna's storage: opening and resuming it, its trials as plain records, and what to try next."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from sweeper import databases
from sweeper.config import Configuration
from sweeper.errors import SweeperError, UsageError, first_line
from sweeper.space import Space
from sweeper.store import Store, redact

# The objective, and the epoch metric that it is: validation figures only.
METRICS = {
    "accuracy": "validation_accuracy",
    "macro_f1": "validation_macro_f1",
    "loss": "validation_loss",
}
_SPEC, _ID, TRIAL, RESULT, _RUN_ID = "spec", "study_id", "trial", "result", "run_id"
# How the last process left the study: None while it has not said so, "" where nothing is left to be done, else what
# ended it; the command that goes on with it; and where its data lay then, if they have no name that is known.
ENDED, COMMAND, DATA_PATH = "ended", "command", "data_path"
# Ends that leave nothing to be gone on with: the trials are done, or the target is reached.
DONE = ("", "target")
DELETING = "sweeper delete"
LIBRARY = databases.Library(
    "Optuna",
    "studies",
    Path(optuna.__file__).parent / "storages" / "_rdb" / "alembic",
    "optuna storage upgrade --storage",
)
# What of a study's attributes means what. A study of a higher number cannot be read, one of a lower only looked at.
_SCHEMA, SCHEMA = "schema", 3


@dataclass(frozen=True)
class TrialRecord:
    """A trial as sweeper counts it.

    `state` is complete, pruned, failed, running, waiting, or duplicate (told another trial's result; not counted).
    `value` is the last epoch's objective, the mean over folds and repeats where there are several trainings, whose
    epochs `epochs` then counts all, once the trial has ended. `values` are what the pruner saw: by epoch, or of
    several trainings their running mean, by how many were complete. `params` are field values of the searched
    parameters. A trial that was pruned for a constraint is not `feasible`.
    """

    number: int
    state: str
    value: float | None
    params: Mapping[str, Any]
    variant: str | None
    configuration: Configuration | None
    reason: str
    feasible: bool
    epochs: int
    values: Mapping[int, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    n_parameters: int | None = None
    seconds: float = 0.0
    run_id: str | None = None

    @property
    def name(self) -> str:
        return trial_name(self.number, self.variant)


def direction(metric: str) -> Literal["minimize", "maximize"]:
    """Optuna's direction for an objective."""
    return "minimize" if metric == "loss" else "maximize"


def trial_name(number: int, variant: str | None) -> str:
    """What a trial is called, in MLflow as on the terminal."""
    return f"trial {number}" + (f" ({variant})" if variant else "")


def derive_seed(*parts: Any) -> int:
    """A 32-bit seed from anything that JSON can write, well mixed and the same on every machine."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:4], "big")


def open_storage(store: Store) -> RDBStorage:
    """Optuna's storage; SweeperError if its database cannot be used."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    options = {"connect_args": {"timeout": 60}} if store.storage.startswith("sqlite") else {}
    try:
        with store.initialising(embedded=store.embedded_storage):
            check_database(store)
            return RDBStorage(store.storage, engine_kwargs=options)
    except (SQLAlchemyError, ImportError, RuntimeError, ValueError, OSError) as error:
        message = redact(first_line(error))
        raise SweeperError(f"Optuna's storage {redact(store.storage)} cannot be used: {message}") from error


def check_database(store: Store) -> bool:
    """Whether there is a database of Optuna's already; SweeperError where it is no such thing, or of another schema."""
    return databases.check(store.storage, LIBRARY)


def study_names(storage: RDBStorage) -> list[str]:
    """sweeper's studies in the storage, the latest last."""
    found = [s for s in optuna.get_all_study_summaries(storage, include_best_trial=False) if _SPEC in s.user_attrs]
    return [s.study_name for s in sorted(found, key=lambda s: s._study_id)]


def spec_of(study: optuna.Study) -> dict[str, Any]:
    """What the study was started with."""
    spec: dict[str, Any] = study.user_attrs[_SPEC]
    return spec


def open_study(storage: RDBStorage, name: str, spec: Mapping[str, Any], space: Space) -> optuna.Study:
    """Starts the study, its variants first in line, or resumes it.

    Raises UsageError when a study of this name was started with something else: results would not compare.
    """
    existing = optuna.get_all_study_names(storage)
    if name in existing:
        study = optuna.load_study(study_name=name, storage=storage)
        check_usable(study)
        if _SPEC in study.user_attrs:
            _refuse_changes(name, spec_of(study), json.loads(json.dumps(spec)))
        elif study.get_trials(deepcopy=False) or study.direction.name.lower() != direction(spec["metric"]):
            raise UsageError(f"study {name!r} in this storage is not one of sweeper's (--study)")
    else:
        study = optuna.create_study(study_name=name, storage=storage, direction=direction(spec["metric"]))
    if _ID not in study.user_attrs:
        study.set_user_attr(_ID, uuid4().hex)
    study.set_user_attr(_SCHEMA, SCHEMA)
    # What a study of sweeper's is known by comes last: one that is found has all of these.
    study.set_user_attr(_SPEC, dict(spec))
    _enqueue_variants(study, space)
    return study


def id_of(study: optuna.Study) -> str:
    """A random name that no other study has, in whatever storage."""
    study_id: str = study.user_attrs[_ID]
    return study_id


def mark_running(study: optuna.Study, trials: int, command: str) -> None:
    """Notes that a process works on the study from now on, up to so many trials; `command` goes on with it."""
    study.set_user_attr("trials", trials)
    study.set_user_attr(COMMAND, redact(command))
    study.set_user_attr(ENDED, None)


def mark_ended(study: optuna.Study, reason: str) -> None:
    """Notes why the process no longer works on the study; one of DONE where nothing is left to be done."""
    study.set_user_attr(ENDED, redact(reason))


def check_schema(study: optuna.Study) -> None:
    """Raises SweeperError for a study that a newer sweeper has written."""
    schema = study.user_attrs.get(_SCHEMA, SCHEMA)
    if schema > SCHEMA:
        raise SweeperError(
            f"study {study.study_name} was written by a newer sweeper (its schema is {schema}, this one knows "
            f"{SCHEMA}): upgrade sweeper, or take another study"
        )


def check_usable(study: optuna.Study) -> None:
    """Raises SweeperError for a study that must not be worked on: another sweeper's, or one that is half deleted."""
    check_schema(study)
    schema = study.user_attrs.get(_SCHEMA, SCHEMA)
    if schema < SCHEMA:
        raise SweeperError(
            f"study {study.study_name} was written by an older sweeper (its schema is {schema}, this one writes "
            f"{SCHEMA}): it can be looked at, but not gone on with"
        )
    if study.user_attrs.get(ENDED) == DELETING:
        name = study.study_name
        raise SweeperError(f"study {name} is half deleted: `sweeper delete {name}` deletes the rest of it")


def _enqueue_variants(study: optuna.Study, space: Space) -> None:
    # One that failed is tried again: what made it fail may have been mended.
    present = {trial.variant for trial in records(study) if trial.state != "failed"}
    for variant in space.variants.values():
        if variant.name in present:
            continue
        params = space.point(variant.configuration)
        attributes = {"variant": variant.name, "comparator": params is None}
        if params is None:
            study.add_trial(optuna.create_trial(state=TrialState.WAITING, user_attrs=attributes))
        else:
            study.enqueue_trial(params, user_attrs=attributes)


def _refuse_changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for key in [*old, *(key for key in new if key not in old)]:
        before, now = old.get(key), new.get(key)
        if before == now:
            continue
        what, before, now = _first_difference(key, before, now)
        raise UsageError(
            f"study {name} was started with {what} {before!r}, this command has {now!r}: "
            "give the same, or --new for another study"
        )


def _first_difference(path: str, before: Any, now: Any) -> tuple[str, Any, Any]:
    """Where two values of a spec part ways, so that the message names a field and not a whole space."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *now]:
            if before.get(key) != now.get(key):
                return _first_difference(f"{path}.{key}", before.get(key), now.get(key))
    return path, before, now


def free_name(storage: RDBStorage, name: str) -> str:
    """The name, or the first of NAME-2, NAME-3, ... that no study has."""
    taken = set(optuna.get_all_study_names(storage))
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def records(study: optuna.Study) -> list[TrialRecord]:
    """All trials in the order of their numbers."""
    attributes = study.user_attrs
    several = bool(attributes[_SPEC].get("folds")) or attributes[_SPEC].get("repeats", 1) > 1
    return [
        _record(frozen, attributes.get(f"{_RUN_ID}:{frozen.number}"), several)
        for frozen in study.get_trials(deepcopy=False)
    ]


def set_run_id(study: optuna.Study, number: int, run_id: str) -> None:
    """Notes a trial's MLflow run. On the study: Optuna lets nothing be added to a finished trial."""
    study.set_user_attr(f"{_RUN_ID}:{number}", run_id)


def _record(frozen: FrozenTrial, run_id: str | None, several: bool) -> TrialRecord:
    attributes = frozen.user_attrs
    result = attributes.get(RESULT, {})
    values = attributes.get(TRIAL, {}).get("configuration")
    configuration = Configuration.from_values(values) if values else None
    state = {
        TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
        TrialState.RUNNING: "running", TrialState.WAITING: "waiting",
    }[frozen.state]  # fmt: skip
    # Also of one that Optuna calls running still: a process was killed between the two writes that end a trial.
    state = result.get("state", state)
    if attributes.get("duplicate_of") is not None:
        state = "duplicate"
    searched = values if values and not attributes.get("comparator") else {}
    return TrialRecord(
        number=frozen.number,
        state=state,
        value=result.get("value"),
        params={name: searched[name] for name in frozen.params if name in searched},
        variant=attributes.get("variant"),
        configuration=configuration,
        reason=result.get("reason", ""),
        feasible=not any(value > 0 for value in (*frozen.constraints.values(), *result.get("violated", {}).values())),
        epochs=result.get("epochs", 0 if several else frozen.last_step or 0),
        values=dict(frozen.intermediate_values),
        metrics=result.get("metrics", {}),
        n_parameters=result.get("n_parameters"),
        seconds=result.get("seconds", 0.0),
        run_id=run_id,
    )


def counts(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """Trials by state, duplicates left out."""
    states = {"complete": "complete", "pruned": "pruned", "fail": "failed", "running": "running"}
    return {name: sum(trial.state == state for trial in trials) for name, state in states.items()}


def n_counted(study: optuna.Study) -> int:
    """How many trials count in `--trials`: those that were trained to their end, or pruned."""
    counted = counts(records(study))
    return counted["complete"] + counted["pruned"]


def ranking(trials: Sequence[TrialRecord], metric: str) -> list[TrialRecord]:
    """Complete trials, the best first; the earlier one where values are equal."""
    sign = 1 if direction(metric) == "minimize" else -1
    complete = [t for t in trials if t.state == "complete" and t.value is not None]
    return sorted(complete, key=lambda t: (sign * t.value, t.number))  # type: ignore[operator]


def best(trials: Sequence[TrialRecord], metric: str) -> TrialRecord | None:
    """The best complete trial that keeps to the constraints."""
    return next((trial for trial in ranking(trials, metric) if trial.feasible), None)
