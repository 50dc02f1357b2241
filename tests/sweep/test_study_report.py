import csv
import io
import json

import pytest

from sweeper.events import State
from sweeper.studies import importance
from sweeper.studies.trial_records import TrialRecord
from sweeper.sweep.study_report import log_end, ranking_table
from tests.spaces.test_reader import EXAMPLE, parse
from tests.sweep.sweeps import Sweep


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


@pytest.mark.parametrize("least", [8, 13])
def test_importances_reach_the_studys_run_as_numbers_and_where_they_mean_something_as_a_picture(
    tmp_path, monkeypatch, least
):
    monkeypatch.setattr(importance, "LEAST_TRIALS", least)
    sweep = Sweep(tmp_path, space=parse(EXAMPLE).describe())
    sweep.run(trials=12)
    ended = []
    monkeypatch.setattr(sweep.tracker, "finish", lambda *run, **how: ended.append(how))
    log_end(sweep.tracker, sweep.study, "accuracy", "", 1.0)
    found = json.loads(sweep.tracker.texts[None]["search/parameter_importance.json"])
    drawn = sweep.tracker.figures[None]
    assert "search/frontier.png" in drawn
    if least == 8:
        assert "search/parameter_importance.png" in drawn
        assert found["evaluator"] == importance.EVALUATOR
        assert found["scores"] == "validation accuracy after epoch 3 of 3"
        assert found["shares"].keys() == found["null_high"].keys() == found["above_chance"].keys()
    else:
        assert "search/parameter_importance.png" not in drawn
        assert found["refused"].startswith("Parameter importances need 13 trials with a score, and the study has 12: ")
    assert ended
