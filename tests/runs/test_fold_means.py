import math

import pytest

from sweeper.runs.fold_means import last_epochs, mean_epochs, mean_of
from tests.engine.fakes import metrics


def test_single_training_has_its_own_figures_and_no_spread():
    assert mean_of([{"a": 2.0, "b": 3.0}]) == {"a": 2.0, "b": 3.0}


def test_several_trainings_have_mean_and_sample_standard_deviation():
    assert mean_of([{"a": 1.0}, {"a": 3.0}]) == {"a": 2.0, "a_sd": pytest.approx(math.sqrt(2))}


def test_figure_that_some_lack_is_averaged_over_the_others_and_has_no_spread_of_one():
    found = mean_of([{"a": 1.0, "precision": 0.5}, {"a": 1.0}])
    assert found["precision"] == 0.5
    assert math.isnan(found["precision_sd"])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_has_no_spread_and_raises_nothing(value):
    assert math.isnan(mean_of([{"a": value}, {"a": 1.0}])["a_sd"])


def test_training_that_ended_early_counts_with_its_last_epoch_in_the_means_of_later_ones():
    long, short = [metrics(epoch, 0.1 * epoch) for epoch in (1, 2, 3)], [metrics(1, 0.5)]
    found = mean_epochs([long, short])
    assert [epoch["epoch"] for epoch in found] == [1, 2, 3]
    assert [epoch["validation_accuracy"] for epoch in found] == pytest.approx([0.3, 0.35, 0.4])
    assert found[-1]["validation_accuracy"] == pytest.approx(last_epochs([long, short])["validation_accuracy"])
    assert not any(name.endswith("_sd") for epoch in found for name in epoch)
    assert mean_epochs([]) == []


def test_last_epochs_are_each_trainings_own_and_all_seconds_count():
    found = last_epochs([[metrics(1, 0.1), metrics(2, 0.4)], [metrics(1, 0.6)]])
    assert found["validation_accuracy"] == pytest.approx(0.5)
    assert found["epoch"] == pytest.approx(1.5)
    assert found["training_seconds"] == pytest.approx(0.3)
