"""The study in Optuna's storage: opening and resuming it, its trials as plain records, and what to try next."""

import hashlib
import json
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from sweeper.config import Configuration
from sweeper.errors import SweeperError, UsageError
from sweeper.space import Space
from sweeper.store import Store, redact

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("halving", "median", "hyperband", "none")
# The objective, and the epoch metric that it is: validation figures only.
METRICS = {
    "accuracy": "validation_accuracy",
    "macro_f1": "validation_macro_f1",
    "loss": "validation_loss",
}
# In a row without a new configuration, before the space counts as exhausted.
MOST_DUPLICATES = 100
MOST_GRID_POINTS = 100_000
# This coordinator's share of the sampler's seed; a study has one coordinator.
COORDINATOR = 0

_SPEC, _TRIAL, _RESULT, _RUN_ID = "spec", "trial", "result", "run_id"


@dataclass(frozen=True)
class TrialRecord:
    """A trial as sweeper counts it.

    `state` is complete, pruned, failed, running, waiting, or duplicate (told another trial's result; not counted).
    `value` is the last epoch's objective. `params` are field values of the searched parameters. A trial that
    was pruned for a constraint is not `feasible`.
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
        return f"trial {self.number}" + (f" ({self.variant})" if self.variant else "")


@dataclass(frozen=True)
class Proposal:
    """A configuration to train, with its Optuna trial.

    A comparator is a variant outside the space: it is trained and ranked, but neither the sampler nor the
    pruner learns of it.
    """

    trial: Trial
    configuration: Configuration
    variant: str | None
    comparator: bool

    @property
    def number(self) -> int:
        return self.trial.number


def direction(metric: str) -> Literal["minimize", "maximize"]:
    """Optuna's direction for an objective."""
    return "minimize" if metric == "loss" else "maximize"


def derive_seed(*parts: Any) -> int:
    """A 32-bit seed from anything that JSON can write, well mixed and the same on every machine."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:4], "big")


def open_storage(store: Store) -> RDBStorage:
    """Optuna's storage; SweeperError if its database cannot be used."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    options = {"connect_args": {"timeout": 60}} if store.storage.startswith("sqlite") else {}
    try:
        with store.initialising():
            return RDBStorage(store.storage, engine_kwargs=options)
    except (SQLAlchemyError, ImportError, RuntimeError, ValueError, OSError) as error:
        message = redact(str(error).splitlines()[0])
        raise SweeperError(f"Optuna's storage {redact(store.storage)} cannot be used: {message}") from error


def study_names(storage: RDBStorage) -> list[str]:
    """sweeper's studies in the storage, the latest last."""
    found = [s for s in optuna.get_all_study_summaries(storage, include_best_trial=False) if _SPEC in s.user_attrs]
    return [s.study_name for s in sorted(found, key=lambda s: s._study_id)]


def load_study(storage: RDBStorage, name: str) -> optuna.Study:
    """A study of sweeper's; UsageError, naming those there are, if it is not one."""
    names = study_names(storage)
    if name not in names:
        raise UsageError(f"no study {name!r} in this store; it has {', '.join(names) or 'none'}")
    return optuna.load_study(study_name=name, storage=storage)


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
        if _SPEC in study.user_attrs:
            _refuse_changes(name, spec_of(study), json.loads(json.dumps(spec)))
        elif study.get_trials(deepcopy=False):
            raise UsageError(f"study {name!r} in this storage is not one of sweeper's (--study)")
    else:
        study = optuna.create_study(study_name=name, storage=storage, direction=direction(spec["metric"]))
    study.set_user_attr(_SPEC, dict(spec))
    _enqueue_variants(study, space)
    return study


def _enqueue_variants(study: optuna.Study, space: Space) -> None:
    present = {t.user_attrs.get("variant") for t in study.get_trials(deepcopy=False)}
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


def make_pruner(name: str, epochs: int) -> BasePruner:
    """The pruner; its steps are epochs, counted from 1."""
    match name:
        case "halving":
            # From epoch 1 with factor 3: measured best of its kind, a third of the median pruner's cost.
            return SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
        case "hyperband":
            return HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)
        case "median":
            return MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        case "none":
            return NopPruner()
    raise AssertionError(name)


def make_sampler(name: str, space: Space, seed: int) -> BaseSampler:
    """The sampler for one proposal; grid points are enqueued, so for them any sampler serves."""
    if name != "tpe":
        return RandomSampler(seed=seed)
    # Without groups, a conditional parameter would be left out of the joint model.
    return TPESampler(seed=seed, group=space.has_conditions)


class Proposer:
    """What to try next in a study: enqueued variants, then the sampler's proposals."""

    def __init__(self, study: optuna.Study, space: Space, spec: Mapping[str, Any]) -> None:
        self.study, self.space = study, space
        self._seed, self._sampler = spec["seed"], spec["sampler"]
        study.pruner = make_pruner(spec["pruner"], spec["epochs"])
        self._grid = self._shuffled_grid() if self._sampler == "grid" else None

    def unfinished(self) -> list[Proposal]:
        """Trials that a process left running, to be gone on with: same number, same seed."""
        return [
            self._proposal(Trial(self.study, frozen._trial_id))
            for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        ]

    def ask(self) -> Proposal | None:
        """The next proposal, already recorded as running; None when a grid has no point left."""
        trials = self.study.get_trials(deepcopy=False)
        waiting = any(t.state == TrialState.WAITING for t in trials)
        if self._grid is not None and not waiting:
            asked = {json.dumps(t.params, sort_keys=True) for t in trials}
            point = next((p for p in self._grid if json.dumps(p, sort_keys=True) not in asked), None)
            if point is None:
                return None
            self.study.enqueue_trial(point)
        # Made afresh with a seed of its own for every proposal: a resumed study would otherwise begin the
        # sampler's sequence again, and propose its first trials a second time.
        n_asked = sum(t.state != TrialState.WAITING for t in trials)
        seed = derive_seed(self._seed, "sampler", n_asked, COORDINATOR)
        with _quiet():
            self.study.sampler = make_sampler(self._sampler, self.space, seed)
            return self._proposal(self.study.ask())

    def _proposal(self, trial: Trial) -> Proposal:
        variant = trial.user_attrs.get("variant")
        comparator = trial.user_attrs.get("comparator", False)
        with _quiet():
            configuration = self.space.variants[str(variant)].configuration if comparator else self.space.suggest(trial)
        if _TRIAL not in trial.user_attrs:
            trial.set_user_attr(_TRIAL, {"configuration": configuration.values()})
        return Proposal(trial, configuration, variant, comparator)

    def _shuffled_grid(self) -> list[dict[str, Any]]:
        points = []
        for point in self.space.grid():
            points.append(point)
            if len(points) > MOST_GRID_POINTS:
                raise UsageError(f"the grid has more than {MOST_GRID_POINTS:,} points (--sampler grid)")
        # So that a sweep over a part of the grid sees all of it.
        random.Random(derive_seed(self._seed, "grid")).shuffle(points)
        return points


def tell(study: optuna.Study, proposal: Proposal, state: str, result: Mapping[str, Any]) -> None:
    """Ends a trial in the storage: `state` is complete, pruned or failed, `result` what a record shows of it."""
    proposal.trial.set_user_attr(_RESULT, {**result, "state": state})
    if proposal.comparator or state == "failed":
        # Optuna's samplers and pruners pass over failed trials: for them a comparator has never been.
        study.tell(proposal.trial, state=TrialState.FAIL)
    elif state == "pruned":
        study.tell(proposal.trial, state=TrialState.PRUNED)
    else:
        study.tell(proposal.trial, result["value"])


def tell_duplicate(study: optuna.Study, proposal: Proposal, original: TrialRecord) -> None:
    """Gives a proposal that repeats a finished trial that trial's result: the sampler learns, nobody counts it."""
    trial = proposal.trial
    trial.set_user_attr("duplicate_of", original.number)
    for step, value in original.values.items():
        trial.report(value, step)
    if not original.feasible:
        trial.set_constraint("duplicate", 1.0)
    if original.state == "complete":
        assert original.value is not None
        study.tell(trial, original.value)
    else:
        study.tell(trial, state=TrialState.PRUNED)


def records(study: optuna.Study) -> list[TrialRecord]:
    """All trials in the order of their numbers."""
    attributes = study.user_attrs
    return [
        _record(frozen, attributes.get(f"{_RUN_ID}:{frozen.number}")) for frozen in study.get_trials(deepcopy=False)
    ]


def set_run_id(study: optuna.Study, number: int, run_id: str) -> None:
    """Notes a trial's MLflow run. On the study: Optuna lets nothing be added to a finished trial."""
    study.set_user_attr(f"{_RUN_ID}:{number}", run_id)


def _record(frozen: FrozenTrial, run_id: str | None) -> TrialRecord:
    attributes = frozen.user_attrs
    result = attributes.get(_RESULT, {})
    values = attributes.get(_TRIAL, {}).get("configuration")
    configuration = Configuration.from_values(values) if values else None
    state = {
        TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
        TrialState.RUNNING: "running", TrialState.WAITING: "waiting",
    }[frozen.state]  # fmt: skip
    if frozen.state.is_finished():
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
        feasible=not any(value > 0 for value in frozen.constraints.values()),
        epochs=frozen.last_step or 0,
        values=dict(frozen.intermediate_values),
        metrics=result.get("metrics", {}),
        n_parameters=result.get("n_parameters"),
        seconds=result.get("seconds", 0.0),
        run_id=run_id,
    )


def counts(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """Trials by state, duplicates left out."""
    return {
        name: sum(trial.state == state for trial in trials)
        for name, state in (
            ("complete", "complete"),
            ("pruned", "pruned"),
            ("fail", "failed"),
            ("running", "running"),
        )
    }


def ranking(trials: Sequence[TrialRecord], metric: str) -> list[TrialRecord]:
    """Complete trials, the best first; the earlier one where values are equal."""
    sign = 1 if direction(metric) == "minimize" else -1
    complete = [t for t in trials if t.state == "complete" and t.value is not None]
    return sorted(complete, key=lambda t: (sign * t.value, t.number))  # type: ignore[operator]


def best(trials: Sequence[TrialRecord], metric: str) -> TrialRecord | None:
    """The best complete trial that keeps to the constraints."""
    return next((trial for trial in ranking(trials, metric) if trial.feasible), None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's warnings that `group` is experimental and that an older attribute is kept."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
