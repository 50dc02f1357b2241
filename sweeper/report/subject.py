"""What a report is about: a study with its trials, its promotion and its looks at the test set, read once."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from sweeper.errors import SweeperError
from sweeper.models import code_files
from sweeper.promotion import recorded
from sweeper.promotion.outcome import PromotionOutcome
from sweeper.store.arguments import store_arguments
from sweeper.store.layout import Store
from sweeper.studies import trial_records
from sweeper.studies.attributes import id_of, spec_of
from sweeper.studies.baseline import baseline_of
from sweeper.studies.queries import find_study, status_of
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord
from sweeper.tracking.ledger import Ledger, TestEvaluation


@dataclass(frozen=True, eq=False)
class Subject:
    """A study as a report sees it.

    `status` is as `status_of` gives it. `outcome` is None without a promotion. `evaluations` are the study's looks at
    the test set. `unread` says why MLflow could not tell of a promotion and of looks; it is empty if it could.
    """

    store: Store
    study: optuna.Study
    spec: StudySpec
    trials: Sequence[TrialRecord]
    status: Mapping[str, Any]
    outcome: PromotionOutcome | None
    evaluations: Sequence[TestEvaluation]
    unread: str

    @property
    def name(self) -> str:
        return self.study.study_name

    @property
    def is_running(self) -> bool:
        """Whether a process works on the study."""
        return bool(self.status["state"] == "running")

    @property
    def baseline(self) -> Mapping[str, Any]:
        """The values of the baseline's configuration; empty in a study without one."""
        found = baseline_of(self.spec)
        return found.values() if found else {}

    @property
    def options(self) -> str:
        """The options by which a command finds the study and its code; begins with a space, or is empty."""
        return store_arguments(self.store) + "".join(f" {shlex.quote(word)}" for word in code_files.arguments())

    def trial(self, number: int) -> TrialRecord | None:
        """The trial of this number; None if there is none."""
        return next((trial for trial in self.trials if trial.number == number), None)


def load(store: Store, name: str | None) -> Subject:
    """Reads the study of this name, or the latest one. Raises SweeperError as `find_study` does."""
    study = find_study(store, name)
    status = status_of(store, study)
    outcome, evaluations, unread = None, [], ""
    try:
        evaluations = [one for one in Ledger(store).evaluations() if one.study_id == id_of(study)]
        if promotion := recorded.find(store, study):
            outcome = recorded.outcome_of(store, study, promotion)
    except SweeperError as error:
        unread = str(error)
    return Subject(
        store, study, spec_of(study), trial_records.records(study), status, outcome, evaluations, unread
    )  # fmt: skip
