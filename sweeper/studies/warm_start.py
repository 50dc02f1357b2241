"""Starts a study from the trials of another, and keeps apart what was not measured in it.

The best configurations of the other study are tried first: they are trained here, and only their scores here count. If
data, split, metric and protocol are the same, the scores of all its trials are given to the sampler as well. These are
trials of Optuna's storage that were not trained here: they neither rank nor count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState

from sweeper.errors import UsageError, plain
from sweeper.events import State
from sweeper.spaces.space import Space
from sweeper.store.layout import Store
from sweeper.studies import queries, trial_records
from sweeper.studies.attributes import SCORE_OF, SPEC, TRIAL, WARM_START, attributes_of, id_of, spec_of
from sweeper.studies.comparability import differing, start_alike
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord

# So many configurations are tried first: enough to begin among the best, few enough to search afterwards.
MOST_FIRST = 5


@dataclass(frozen=True)
class WarmStart:
    """What a study takes over from the study `name`.

    `first` are the trials whose configurations are tried first, the best first. `scores` are those whose scores the
    sampler learns; if there are none, `why_no_scores` says why. `n_outside` finished trials are outside the space.
    """

    name: str
    study_id: str
    first: Sequence[TrialRecord]
    scores: Sequence[TrialRecord]
    why_no_scores: str
    n_outside: int

    @property
    def told(self) -> str:
        """What is taken over, in words."""
        learnt = (
            f"the sampler learns from {len(self.scores)} of its scores, which neither rank nor count here"
            if self.scores
            else f"the sampler learns none of its scores: {self.why_no_scores}"
        )
        outside = f"; {self.n_outside} of its trials are outside this space" if self.n_outside else ""
        n = len(self.first)
        first = f"its best {n} are tried first" if n else "none of its configurations is new"
        return f"Warm start from {self.name}: {first}; {learnt}{outside}"

    def as_json(self) -> dict[str, Any]:
        """The study's attribute; it is `done` once all trials are added."""
        return {"study": self.name, "study_id": self.study_id, "told": self.told, "done": False}


def planned(
    store: Store, wanted: str | None, name: str, resumed: optuna.Study | None, space: Space, spec: StudySpec
) -> WarmStart | None:
    """What the study `name` of this space is still to take over; None if nothing, or all is done. Writes nothing.

    Raises UsageError if there is nothing to take over from the study `wanted`, or the study to be `resumed` was started
    without it.
    """
    before = attributes_of(resumed).get(WARM_START) if resumed is not None else None
    if before is not None and wanted not in (None, before["study"]):
        raise UsageError(
            f"study {name} was started with --warm-start {before['study']}, this command has {wanted}: give the same "
            "study, or --new for another study"
        )
    if before is None and wanted is not None and _has_begun(resumed):
        raise UsageError(
            f"study {name} was started without --warm-start: leave it out, or give --new for another study"
        )
    wanted = wanted if before is None else before["study"]
    if wanted is None or (before and before["done"]):
        return None
    if wanted == name:
        raise UsageError(f"a study cannot start from its own trials: {name} is the study itself (--warm-start)")
    return _of(queries.find_study(store, wanted), space, spec)


def apply(study: optuna.Study, space: Space, warm: WarmStart) -> None:
    """Adds the trials, after the variants that wait already. May be repeated after a kill, until it is done."""
    study.set_user_attr(WARM_START, warm.as_json())
    trials = study.get_trials(deepcopy=False)
    present = {trial.user_attrs[key] for trial in trials for key in (SCORE_OF,) if key in trial.user_attrs}
    for trial in warm.scores:
        reference = f"{warm.name}:{trial.number}"
        if reference not in present:
            study.add_trial(_with_score(trial, reference, space))
    present = {trial.user_attrs.get(WARM_START) for trial in trials}
    for trial in warm.first:
        reference = f"{warm.name}:{trial.number}"
        if reference not in present:
            assert trial.configuration is not None
            point = space.point(space.in_own_precision(trial.configuration)) or {}
            study.enqueue_trial(point, user_attrs={WARM_START: reference})
    study.set_user_attr(WARM_START, {**warm.as_json(), "done": True})


def told(study: optuna.Study) -> str:
    """From which study it started and what it took over, in words; empty for other studies."""
    found = attributes_of(study).get(WARM_START)
    return "" if found is None else str(found["told"])


def _has_begun(study: optuna.Study | None) -> bool:
    """Whether a study has tried anything yet."""
    if study is None or SPEC not in attributes_of(study):
        return False
    return any(trial.state != State.WAITING for trial in trial_records.records(study))


def _of(source: optuna.Study, space: Space, spec: StudySpec) -> WarmStart:
    other, name = spec_of(source), source.study_name
    trials = [trial for trial in trial_records.records(source) if trial.configuration is not None]
    finished = [t for t in trials if t.outcome in (State.COMPLETE, State.PRUNED) and t.feasible]
    # The same network in another precision is worth a try, but its score is that of another configuration.
    own = {t.number: space.in_own_precision(t.configuration) for t in finished if t.configuration is not None}
    inside = [t for t in finished if space.point(own[t.number]) is not None]
    variants = {variant.configuration.key() for variant in space.variants.values()}
    first: dict[str, TrialRecord] = {}
    for trial in trial_records.ranking(inside, other.metric):
        if (key := own[trial.number].key()) not in variants:
            first.setdefault(key, trial)
    scores = [
        t
        for t in inside
        if t.values
        and other.n_epochs(t.variant) == spec.protocol.epochs
        and t.configuration is not None
        and t.configuration == own[t.number]
        and start_alike(t.configuration.model, other, spec)
    ]
    why = ""
    if differences := differing({name: other, "this study": spec}):
        why = f"other {', '.join(differences)}"
    elif spec.sampler != "tpe":
        why = f"the sampler {spec.sampler} uses none"
    elif not scores:
        why = "none of its trials inside this space has one"
    if not first and (why or not scores):
        raise UsageError(
            f"no trial of study {plain(name)} that has finished is inside the space {plain(space.name)}, other than "
            "its variants: there is nothing to start from (--warm-start)"
        )
    chosen = list(first.values())[:MOST_FIRST]
    return WarmStart(name, id_of(source), chosen, [] if why else scores, why, len(finished) - len(inside))


def _with_score(trial: TrialRecord, reference: str, space: Space) -> optuna.trial.FrozenTrial:
    assert trial.configuration is not None
    point = space.point(trial.configuration) or {}
    complete = trial.state == State.COMPLETE
    return optuna.create_trial(
        state=TrialState.COMPLETE if complete else TrialState.PRUNED,
        value=trial.value if complete else None,
        params=point,
        distributions={name: space.parameters[name].distribution for name in point},
        intermediate_values=dict(trial.values),
        user_attrs={SCORE_OF: reference, TRIAL: {"configuration": trial.configuration.values()}},
    )
