import pytest

from sweeper.engine.concurrency_tuner import ConcurrencyTuner


def climbed(tuner, speed, n_epochs=40, own=lambda trial: 1.0):
    """Trials numbered from 0 that run for ever, each at `speed` of how many run at once, times its own."""
    widths = []
    for _ in range(n_epochs):
        at_once = tuner.at_once
        for trial in range(at_once):
            tuner.record_epoch(trial, speed(at_once) * own(trial), range(at_once))
        widths.append(at_once)
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
    climbed(tuner, speed)
    assert (tuner.at_once, tuner.settled) == (best, True)


def test_slow_trials_that_join_are_not_taken_for_a_loss():
    tuner = ConcurrencyTuner(4)
    climbed(tuner, lambda n: 1.0, own=lambda trial: 1.0 if trial == 0 else 0.01)
    assert tuner.at_once == 4


def test_nothing_is_changed_before_as_many_as_may_run_have_had_an_epoch_of_their_own_since_the_last_change():
    tuner = ConcurrencyTuner(8)
    tuner.record_epoch("a", 100.0, ["a"])
    assert tuner.at_once == 1  # its first epoch
    tuner.record_epoch("a", 100.0, ["a"])
    assert tuner.at_once == 2
    for _ in range(5):
        tuner.record_epoch("a", 10.0, ["a"])
    assert tuner.at_once == 2  # no second trial runs
    for trial in "abb":
        tuner.record_epoch(trial, 90.0, ["a", "b"])
    assert tuner.at_once == 2  # of "a", what it did by itself does not count
    tuner.record_epoch("a", 90.0, ["a", "b"])
    assert tuner.at_once == 4


def test_trials_that_are_pruned_beside_it_do_not_keep_a_trial_from_telling():
    tuner = ConcurrencyTuner(8)
    for epoch in range(40):
        at_once = tuner.at_once
        for trial in ["lasts", *((epoch // 2, n) for n in range(1, at_once))]:
            tuner.record_epoch(trial, min(1.0, 4 / at_once), ["lasts", *((epoch // 2, n) for n in range(1, at_once))])
    assert (tuner.at_once, tuner.settled) == (4, True)


@pytest.mark.parametrize("n_epochs", [1, 2])
def test_trials_of_which_none_lasts_are_not_compared_with_others(n_epochs):
    tuner = ConcurrencyTuner(8)
    for number in range(60):
        trials = [(number, n) for n in range(tuner.at_once)]
        for trial in trials * n_epochs:
            tuner.record_epoch(trial, 100.0 / (1 + number), trials)
    assert tuner.at_once == 8


def test_nothing_is_changed_while_a_trial_from_before_may_yet_tell():
    tuner = ConcurrencyTuner(8)
    for _ in range(2):
        tuner.record_epoch("slow", 10.0, ["slow"])
    for _ in range(5):
        for trial in "bc":
            tuner.record_epoch(trial, 90.0, ["slow", trial])
    assert tuner.at_once == 2
    for _ in range(2):
        tuner.record_epoch("slow", 5.0, ["slow", "d"])
    assert (tuner.at_once, tuner.settled) == (1, True)


def test_what_brought_too_little_is_taken_back_whatever_the_most():
    tuner = ConcurrencyTuner(6)
    climbed(tuner, lambda n: min(1.0, 4 / n))
    assert (tuner.at_once, tuner.settled) == (4, True)


def test_one_at_most_is_one():
    tuner = ConcurrencyTuner(1)
    climbed(tuner, lambda n: 1.0, 3)
    assert tuner.at_once == 1
