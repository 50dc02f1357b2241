"""A copy of a study in memory, as people read it, from which Optuna draws: scores in percent, texts that are no markup.

Plotly reads texts as a kind of HTML. Attributes, such as whole configurations, are left out, because Optuna would put
them into each point's label.
"""

from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from sweeper.events import UNTRAINED
from sweeper.report.subject import Subject
from sweeper.studies.objective import LABELS, direction, is_share

_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True)
class Scale:
    """How scores are shown: the axis's name, and what they are multiplied by."""

    label: str
    factor: float

    @classmethod
    def of(cls, metric: str) -> "Scale":
        """That of a metric: percent for shares, nats for losses."""
        unit, factor = (" (%)", 100.0) if is_share(metric) else (" (nats)", 1.0)
        return cls(f"Validation {LABELS[metric]}{unit}", factor)


def display_study(subject: Subject) -> optuna.Study:
    """The copy, with the same numbers of trials; one that was not trained is waiting in it."""
    shown = optuna.create_study(direction=direction(subject.spec.metric))
    factor = Scale.of(subject.spec.metric).factor
    untrained = {trial.number for trial in subject.trials if trial.state in UNTRAINED}
    for trial in subject.study.get_trials(deepcopy=False)[: len(subject.trials)]:
        shown.add_trial(_waiting() if trial.number in untrained else _shown(trial, factor))
    return shown


def literal(text: str) -> str:
    """A text that Plotly shows as it is."""
    return text.translate(_MARKUP)


def _waiting() -> FrozenTrial:
    return optuna.trial.create_trial(state=TrialState.WAITING)


def _shown(trial: FrozenTrial, factor: float) -> FrozenTrial:
    kinds = {name: _kind(kind) for name, kind in trial.distributions.items()}
    copy = FrozenTrial(
        number=trial.number,
        state=trial.state,
        value=None if trial.value is None else factor * trial.value,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params={name: _value(trial.distributions[name], value) for name, value in trial.params.items()},
        distributions=kinds,
        user_attrs={},
        system_attrs={},
        intermediate_values={step: factor * value for step, value in trial.intermediate_values.items()},
        trial_id=trial._trial_id,
    )
    for name, violation in trial.constraints.items():
        copy.set_constraint(name, violation)
    return copy


def _kind(kind: BaseDistribution) -> BaseDistribution:
    if isinstance(kind, CategoricalDistribution):
        return CategoricalDistribution([_choice(choice) for choice in kind.choices])
    return kind


def _value(kind: BaseDistribution, value: Any) -> Any:
    return _choice(value) if isinstance(kind, CategoricalDistribution) else value


def _choice(choice: Any) -> Any:
    return literal(choice) if isinstance(choice, str) else choice
