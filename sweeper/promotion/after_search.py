"""The promotion to suggest after a search: one that `sweeper promote` would accept now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sweeper.data.lookup import has_test_part
from sweeper.data.source import DataSource
from sweeper.errors import SweeperError
from sweeper.promotion import recorded
from sweeper.promotion.finalists import distinct
from sweeper.promotion.outcome import PromotionOutcome
from sweeper.store.layout import Store
from sweeper.studies.attributes import id_of
from sweeper.studies.queries import find_study
from sweeper.studies.trial_records import TrialRecord
from sweeper.tracking.ledger import Ledger, TestEvaluation


@dataclass(frozen=True)
class Suggestion:
    """Options of `sweeper promote STUDY`, and whether --test is one of them; `is_tested` if the study had its test."""

    options: Sequence[str] = ()
    test: bool = False
    is_tested: bool = False


def suggested(
    store: Store, study_name: str, source: DataSource, trials: Sequence[TrialRecord], metric: str, *, ask_mlflow: bool
) -> Suggestion | None:
    """The promotion of a study whose search has ended; None if no trial has finished that may win.

    A study that was promoted before is only shown or tested, without options that its promotion did not have. If its
    search has found better trials since, it is promoted anew, unless a test was begun, which is resumed instead.
    Without `ask_mlflow`, which does not answer now, a first promotion is suggested.
    """
    n_finalists = len(distinct(trials, metric))
    if not n_finalists:
        return None
    first = Suggestion(["--top", str(min(n_finalists, 2))])
    try:
        if not ask_mlflow:
            return first
        study = find_study(store, study_name)
        evaluations = [one for one in Ledger(store).evaluations() if one.study_id == id_of(study)]
        if any(one.complete for one in evaluations):
            return Suggestion(is_tested=True)
        promotion = recorded.find(store, study)
        before = recorded.outcome_of(store, study, promotion) if promotion else None
        test = has_test_part(source.dataset, source.options)
    except SweeperError:
        return first  # what is wrong with the test part, or with MLflow, is for the promotion to say
    if before is None:
        return replace(first, test=test and not evaluations)
    if recorded.better_since(before, trials, metric) and not evaluations:
        return Suggestion([*first.options, "--again"], test)
    return Suggestion(test=test and _can_test(before, evaluations))


def _can_test(before: PromotionOutcome, begun: Sequence[TestEvaluation]) -> bool:
    """Whether a test of the recorded promotion compares something, and is of the networks of those that were begun."""
    networks = {entrant.network for entrant in before.entrants}
    compares = len(before.entrants) > 1 or before.options.get("top") == 1
    return compares and not any(one.deleted or set(one.networks.values()) - networks for one in begun)
