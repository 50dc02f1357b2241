"""A study's trials as plain records: their states, counts and ranking."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweeper.config import Configuration, ModelConfig
from sweeper.errors import plain
from sweeper.evaluation.amounts import amount
from sweeper.events import State, outcome
from sweeper.models.latency import deployed
from sweeper.store.stored_values import checked
from sweeper.studies.attributes import (
    MILLISECONDS,
    PLACE,
    RESULT,
    RETRY_OF,
    RUN_ID,
    SCORE_OF,
    TRIAL,
    WARM_START,
    attributes_of,
    spec_in,
)  # fmt: skip
from sweeper.studies.objective import direction
from sweeper.studies.owned_storage import set_attributes
from sweeper.studies.seeds import trial_seed
from sweeper.studies.spec import StudySpec
from sweeper.studies.storage_errors import reading


@dataclass(frozen=True)
class TrialRecord:
    """A trial as sweeper counts it.

    `state` is complete, pruned, failed, running, waiting, duplicate (given another trial's result; not counted), or
    warm_start (a score of another study, for the sampler only; it has no value here, and neither ranks nor counts).
    `value` is the last epoch's objective; with several trainings, its mean over folds and repeats. `epochs` counts the
    epochs of all trainings; with several, it is 0 until the trial ends. `values` are what the pruner saw: the objective
    by epoch or, with several trainings, the mean over those complete, by their number. `params` holds the searched
    parameters' values in the configuration. A trial that was pruned for a constraint is not `feasible`. `seed` is that
    of the first repeat's trainings. `constant` has the only class that each of the networks gives to every validation
    image, if each gives only one. `memory` is what a trial that ran out of memory had of it, in bytes. `milliseconds`
    is what the network takes for an image, if the search limits that. `warm_start` is the trial STUDY:NUMBER of another
    study whose configuration this one tries, or of which it has the score. A pruned trial that is `retried` does not
    count: another trial has its configuration, and did not fail. `place` names the machines on which a running trial
    trains or, if its command has ended, has trained last; it is empty for the machine of the command.
    """

    number: int
    state: State
    value: float | None
    params: Mapping[str, Any]
    variant: str | None
    configuration: Configuration | None
    reason: str
    feasible: bool
    seed: int
    epochs: int
    values: Mapping[int, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    n_parameters: int | None = None
    seconds: float = 0.0
    run_id: str | None = None
    constant: tuple[str, ...] = ()
    memory: int | None = None
    milliseconds: float | None = None
    retry_of: int | None = None
    retried: bool = False
    warm_start: str | None = None
    place: str = ""

    @property
    def name(self) -> str:
        return trial_name(self.number, self.variant)

    @property
    def outcome(self) -> str:
        """The state as people read it: a trial that is not feasible is infeasible."""
        return outcome(self.state, feasible=self.feasible)


def trial_name(number: int, variant: str | None) -> str:
    """A trial's name, in MLflow and on the terminal."""
    return f"trial {number}" + (f" ({variant})" if variant else "")


# The records of trials by number, each with the trial that it was read from. Of a trial that has not changed, Optuna
# returns the same object again; a search asks for the records several times a trial.
_known: WeakKeyDictionary[optuna.Study, dict[int, tuple[FrozenTrial, TrialRecord]]] = WeakKeyDictionary()


def records(study: optuna.Study) -> list[TrialRecord]:
    """All trials in the order of their numbers. Raises SweeperError for a trial or study that cannot be read."""
    attributes = attributes_of(study)
    spec = spec_in(study.study_name, attributes)
    seen = _known.setdefault(study, {})
    found = []
    with reading(f"a trial of study {plain(study.study_name)}", study._storage):
        trials = study.get_trials(deepcopy=False)
    for frozen in trials:
        run_id = attributes.get(f"{RUN_ID}:{frozen.number}")
        known, record = seen.get(frozen.number, (None, None))
        if known is not frozen or record is None:
            record = record_of(study, frozen, run_id, spec)
        elif record.run_id != run_id:
            record = replace(record, run_id=run_id)
        seen[frozen.number] = frozen, record
        found.append(record)
    retried = {trial.retry_of for trial in found if trial.state != State.FAILED}
    return [replace(t, retried=True) if t.number in retried and t.state == State.PRUNED else t for t in found]


def record_of(study: optuna.Study, frozen: FrozenTrial, run_id: str | None, spec: StudySpec) -> TrialRecord:
    """The record of one trial, which does not say whether it is retried. Raises SweeperError if it cannot be read."""
    with reading(f"trial {frozen.number} of study {plain(study.study_name)}"):
        _check(frozen)
        return _record(frozen, run_id, spec)


def set_run_id(study: optuna.Study, number: int, run_id: str) -> None:
    """Records a trial's MLflow run, on the study: Optuna allows no change to a finished trial."""
    study.set_user_attr(f"{RUN_ID}:{number}", run_id)


def set_run_ids(study: optuna.Study, run_ids: Mapping[int, str]) -> None:
    """As `set_run_id` for many trials, by number, in one transaction of the storage."""
    set_attributes(study, {f"{RUN_ID}:{number}": run_id for number, run_id in run_ids.items()})


def set_place(trial: optuna.Trial, place: str) -> None:
    """Records where a trial trains; nothing is written for a trial that never left the machine of the command."""
    if place != trial.user_attrs.get(PLACE, ""):
        trial.set_user_attr(PLACE, place)


@dataclass(frozen=True)
class _Result:
    """The result of a trial as it is stored."""

    state: State | None = None
    value: float | None = None
    reason: str = ""
    violated: Mapping[str, float] = field(default_factory=dict)
    epochs: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    n_parameters: int | None = None
    seconds: float = 0.0
    constant: Sequence[str] = ()
    memory: int | None = None


# The kinds of a trial's attributes; its configuration checks its own fields.
_KINDS: Mapping[str, Any] = {
    RESULT: _Result,
    TRIAL: Mapping[str, Mapping[str, Any]],
    "variant": str | None,
    "comparator": bool,
    "duplicate_of": int | None,
    RETRY_OF: int | None,
    WARM_START: str | None,
    SCORE_OF: str,
    MILLISECONDS: float | None,
    PLACE: str,
}


def _check(frozen: FrozenTrial) -> None:
    """Raises ValueError for an attribute that sweeper does not write."""
    for name, kind in _KINDS.items():
        if name in frozen.user_attrs:
            checked(kind, frozen.user_attrs[name], name)
    result = frozen.user_attrs.get(RESULT, {})
    if frozen.state == TrialState.RUNNING and RESULT in frozen.user_attrs:  # the next search ends the trial with it
        if "state" not in result:
            raise ValueError(f"{RESULT}.state is missing")
        if result["state"] == State.COMPLETE and result.get("value") is None:
            raise ValueError(f"{RESULT}.value is missing")


def _record(frozen: FrozenTrial, run_id: str | None, spec: StudySpec) -> TrialRecord:
    attributes = frozen.user_attrs
    result = attributes.get(RESULT, {})
    values = attributes.get(TRIAL, {}).get("configuration")
    configuration = Configuration.from_values(values) if values else None
    state = {
        TrialState.COMPLETE: State.COMPLETE, TrialState.PRUNED: State.PRUNED, TrialState.FAIL: State.FAILED,
        TrialState.RUNNING: State.RUNNING, TrialState.WAITING: State.WAITING,
    }[frozen.state]  # fmt: skip
    # The result's state comes first: if a process was killed between the two writes that end a trial, Optuna's state is
    # still running.
    state = State(result.get("state", state))
    if attributes.get("duplicate_of") is not None:
        state = State.DUPLICATE
    reason, values_here = str(result.get("reason", "")), frozen.intermediate_values
    if score_of := attributes.get(SCORE_OF):
        state, values_here = State.WARM_START, {}
        score = "pruned" if frozen.value is None else amount(spec.metric, frozen.value)
        reason = f"{score} in {plain(score_of)}, for the sampler only"
    searched = values if values and not attributes.get("comparator") else {}
    return TrialRecord(
        number=frozen.number,
        state=state,
        value=result.get("value"),
        params={name: searched[name] for name in frozen.params if name in searched},
        variant=attributes.get("variant"),
        configuration=configuration,
        reason=" ".join(reason.split()),  # one line, whoever wrote it
        feasible=not any(value > 0 for value in (*frozen.constraints.values(), *result.get("violated", {}).values())),
        seed=trial_seed(spec.seed, frozen.number),
        epochs=result.get("epochs", 0 if len(spec.trainings) > 1 else max(values_here, default=0)),
        values=dict(values_here),
        metrics=result.get("metrics", {}),
        n_parameters=result.get("n_parameters"),
        seconds=result.get("seconds", 0.0),
        run_id=run_id,
        constant=tuple(result.get("constant", ())),
        memory=result.get("memory"),
        milliseconds=attributes.get(MILLISECONDS),
        retry_of=attributes.get(RETRY_OF),
        warm_start=score_of or attributes.get(WARM_START),
        place=attributes.get(PLACE, ""),
    )


def counts(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """The number of trials by outcome, without duplicates and those that were tried again.

    An infeasible trial is too large, impossible, diverged, or out of memory; pruned is one that the pruner has ended.
    """
    number = Counter(trial.outcome for trial in trials if not trial.retried)
    keys = {name: name for name in ("complete", "pruned", "infeasible")} | {"fail": "failed", "running": "running"}
    return {key: number[shown] for key, shown in keys.items()}


def n_counted(trials: Sequence[TrialRecord]) -> int:
    """The number of trials that count towards `--trials`: those that are complete, pruned or infeasible."""
    return sum(trial.state in (State.COMPLETE, State.PRUNED) and not trial.retried for trial in trials)


def latencies(trials: Sequence[TrialRecord]) -> dict[ModelConfig, float]:
    """The milliseconds that the search has measured, by network as `models.latency.deployed` gives it."""
    return {
        deployed(trial.configuration.model): trial.milliseconds
        for trial in trials
        if trial.configuration is not None and trial.milliseconds is not None
    }


def duplicates_in_a_row(trials: Sequence[TrialRecord]) -> int:
    """How many proposals have repeated known trials since the last one that was trained."""
    n_duplicates = 0
    for trial in reversed(trials):
        if trial.state == State.DUPLICATE:
            n_duplicates += 1
        elif trial.state != State.WAITING and (trial.epochs or trial.outcome != "infeasible"):
            break
    return n_duplicates


def ranking(trials: Sequence[TrialRecord], metric: str) -> list[TrialRecord]:
    """Complete trials, the best first; of equal values, the earlier trial first."""
    sign = 1 if direction(metric) == "minimize" else -1
    complete = [(sign * t.value, t) for t in trials if t.state == State.COMPLETE and t.value is not None]
    return [trial for _, trial in sorted(complete, key=lambda one: (one[0], one[1].number))]


def best(trials: Sequence[TrialRecord], metric: str) -> TrialRecord | None:
    """The best complete trial that satisfies the constraints."""
    return next((trial for trial in ranking(trials, metric) if trial.feasible), None)
