import heapq
import random
from collections import Counter

import pytest

from sweeper.engine.concurrency_tuner import LEAST_GAIN, ConcurrencyTuner

# Simulated sweeps for each GPU and noise, by seed.
N_SWEEPS = 60


def sweep(tuner, speed, *, n_trials, lasts=lambda trial: 10**6, own=lambda trial: 1.0, noise=lambda: 1.0):
    """Runs trials, numbered from 0, until the tuner has settled or all have begun; as many at once as it says.

    `speed` is a trial's, of how many run; `own` is the seconds of its epochs, by itself, and `lasts` their number.
    Returns how many ran at each epoch's end.
    """
    left, ends, widths, now, n_begun = {}, [], [], 0.0, 0

    def begin():
        nonlocal n_begun
        while len(left) < tuner.at_once and n_begun < n_trials:
            left[n_begun] = lasts(n_begun)
            go_on(n_begun)
            n_begun += 1

    def go_on(trial):
        heapq.heappush(ends, (now + own(trial) * noise() / speed(len(left)), trial))

    begin()
    while ends and not tuner.settled:
        now, trial = heapq.heappop(ends)
        widths.append(len(left))
        tuner.record_epoch(trial, now, list(left))
        left[trial] -= 1
        if left[trial]:
            go_on(trial)
        else:
            del left[trial]
        begin()
    return widths


@pytest.mark.parametrize(
    ("best", "speed"),
    [
        (16, lambda n: 1.0),  # the card is never full
        (8, lambda n: min(1.0, 8 / n)),
        (8, lambda n: min(1.0, 5 / n)),  # five at full speed: a quarter more than four, then nothing
        (4, lambda n: min(1.0, 4.2 / n)),  # a twentieth more than four is too little
        (1, lambda n: 1 / n),
        (1, lambda n: 0.4 if n > 1 else 1.0),
    ],
)
def test_as_many_as_gain_are_trained_at_once(best, speed):
    tuner = ConcurrencyTuner(16)
    sweep(tuner, speed, n_trials=16)
    assert (tuner.at_once, tuner.settled) == (best, True)


@pytest.mark.parametrize(("noise", "most_wrong"), [(0.05, 0.1), (0.15, 0.3)])
@pytest.mark.parametrize("best", [1, 4, 8])
def test_under_noise_it_seldom_settles_too_high_and_never_far_too_high(best, noise, most_wrong):
    """Epochs that vary by 5 or 15 %, trials that differ in speed, and of which most are pruned early."""
    found = Counter()
    for seed in range(N_SWEEPS):
        drawn = random.Random(seed)
        tuner = ConcurrencyTuner(32)
        sweep(
            tuner,
            lambda n: min(1.0, best / n),
            n_trials=128,
            lasts=lambda trial, drawn=drawn: 15 if trial == 0 or drawn.random() < 0.4 else drawn.choice([1, 1, 2, 4]),
            own=lambda trial, seed=seed: random.Random(f"{seed} {trial}").lognormvariate(0, 0.5),
            noise=lambda drawn=drawn: drawn.lognormvariate(0, noise),
        )
        found[tuner.at_once] += 1
    n_too_high = sum(number for at_once, number in found.items() if at_once > best)
    assert n_too_high <= most_wrong * N_SWEEPS, found
    assert found[best] >= 0.7 * N_SWEEPS, found
    assert max(found) <= 4 * best, found


def test_what_happens_between_epochs_counts():
    """Steps alone would be as fast as ever: validation and the coordinator are what is full."""
    tuner = ConcurrencyTuner(8)
    sweep(tuner, lambda n: 1.0, n_trials=8, own=lambda trial: 1.0, noise=lambda: 1.0 * tuner.at_once)
    assert (tuner.at_once, tuner.settled) == (1, True)


def test_one_slow_epoch_does_not_decide():
    tuner = ConcurrencyTuner(2)
    for now in (0, 10, 20):
        tuner.record_epoch("a", now, ["a"])
    assert tuner.at_once == 2
    for trial, now in [("a", 30), ("b", 31), ("a", 52), ("b", 41)]:  # 22 seconds instead of 10
        tuner.record_epoch(trial, now, ["a", "b"])
    assert not tuner.settled
    for trial, now in [("b", 51), ("a", 62)]:
        tuner.record_epoch(trial, now, ["a", "b"])
    assert (tuner.at_once, tuner.settled) == (2, True)
    assert 2 * 10 / ((22 + 10) / 2) > LEAST_GAIN > 2 * 10 / 22


def test_slow_trials_that_join_are_not_taken_for_a_loss():
    tuner = ConcurrencyTuner(4)
    sweep(tuner, lambda n: 1.0, n_trials=4, own=lambda trial: 1.0 if trial == 0 else 100.0)
    assert tuner.at_once == 4


def test_epoch_that_may_have_begun_before_a_change_or_beside_fewer_is_not_counted():
    tuner = ConcurrencyTuner(8)
    for now in (0, 10, 20):
        tuner.record_epoch("a", now, ["a"])
    assert tuner.at_once == 2
    for now in range(30, 100, 10):
        tuner.record_epoch("a", now, ["a"])
    assert tuner.at_once == 2  # no second trial runs
    for trial, now in [("a", 500), ("b", 500), ("a", 511), ("b", 511)]:  # the first of these tell nothing
        tuner.record_epoch(trial, now, ["a", "b"])
    assert tuner.at_once == 2  # one reading each
    for trial, now in [("a", 522), ("b", 522)]:
        tuner.record_epoch(trial, now, ["a", "b"])
    assert tuner.at_once == 4


def test_trials_that_are_pruned_beside_it_do_not_keep_a_trial_from_telling():
    tuner = ConcurrencyTuner(8)
    sweep(tuner, lambda n: min(1.0, 4 / n), n_trials=200, lasts=lambda trial: 1000 if trial == 0 else 2)
    assert (tuner.at_once, tuner.settled) == (4, True)


@pytest.mark.parametrize("n_epochs", [1, 2])
def test_trials_of_which_none_lasts_are_not_compared_with_others(n_epochs):
    tuner = ConcurrencyTuner(8)
    sweep(tuner, lambda n: 1.0, n_trials=200, lasts=lambda trial: n_epochs, own=lambda trial: 1.0 + trial)
    assert tuner.at_once == 8


def test_nothing_is_changed_while_a_trial_from_before_may_yet_tell():
    tuner = ConcurrencyTuner(8)
    for now in (0, 10, 20):
        tuner.record_epoch("slow", now, ["slow"])
    assert tuner.at_once == 2
    for number in range(12):
        tuner.record_epoch("quick", 20 + number, ["slow", "quick"])
    assert tuner.at_once == 2
    for now in (40, 60, 80):
        tuner.record_epoch("slow", now, ["slow", "quick"])
    assert (tuner.at_once, tuner.settled) == (1, True)


def test_what_brought_too_little_is_taken_back_whatever_the_most():
    tuner = ConcurrencyTuner(6)
    sweep(tuner, lambda n: min(1.0, 4 / n), n_trials=6)
    assert (tuner.at_once, tuner.settled) == (4, True)


def test_one_at_most_is_one():
    tuner = ConcurrencyTuner(1)
    assert sweep(tuner, lambda n: 1.0, n_trials=3) == []
    assert (tuner.at_once, tuner.settled) == (1, True)
