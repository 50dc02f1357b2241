import csv
import io

import pytest

from sweeper.events import State
from sweeper.search.study_report import ranking_table
from sweeper.studies.trial_records import TrialRecord


def record(number, state, value):
    return TrialRecord(number, state, value, {"lr": number / 10}, None, None, "", True, 0, 3)


def test_ranking_has_the_complete_trials_by_rank_and_then_the_others_by_number(monkeypatch):
    # In a study of a thousand trials, comparing each with each would take seconds.
    monkeypatch.setattr(TrialRecord, "__eq__", lambda *records: pytest.fail("the trials are compared with each other"))
    trials = [
        record(0, State.COMPLETE, 0.5), record(1, State.PRUNED, 0.9), record(2, State.COMPLETE, 0.7),
        record(3, State.FAILED, None),
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(ranking_table(trials, "accuracy"))))
    assert [(row["rank"], row["trial"], row["lr"]) for row in rows] == [
        ("1", "2", "0.2"), ("2", "0", "0.0"), ("", "1", "0.1"), ("", "3", "0.3"),
    ]  # fmt: skip
