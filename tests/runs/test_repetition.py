from dataclasses import replace

import pytest

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.errors import SweeperError
from sweeper.events import State
from sweeper.runs.repetition import repetition_of
from sweeper.runs.study_trial import StudyTrial
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord
from tests.sweep.sweeps import SPEC

OWN = Configuration(ConvNetConfig(), TrainConfig())
SCORE = {"validation_accuracy": 0.75}


def trial(state=State.COMPLETE, value=0.75):
    record = TrialRecord(2, state, value, {}, None, OWN, "", True, 0, 3)
    return StudyTrial("study", StudySpec.from_json(SPEC), record, OWN)


def repeated(of, configuration=OWN, **changes):
    return repetition_of(of, replace(of.spec, seed=of.seed(), **changes), configuration)


@pytest.mark.parametrize(
    ("metrics", "equal", "told"),
    [
        (None, None, None),
        (SCORE, True, "The score equals that of trial study:2 to the last bit: 75.0000 %"),
        (
            {"validation_accuracy": 0.74},
            False,
            "The score is not that of trial study:2, 75.0000 %: the same processor and",
        ),
    ],
    ids=["not done", "equal", "another"],
)
def test_score_of_a_repetition_is_compared_with_the_trials(metrics, equal, told):
    found = repeated(trial())
    assert found.changes == []
    assert found.is_equal(metrics) is equal
    assert found.as_json(metrics) == {"trial": "study:2", "value": 0.75, "changes": [], "equal": equal}
    if told:
        assert found.told(metrics).startswith(told)


@pytest.mark.parametrize(("state", "value"), [(State.PRUNED, 0.75), (State.FAILED, None)])
def test_trial_without_a_last_epoch_has_no_score_to_be_given_again(state, value):
    found = repeated(trial(state, value))
    assert found.is_equal(SCORE) is None
    assert found.told(SCORE) == ""


def test_what_differs_is_named_and_nothing_is_compared():
    other = replace(OWN, train=replace(OWN.train, lr=0.5))
    found = repeated(trial(), other, threads=3)
    assert found.changes == ["threads", "lr"]
    assert found.is_equal(SCORE) is None


def test_other_data_are_refused():
    with pytest.raises(SweeperError, match="the data of study study have changed since the search: their hash was 0, "):
        repeated(trial(), data_sha256="1")


def test_other_reading_of_the_same_files_is_refused():
    with pytest.raises(SweeperError, match="were read as stored when it began, and are read with transparency on"):
        repeated(trial(), conversions=("transparency on white",))
