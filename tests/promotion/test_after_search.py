"""What is suggested after a search, for studies that were promoted, tested or searched on before."""

from types import SimpleNamespace

import pytest

from sweeper.data.source import DataSource
from sweeper.promotion import after_search
from sweeper.promotion.after_search import Suggestion, suggested
from tests.promotion.test_finalists import record

TRIALS = [record(0, 0.3, variant="baseline"), record(1, 0.9), record(2, 0.5)]
BEGUN = SimpleNamespace(
    study_id="x", complete=False, deleted=False, networks={"champion": "net-1", "baseline": "net-0"}
)


def promoted(*trials, **options):
    entrants = [SimpleNamespace(trial=number, network=f"net-{number}") for number in trials]
    return SimpleNamespace(entrants=entrants, selected=trials, options=options)


@pytest.fixture
def suggest(monkeypatch):
    """The suggestion for a study with a recorded promotion and these entries in the ledger."""

    def made(before=None, evaluations=(), trials=TRIALS, *, has_test=True):
        monkeypatch.setattr(after_search, "find_study", lambda store, name: None)
        monkeypatch.setattr(after_search, "id_of", lambda study: "x")
        monkeypatch.setattr(after_search.recorded, "find", lambda store, study: before)
        monkeypatch.setattr(after_search.recorded, "outcome_of", lambda store, study, promotion: before)
        monkeypatch.setattr(after_search, "has_test_part", lambda dataset, options: has_test)
        monkeypatch.setattr(after_search.Ledger, "evaluations", lambda ledger: list(evaluations))
        monkeypatch.setattr(after_search.Ledger, "__init__", lambda ledger, store: None)
        return suggested(None, "mine", DataSource("tiny"), trials, "accuracy", ask_mlflow=True)

    return made


def test_first_promotion_is_of_the_finalists_that_there_are(suggest):
    assert suggest() == Suggestion(["--top", "2"], test=True)
    assert suggest(trials=TRIALS[:1]) == Suggestion(["--top", "1"], test=True)
    assert suggest(has_test=False) == Suggestion(["--top", "2"])
    assert suggest(trials=[]) is None


def test_promoted_study_is_tested_without_options_of_its_promotion(suggest):
    for before in (promoted(1, 0, trials=[1]), promoted(1, 2, 0, top=2), promoted(1, 0, top=1)):
        assert suggest(before) == Suggestion(test=True)
        assert suggest(before, has_test=False) == Suggestion()


def test_better_trials_of_a_search_that_went_on_are_promoted_anew(suggest):
    assert suggest(promoted(2, 0, top=1)) == Suggestion(["--top", "2", "--again"], test=True)
    assert suggest(promoted(2, 0, trials=[2])) == Suggestion(test=True)


def test_finalist_that_was_dropped_is_no_better_trial_since(suggest):
    before = promoted(2, 0, top=2)
    before.selected = (1, 2, 0)
    assert suggest(before) == Suggestion(test=True)


def test_trials_are_not_called_better_than_those_of_a_promotion_that_did_not_record_which_it_selected(suggest):
    assert suggest(promoted(2, 0)) == Suggestion(test=True)
    before = promoted(2, 0, top=2)
    before.selected = ()
    assert suggest(before) == Suggestion(test=True)


def test_only_finalist_is_tested_only_if_it_was_asked_for_alone(suggest):
    assert suggest(promoted(0, top=2), trials=TRIALS[:1]) == Suggestion()
    assert suggest(promoted(0, top=1), trials=TRIALS[:1]) == Suggestion(test=True)


def test_test_that_was_begun_is_resumed_or_not_suggested(suggest):
    assert suggest(promoted(1, 0, top=1), [BEGUN]) == Suggestion(test=True)
    assert suggest(promoted(2, 0, top=1), [BEGUN]) == Suggestion()
    assert suggest(None, [BEGUN]) == Suggestion(["--top", "2"])
    deleted = SimpleNamespace(**vars(BEGUN) | {"deleted": True})
    assert suggest(promoted(1, 0, top=1), [deleted]) == Suggestion()


def test_study_that_was_tested_has_no_promotion_left(suggest):
    done = SimpleNamespace(**vars(BEGUN) | {"complete": True})
    assert suggest(promoted(1, 0, top=1), [done]) == Suggestion(is_tested=True)
    other = SimpleNamespace(**vars(done) | {"study_id": "y"})
    assert suggest(None, [other]) == Suggestion(["--top", "2"], test=True)
