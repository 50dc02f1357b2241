"""`sweeper promote --trial N`: the trials that the user names are promoted, whatever their scores."""

import pytest

from sweeper.errors import UsageError
from sweeper.promotion.finalists import check_numbers, select
from tests.promotion.test_finalists import CLASSES, SHAPE, record, spec

TRIALS = [record(0, 0.3, variant="baseline"), record(1, 0.9), record(2, 0.5), record(3, None, state="pruned")]


def chosen(*numbers):
    return [finalist.trial for finalist in select(TRIALS, spec(), 2, SHAPE, CLASSES, numbers)]


def test_named_trials_are_selected_best_first_with_the_baseline():
    assert chosen(2) == [2, 0]
    assert chosen(3, 2) == [2, 3, 0]


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        (record(4, state="failed"), "a trial to promote must be complete or pruned, trial 4 is failed (--trial)"),
        (record(4, state="running"), "trial 4 is running (--trial)"),
        (record(4, state="pruned", feasible=False), "trial 4 cannot be promoted"),
    ],
)
def test_trial_that_cannot_be_promoted_is_named(trial, message):
    with pytest.raises(UsageError) as error:
        check_numbers([*TRIALS, trial], [4], "mine")
    assert message in str(error.value)


def test_unknown_number_is_named():
    with pytest.raises(UsageError, match=r"study mine has no trial 9 \(--trial\)"):
        check_numbers(TRIALS, [0, 9], "mine")
    with pytest.raises(UsageError, match=r"`sweeper trials 'my own' --store /s` lists its trials"):
        check_numbers(TRIALS, [9], "my own", " --store /s")


def test_named_trial_is_promoted_recorded_and_shown_again(workplace):
    workplace.search("named")
    first = workplace.promoted("named", "--trial", 1, "--seeds", 1)

    shown = workplace.promote("named")
    refused = workplace.promote("named", "--trial", 2, "--test", code=2)

    assert {finalist["trial"] for finalist in first["finalists"]} == {0, 1}
    assert first["options"] == {"trials": [1], "seeds": 1, "prefer": "accuracy"}
    assert "was promoted before with --trial 1 --seeds 1" in shown.stderr
    assert "better trials since" not in shown.stderr
    assert "was promoted with --trial 1 --seeds 1 --prefer accuracy, this command has --trial 2" in refused.stderr


def test_top_and_trial_contradict_each_other(workplace):
    assert "one of --top and --trial" in workplace.promote("--top", 2, "--trial", 1, code=2).stderr
