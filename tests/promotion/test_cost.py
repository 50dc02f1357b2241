from dataclasses import replace

import pytest

from sweeper.config import Protocol
from sweeper.promotion.cost import Planned, announced, in_words, of_promotion, seconds
from tests.promotion.test_finalists import BASELINE, baseline_record, configuration, record, spec

# Trials of two epochs each: an epoch takes 5 s for the baseline, 10 s for trial 1, and 20 s for the wide trial 2.
WIDE = configuration(n_filters=8, lr=0.5)
TRIALS = [
    baseline_record(0.5, seconds=10.0),
    record(1, 0.7, seconds=20.0),
    record(2, 0.9, configuration=WIDE, seconds=40.0),
]
ONE = TRIALS[1].configuration


def taken(*planned, workers=1, trials=TRIALS, by=None):
    return seconds(by or spec(), trials, planned, workers)


def test_trainings_take_the_time_of_their_own_trials_epochs():
    assert taken(Planned(ONE, 3), Planned(BASELINE, 3, number=2)) == 3 * 10 + 2 * 3 * 5
    assert taken(Planned(WIDE, 10, size=1.25)) == 10 * 20 * 1.25


def test_a_configuration_that_was_not_tried_takes_the_time_of_those_like_it():
    assert taken(Planned(configuration(n_filters=8, lr=0.4), 1)) == 20
    # It differs from the baseline and from trial 1 in the rate alone.
    assert taken(Planned(configuration(lr=0.4), 1)) == 7.5


def test_workers_share_the_trainings_but_none_is_cut():
    assert taken(Planned(ONE, 1, number=4), workers=2) == 20
    assert taken(Planned(ONE, 1, number=3), workers=2) == 20
    assert taken(Planned(ONE, 1, number=1), workers=8) == 10


def test_trials_that_were_not_timed_tell_nothing():
    untimed = [record(1, 0.7), replace(TRIALS[2], epochs=0), replace(TRIALS[2], configuration=None)]
    assert taken(Planned(ONE, 1), trials=untimed) is None
    assert taken(Planned(ONE, 1), trials=[*untimed, TRIALS[0]]) == 5


def test_trainings_of_a_trial_that_ran_at_once_took_longer_than_the_trial_says():
    several = replace(spec(), protocol=Protocol(repeats=3))
    assert taken(Planned(ONE, 1), by=several) == 10
    # The pruner waits for each training, except for those of the baseline.
    assert taken(Planned(ONE, 2), workers=2, by=several) == 20
    assert taken(Planned(BASELINE, 2), workers=2, by=several) == 2 * 2 * 5
    assert taken(Planned(ONE, 2), workers=2, by=replace(several, pruner="none")) == 2 * 2 * 10


def test_a_promotion_trains_the_best_and_the_baseline_with_fresh_seeds_and_on_all_images():
    protocol = Protocol(epochs=1, validation=0.1, confirm=0.1)
    found = of_promotion(replace(spec(), protocol=protocol), TRIALS, top=2, seeds=3, workers=1)
    assert found == pytest.approx((6 + 1 / 0.8) * (20 + 10 + 5))
    found = of_promotion(replace(spec(), protocol=replace(protocol, confirm=0)), TRIALS, top=1, seeds=1, workers=1)
    assert found == pytest.approx((2 + 1 / 0.9) * (20 + 5))


def test_a_promotion_of_no_trial_takes_no_known_time():
    assert of_promotion(spec(), [record(1, 0.7, feasible=False, seconds=1.0)], top=2, seeds=3, workers=1) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((14, 14, 720, 2), "14 trainings, which take about 12 minutes with 2 workers"),
        ((14, 5, 20, 1), "14 trainings; 5 are left and take less than a minute with 1 worker"),
        ((14, 1, 20, 1), "14 trainings; 1 is left and takes less than a minute with 1 worker"),
        ((14, 1, None, 1), "14 trainings; 1 is left"),
        ((14, 14, None, 2), "14 trainings"),
        ((2_100, 0, None, 2), "2,100 trainings; nothing is left to train"),
    ],
)
def test_trainings_are_announced_with_their_time_if_it_is_known(arguments, words):
    assert announced(*arguments) == words


@pytest.mark.parametrize(
    ("n_seconds", "words"),
    [
        (None, "an unknown time"),
        (20, "less than a minute"),
        (60, "about 1 minute"),
        (89 * 60, "about 89 minutes"),
        (5400, "about 1.5 hours"),
        (86400, "about 24 hours"),
    ],
)
def test_times_are_told_in_words(n_seconds, words):
    assert in_words(n_seconds) == words
