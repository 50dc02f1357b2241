import json
from dataclasses import replace

import numpy as np
import pytest

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.errors import SweeperError
from sweeper.promotion.finalists import TIE_BREAKERS, Finalist, certain, ordered, select
from sweeper.promotion.options import PREFERENCES
from sweeper.promotion.predictions import Predictions
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord
from tests.promotion.finals import predictions_of

SHAPE, CLASSES = (1, 8, 8), 4
STATES = ("pruned", "failed", "running", "waiting", "duplicate")


def configuration(n_filters=4, lr=1e-3):
    model = ConvNetConfig(filters=(n_filters,), kernel_size=3, pool_after=(1,), hidden=(8,))
    return Configuration(model, TrainConfig(lr=lr))


BASELINE = configuration()


def spec(metric="accuracy", **limits):
    # As Optuna gives it back: through JSON.
    baseline = json.loads(json.dumps(BASELINE.values()))
    space = {"variants": {"baseline": baseline}, "parameters": {"filters": {}, "lr": {}}}
    return StudySpec(
        dataset="tiny",
        data_sha256="0",
        fold_scalings=[([0.0], [1.0])],
        space=space,
        metric=metric,
        **limits,
    )


def record(number, value=0.5, lr=None, *, state="complete", feasible=True, **other):
    """A trial with a configuration of its own, unless `lr` gives it another's."""
    lr = lr or 0.01 * (number + 1)
    fields = {
        "params": {"lr": lr},
        "variant": None,
        "configuration": configuration(lr=lr),
        "metrics": {"validation_accuracy": value},
    } | other
    return TrialRecord(
        number=number, state=state, value=value, reason="", feasible=feasible, seed=0, epochs=2, **fields
    )


def baseline_record(value=0.5, number=0, **other):
    return record(number, value, **{"params": {"lr": 1e-3}, "variant": "baseline", "configuration": BASELINE} | other)


def selected(trials, top=2, metric="accuracy", **limits):
    return select(trials, spec(metric, **limits), top, SHAPE, CLASSES)


def numbers(finalists):
    return [finalist.trial for finalist in finalists]


def test_every_preference_has_what_decides_among_the_tied():
    assert tuple(TIE_BREAKERS) == PREFERENCES


def test_a_variant_is_trained_anew_for_epochs_of_its_own():
    trials = [baseline_record(), record(1, 0.9, variant="deep")]
    found = select(trials, replace(spec(), variant_epochs={"deep": 25}), 2, SHAPE, CLASSES)
    assert {finalist.trial: finalist.epochs for finalist in found} == {0: 15, 1: 25}


def test_the_best_by_search_score_are_in_the_final_and_the_baseline_after_them():
    trials = [baseline_record(0.5), record(1, 0.7), record(2, 0.9), record(3, 0.8)]
    found = selected(trials)
    assert numbers(found) == [2, 3, 0]
    assert [f.is_baseline for f in found] == [False, False, True]
    assert [f.name for f in found] == ["trial 2", "trial 3", "trial 0 (baseline)"]
    assert [f.score for f in found] == [0.9, 0.8, 0.5]
    assert all(f.eligible for f in found)


@pytest.mark.parametrize(
    ("baseline_value", "top", "expected"),
    [(0.95, 1, [0]), (0.95, 2, [0, 2]), (0.85, 1, [2, 0]), (0.85, 2, [2, 0]), (0.5, 1, [2, 0]), (0.5, 5, [2, 3, 0])],
)
def test_a_baseline_among_the_best_is_not_taken_twice(baseline_value, top, expected):
    trials = [baseline_record(baseline_value), record(2, 0.9), record(3, 0.8)]
    assert numbers(selected(trials, top)) == expected


def test_fewer_than_asked_for_are_in_the_final_where_fewer_have_finished():
    trials = [baseline_record(0.5), record(1, 0.7), record(2, 0.9, state="pruned")]
    assert numbers(selected(trials, top=5)) == [1, 0]


def test_the_smallest_loss_leads():
    trials = [baseline_record(0.40), record(1, 0.35), record(2, 0.30), record(3, 0.60)]
    found = selected(trials, metric="loss")
    assert [(f.trial, f.score) for f in found] == [(2, 0.30), (1, 0.35), (0, 0.40)]


def test_the_earlier_of_equal_scores_is_preferred():
    assert numbers(selected([baseline_record(), record(3, 0.9), record(1, 0.9), record(2, 0.9)])) == [1, 2, 0]


def test_one_configuration_under_two_numbers_takes_one_place_with_its_best_score():
    trials = [baseline_record(), record(1, 0.8, lr=0.5), record(2, 0.9, lr=0.5), record(3, 0.7), record(4, 0.6)]
    found = selected(trials)
    assert numbers(found) == [2, 3, 0]
    assert found[0].score == 0.9


def test_the_baselines_configuration_is_the_baseline_under_any_number():
    trials = [baseline_record(0.5), record(1, 0.8), record(4, 0.9, configuration=BASELINE)]
    found = selected(trials)
    assert numbers(found) == [4, 1]
    assert found[0].is_baseline
    assert found[0].name == "trial 4 (baseline)"


def test_a_baseline_below_the_best_is_represented_by_its_best_finished_trial():
    trials = [
        baseline_record(0.99, state="failed"),
        baseline_record(0.4, number=5),
        baseline_record(0.5, number=6),
        record(1, 0.9),
    ]
    found = selected(trials, top=1)
    assert numbers(found) == [1, 6]
    assert found[1].score == 0.5


@pytest.mark.parametrize("state", STATES)
def test_only_finished_trials_are_in_the_final(state):
    assert numbers(selected([baseline_record(), record(1, 0.9, state=state), record(2, 0.8)])) == [2, 0]


def test_a_finished_trial_whose_configuration_was_never_noted_cannot_be_trained_anew():
    assert numbers(selected([baseline_record(), record(1, 0.9, configuration=None), record(2, 0.8)])) == [2, 0]


def test_a_trial_that_breaks_a_limit_is_not_in_the_final():
    assert numbers(selected([baseline_record(), record(1, 0.9, feasible=False), record(2, 0.8)])) == [2, 0]


def test_a_baseline_that_breaks_a_limit_is_in_the_final_but_not_eligible():
    small = [
        record(n, value, configuration=configuration(n_filters=1, lr=0.1 * n)) for n, value in ((1, 0.8), (2, 0.7))
    ]
    trials = [baseline_record(0.99, feasible=False), *small]
    assert selected(trials)[2].eligible  # it was infeasible in the search for another reason than its size
    limit = selected(trials)[0].n_parameters
    found = selected(trials, max_params=limit)
    assert [(f.trial, f.eligible, f.score) for f in found] == [(1, True, 0.8), (2, True, 0.7), (0, False, 0.99)]


def test_multiply_adds_and_the_latency_that_the_search_measured_decide_too():
    found = selected([baseline_record(), record(1, 0.9)])
    assert selected([baseline_record()], max_madds=found[0].n_multiply_adds)[0].eligible
    assert not selected([baseline_record()], max_madds=found[0].n_multiply_adds - 1)[0].eligible
    quick = configuration(n_filters=2)
    trials = [
        baseline_record(milliseconds=0.5),
        record(1, 0.9, configuration=quick, milliseconds=0.2),
        record(2, 0.8, configuration=configuration(n_filters=3)),
    ]
    found = selected(trials, top=3, max_latency=0.3)
    # A network without a measurement is not known to keep the limit.
    assert [(f.trial, f.eligible) for f in found] == [(1, True), (2, False), (0, False)]
    # A duplicate's network was measured for the trial that it repeats.
    again = record(3, 0.9, configuration=quick, state="duplicate")
    [named, _] = select([*trials, again], spec(max_latency=0.3), 1, SHAPE, CLASSES, numbers=[3])
    assert (named.trial, named.eligible) == (3, True)


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("state", STATES)
def test_a_baseline_that_the_search_did_not_finish_is_in_the_final_without_a_score(state, noted):
    # Before it starts, a trial has neither a configuration nor values of the searched parameters.
    unfinished = {} if noted else {"configuration": None, "params": {}}
    found = selected([baseline_record(0.99, state=state, **unfinished), record(1, 0.8)], top=1)
    assert numbers(found) == [1, 0]
    baseline = found[1]
    assert baseline.score is None
    assert baseline.configuration == BASELINE
    assert baseline.is_baseline
    assert baseline.eligible
    assert baseline.params["lr"] == 1e-3


def test_a_comparator_without_params_shows_the_values_of_the_searched_fields():
    outside = configuration(n_filters=7, lr=0.3)
    outside_space = record(2, 0.9, configuration=outside, params={}, variant="lecun")
    found = selected([baseline_record(), record(1, 0.8), outside_space])
    assert json.loads(json.dumps([f.params for f in found])) == [
        {"filters": [7], "lr": 0.3},
        {"lr": 0.02},
        {"lr": 1e-3},
    ]


@pytest.mark.parametrize(
    ("n_filters", "n_parameters", "n_multiply_adds"),
    [
        # conv 6x6, pooled to 3x3: 4 (9 + 1) + 8 (36 + 1) + 4 (8 + 1), and 4 x 36 x 9 + 36 x 8 + 8 x 4.
        (4, 372, 1616),
        # 8 (9 + 1) + 8 (72 + 1) + 4 (8 + 1), and 8 x 36 x 9 + 72 x 8 + 8 x 4.
        (8, 700, 3200),
    ],
)
def test_the_size_of_a_finalist_is_that_of_its_own_network(n_filters, n_parameters, n_multiply_adds):
    finalist = selected([baseline_record(), record(1, 0.9, configuration=configuration(n_filters))])[0]
    assert (finalist.n_parameters, finalist.n_multiply_adds) == (n_parameters, n_multiply_adds)


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [baseline_record(state="waiting", configuration=None, params={})],
        [baseline_record(feasible=False), record(1, state="pruned"), record(2, feasible=False)],
    ],
)
def test_a_search_without_anything_to_promote_is_refused(trials):
    with pytest.raises(SweeperError, match="no trial that can be promoted has finished"):
        selected(trials)


def finalist(trial, n_parameters=10, n_multiply_adds=10, *, eligible=True, is_baseline=False):
    return Finalist(trial, BASELINE, {}, 15, is_baseline, eligible, 0.9, n_parameters, n_multiply_adds)


def right(share, seed=0):
    """Whether each of 3 networks is right on each of 400 images, each with probability `share`."""
    return np.random.default_rng([seed, int(1000 * share)]).random((400, 3)) < share


def order(finalists, correct, prefer="accuracy"):
    return numbers(ordered(finalists, {trial: predictions_of(right) for trial, right in correct.items()}, prefer))


@pytest.mark.parametrize("prefer", PREFERENCES)
def test_the_most_accurate_on_fresh_seeds_leads_where_it_can_be_told(prefer):
    correct = {1: right(0.5), 2: right(0.9), 3: right(0.7)}
    # The search, and the costs, would have it otherwise.
    entered = [finalist(1, 1, 1), finalist(2, 3, 3), finalist(3, 2, 2)]
    assert order(entered, correct, prefer) == [2, 3, 1]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("accuracy", [1, 2]), ("macro_f1", [2, 1]), ("balanced_accuracy", [2, 1]), ("loss", [2, 1])],
)
def test_the_metric_of_the_study_orders_the_final(metric, expected):
    # Of 100 images 90 are of class 0. Trial 1 never says 1; trial 2 does, wrongly on 15 of class 0 and rightly on all
    # of class 1, and it is less sure where it is wrong.
    labels = np.array([0] * 90 + [1] * 10)
    constant = np.zeros((100, 2), dtype=np.int64)
    careful = np.repeat(np.array([1] * 15 + [0] * 75 + [1] * 10)[:, None], 2, axis=1)
    losses = {1: np.full((100, 2), 0.7), 2: np.full((100, 2), 0.4)}
    predictions = {
        trial: Predictions(metric, labels, predicted, losses[trial], 2)
        for trial, predicted in ((1, constant), (2, careful))
    }
    assert numbers(ordered([finalist(1), finalist(2)], predictions, "accuracy")) == expected


def test_equal_means_leave_the_earlier_trial_first():
    same_mean = right(0.8)
    correct = {3: same_mean, 1: same_mean[::-1], 2: same_mean}
    assert order([finalist(3), finalist(1), finalist(2)], correct) == [1, 2, 3]


@pytest.mark.parametrize(("prefer", "expected"), [("accuracy", [1, 2, 3]), ("small", [2, 1, 3]), ("fast", [1, 2, 3])])
def test_of_two_that_cannot_be_told_apart_the_cheaper_wins_if_preferred(prefer, expected):
    correct = {1: right(0.9), 2: right(0.89), 3: right(0.5)}
    assert correct[1].mean() > correct[2].mean()
    # 2 is the smaller and 1 the faster; 3 is both and far behind.
    assert order([finalist(1, 20, 20), finalist(2, 10, 30), finalist(3, 1, 1)], correct, prefer) == expected


@pytest.mark.parametrize("prefer", PREFERENCES)
def test_the_leader_keeps_its_place_where_it_costs_least_or_as_little(prefer):
    correct = {1: right(0.89), 2: right(0.9), 3: right(0.895)}
    assert correct[2].mean() > correct[3].mean() > correct[1].mean()
    assert order([finalist(1, 30, 30), finalist(2, 20, 20), finalist(3, 20, 20)], correct, prefer) == [2, 3, 1]


def wrong_on(n_images):
    """Networks that agree: wrong on the first images only. The t statistic of k images in 400 is about sqrt(k)."""
    return np.repeat(np.arange(400)[:, None] >= n_images, 3, axis=1)


def test_who_is_tied_with_the_second_alone_does_not_pass_the_leader():
    correct = {1: wrong_on(0), 2: wrong_on(3), 3: wrong_on(6)}
    first, second, third = finalist(1, 30), finalist(2, 20), finalist(3, 10)
    assert order([first, second], correct, "small") == [2, 1]
    assert order([second, third], correct, "small") == [3, 2]
    assert order([first, third], correct, "small") == [1, 3]
    assert order([first, second, third], correct, "small") == [2, 1, 3]


def test_networks_that_never_differ_are_tied():
    same = right(0.8)
    assert order([finalist(1, 20), finalist(2, 10)], {1: same, 2: same}, "small") == [2, 1]


def test_one_seed_tells_nobody_apart():
    correct = {1: right(0.9)[:, :1], 2: right(0.2)[:, :1]}
    assert order([finalist(1, 20), finalist(2, 10)], correct, "small") == [2, 1]
    assert order([finalist(1, 20), finalist(2, 10)], correct, "accuracy") == [1, 2]


@pytest.mark.parametrize("prefer", PREFERENCES)
@pytest.mark.parametrize("share", [0.99, 0.71])
def test_a_baseline_that_breaks_a_limit_comes_last_however_accurate_and_small(share, prefer):
    correct = {0: right(share), 1: right(0.7), 2: right(0.3)}
    assert correct[0].mean() > correct[1].mean()
    too_large = finalist(0, 1, 1, eligible=False, is_baseline=True)
    assert order([too_large, finalist(1, 20, 20), finalist(2, 10, 10)], correct, prefer) == [1, 2, 0]


@pytest.mark.parametrize("prefer", PREFERENCES)
def test_a_single_finalist_leads(prefer):
    assert order([finalist(4)], {4: right(0.5)}, prefer) == [4]


@pytest.mark.parametrize(("n_open", "expected"), [(0, [0, 2, 3]), (1, [0, 2]), (2, [0]), (9, [0])])
def test_certain_are_the_baseline_and_who_stays_among_the_best_whatever_open_trials_score(n_open, expected):
    trials = [baseline_record(0.3), record(1, 0.6), record(2, 0.9), record(3, 0.8), record(4, None, state="running")]
    found = [trial.number for trial in certain(trials, spec(), 2, n_open)]
    assert found == expected
    for scores in ([], [0.95], [0.95, 0.94])[n_open : n_open + 1]:
        later = [*trials[:4], *(record(4 + i, score) for i, score in enumerate(scores))]
        assert set(expected) <= set(numbers(selected(later)))


def test_baseline_that_leads_takes_no_place_of_others_among_the_certain():
    trials = [baseline_record(0.9), record(1, 0.6), record(2, 0.8)]
    assert [trial.number for trial in certain(trials, spec(), 2, 0)] == [0, 2]
    assert [trial.number for trial in certain(trials, spec(), 2, 1)] == [0]


@pytest.mark.parametrize("state", STATES)
def test_baseline_is_certain_however_its_trial_has_ended_or_not(state):
    assert [trial.number for trial in certain([baseline_record(None, state=state)], spec(), 2, 1)] == [0]


def test_nothing_is_certain_in_a_study_that_cannot_be_promoted():
    assert certain([record(1, 0.6)], spec(), 2, 0) == []
    assert certain([baseline_record()], replace(spec(), space={}), 2, 0) == []
