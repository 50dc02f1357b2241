"""Studies side by side: their best trials, what their promotions estimated, their spaces, and whether this compares."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import optuna

from sweeper.errors import SweeperError, UsageError
from sweeper.evaluation.constant import Constant
from sweeper.events import State
from sweeper.promotion import recorded
from sweeper.promotion.outcome import Entrant, PromotionOutcome
from sweeper.store.layout import Store
from sweeper.studies import trial_records
from sweeper.studies.attributes import spec_of
from sweeper.studies.comparability import EFFORT, SCORES, differing
from sweeper.studies.findings import constant_of
from sweeper.studies.queries import as_shown, find_study, trial_as_dict
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord


@dataclass(frozen=True)
class ComparedStudy:
    """A study with its best trial, what always saying one class scores, and its recorded promotion, if it has one.

    `is_searched` tells whether its running trials are trained now.
    """

    name: str
    spec: StudySpec
    n_trials: dict[str, int]
    is_searched: bool
    best: TrialRecord | None
    constant: Constant | None
    promotion: PromotionOutcome | None

    @property
    def champion(self) -> Entrant | None:
        return self.promotion.entrants[0] if self.promotion else None

    def as_json(self) -> dict[str, Any]:
        champion, promotion, spec = self.champion, self.promotion, self.spec
        return {
            "study_name": self.name,
            "dataset": spec.dataset,
            "data_sha256": spec.data_sha256,
            "split_sha256": spec.split_sha256,
            "metric": spec.metric,
            "protocol": asdict(spec.protocol),
            "space": spec.space_name,
            "parameters": dict(spec.space.get("parameters", {})),
            "fixed": dict(spec.space.get("fixed", {})),
            "n_trials": self.n_trials,
            "best_trial": self.best and trial_as_dict(self.best),
            "constant_predictor": self.constant and asdict(self.constant),
            "promotion": promotion
            and champion
            and {
                "trial": champion.trial,
                "model_name": promotion.model_name,
                "version": champion.version,
                "n_parameters": champion.n_parameters,
                "confirm": dict(champion.confirm),
            },
        }


@dataclass(frozen=True)
class StudyComparison:
    """Studies in the order in which they were named; `differing` as studies.comparability gives it."""

    studies: Sequence[ComparedStudy]
    differing: dict[str, dict[str, Any]]

    @property
    def comparable(self) -> bool:
        """Whether a score of one study means the same in the others."""
        return not set(SCORES) & set(self.differing)

    @property
    def sentences(self) -> list[str]:
        """Whether the numbers can be compared, and what to bear in mind, in words."""
        if broken := [what for what in SCORES if what in self.differing]:
            verb = "differs" if len(broken) == 1 and broken != ["data"] else "differ"
            return [f"These numbers cannot be compared: the {' and the '.join(broken)} {verb} between the studies."]
        said = ["The scores are of the same images, and can be compared."]
        if effort := [what for what in EFFORT if what in self.differing]:
            values = "; ".join(
                f"{what} {', '.join(f'{name} {value}' for name, value in self.differing[what].items())}"
                for what in effort
            )
            said.append(f"The protocols differ, and a difference of the scores may come from that: {values}.")
        if len({sum(study.n_trials.values()) for study in self.studies}) > 1:
            said.append("The best of more trials is higher by chance alone: confirm estimates do not have this bias.")
        return said

    def as_json(self) -> dict[str, Any]:
        """The object that `sweeper compare --json` prints."""
        return {
            "schema_version": 1,
            "comparable": self.comparable,
            "differing": self.differing,
            "sentences": self.sentences,
            "studies": [study.as_json() for study in self.studies],
        }


def compare(store: Store, names: Sequence[str], notify: Callable[[str], None]) -> StudyComparison:
    """The studies side by side. Trains and changes nothing.

    Raises UsageError for an unknown name and one given twice, and SweeperError for a study that cannot be read. If a
    promotion cannot be read, `notify` gets the reason.
    """
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UsageError(f"each study must be named once, got {twice[0]} {names.count(twice[0])} times")
    found = [_compared(store, find_study(store, name), notify) for name in names]
    return StudyComparison(found, differing({study.name: study.spec for study in found}))


def _compared(store: Store, study: optuna.Study, notify: Callable[[str], None]) -> ComparedStudy:
    spec, trials = spec_of(study), trial_records.records(study)
    outcome = None
    try:
        if promotion := recorded.find(store, study):
            outcome = recorded.outcome_of(store, study, promotion)
    except SweeperError as error:
        notify(f"The promotion of {study.study_name} is not shown: {error}")
    return ComparedStudy(
        name=study.study_name,
        spec=spec,
        n_trials=trial_records.counts(trials),
        is_searched=any(trial.state == State.RUNNING for trial in as_shown(store, study, trials)),
        best=trial_records.best(trials, spec.metric),
        constant=constant_of(study),
        promotion=outcome,
    )
