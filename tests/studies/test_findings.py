from dataclasses import asdict, replace

import optuna
import pytest

from sweeper.evaluation.constant import Constant
from sweeper.events import State
from sweeper.studies import lifecycle
from sweeper.studies.attributes import SPEC
from sweeper.studies.findings import constant_of, findings, reference
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord
from tests.sweep.sweeps import SPEC as FIELDS

CAT = Constant("cat", 0.49)


def study(metric="accuracy", *, trials=4, ended="", constant=CAT, **spec):
    made = optuna.create_study()
    made.set_user_attr(SPEC, StudySpec.from_json(FIELDS | {"metric": metric} | spec).as_json())
    made.set_user_attr("trials", trials)
    made.set_user_attr(lifecycle.ENDED, ended)
    made.set_user_attr(lifecycle.CONSTANT, constant and asdict(constant))
    return made


def trial(number, value=None, reason="", state=None, constant=()):
    state = state or (State.COMPLETE if value is not None else State.PRUNED)
    return TrialRecord(number, state, value, {}, None, None, reason, True, 0, 1, constant=constant)


FINE = [trial(0, 0.5), trial(1, 0.9), trial(2, reason="pruner"), trial(3, reason="diverged: the loss is nan")]


def test_nothing_is_said_of_a_study_that_is_as_it_should_be():
    assert findings(study(), FINE) == []


def test_a_study_whose_networks_all_are_over_a_limit_says_that_none_may_win():
    baseline = replace(trial(0, 0.5), feasible=False, milliseconds=0.3)
    slow = [replace(trial(n, reason="latency: "), feasible=False, milliseconds=n / 4) for n in (1, 2)]
    limited = {"max_params": 9000, "max_latency": 0.2}
    told = [
        "No network may win: all that completed are over a limit (--max-params 9000 --max-latency 0.2); the fastest of "
        "the study takes 0.25 ms an image."
    ]
    assert findings(study(trials=3, **limited), [baseline, *slow]) == told
    assert findings(study(**limited), [baseline, *slow, replace(trial(3, 0.9), milliseconds=0.1)]) == []
    assert findings(study(trials=1, max_params=9000), [replace(trial(0, 0.5), feasible=False)]) == [
        "No network may win: all that completed are over a limit (--max-params 9000)."
    ]


def test_a_space_that_is_exhausted_is_told_with_what_was_asked_for():
    told = ["The space is exhausted after 4 of 10 trials: the sampler found no configuration that was not tried."]
    assert findings(study(trials=10), FINE) == told
    for other in (study(trials=10, ended="timeout"), study(trials=10, variants_only=True)):
        assert findings(other, FINE) == []


def test_why_no_trial_completed_is_counted_by_reason():
    ended = [
        *(trial(number, reason="pruner") for number in range(3)),
        trial(3, reason="diverged: the loss is nan"),
        trial(4, reason="out_of_memory: no"),
        trial(5, reason="impossible_shape: no"),
        trial(6, reason="n_parameters: 10, more than 5"),
        trial(7, state=State.FAILED, reason="KeyError"),
        trial(8, state=State.DUPLICATE),
    ]
    assert findings(study(trials=7), ended) == [
        "No trial completed: 3 pruned by the pruner, 1 diverged, 1 out of memory, 1 infeasible (impossible shape), "
        "1 infeasible (too many parameters), 1 failed."
    ]


def test_scores_that_are_all_equal_are_told():
    (told,) = findings(study(), [trial(0, 0.75), trial(1, 0.75), trial(2, reason="pruner"), trial(3, reason="pruner")])
    assert told == "All 2 complete trials have the same accuracy, 75.00 %: their ranking is arbitrary."
    assert findings(study(trials=1), [trial(0, 0.75)]) == []


def test_constant_predictors_are_named_by_what_they_say():
    ended = [trial(0, 0.9), trial(1, 0.49, constant=("cat",)), trial(2, 0.3, constant=("cat", "dog")), trial(3, 0.5)]
    assert findings(study(), [*ended, trial(4, 0.49, constant=("cat",))]) == [
        "Constant predictors, which ignore the image: trials 1, 4 always say 'cat'.",
        "Constant predictors, which ignore the image: trial 2 always says 'cat' or 'dog'.",
    ]
    many = [trial(0, 0.9), *(trial(number, 0.49, constant=("cat",)) for number in range(1, 14))]
    assert "9, 10 and 3 more always" in findings(study(), many)[0]


@pytest.mark.parametrize(
    ("metric", "constant", "best", "told"),
    [
        ("accuracy", CAT, 0.49, "No configuration is better than always saying 'cat': accuracy 49.00 %."),
        ("accuracy", CAT, 0.491, None),
        ("macro_f1", Constant("cat", 0.33), 0.3, "always saying 'cat': macro F1 33.00 %."),
        ("loss", Constant("cat", 0.6931), 0.7, "predicting the class shares for every image: loss 0.6931."),
        ("loss", Constant("cat", 0.6931), 0.69, None),
        ("accuracy", None, 0.1, None),
    ],
)
def test_a_search_that_beats_no_constant_predictor_says_so(metric, constant, best, told):
    worse = 2 * best if metric == "loss" else best / 2
    found = findings(study(metric, constant=constant, trials=2), [trial(0, worse), trial(1, best)])
    assert len(found) == (told is not None)
    assert all(sentence.endswith(told) for sentence in found)


def test_scores_of_an_older_sweeper_that_are_another_loss_are_told_and_not_compared_with_the_constant():
    softmax = {"space": {"variants": {"baseline": {"softmax_output": True}}}}
    older = study("loss", constant=Constant("cat", 0.1), **softmax)
    [told] = findings(older, FINE)
    assert "its loss is the cross-entropy of probabilities taken as logits" in told
    assert constant_of(older) is None
    for other in (study("loss", loss="log", constant=None, **softmax), study(**softmax)):
        assert findings(other, FINE) == []


def test_the_constant_predictor_is_told_beneath_a_table():
    assert reference("accuracy", CAT) == "Always saying 'cat' would reach accuracy 49.00 % on validation images."
    assert reference("loss", Constant("cat", 0.5)).startswith("Predicting the class shares for every image would reach")
    assert reference("accuracy", None) == ""
