import numpy as np
import pytest

from sweeper.evaluation import bootstrap, statistics
from sweeper.evaluation.metrics import balanced_accuracy, macro_f1


def simulated(generator, n_per_class, n_seeds, skill=1.0):
    """Labels and predictions (images, seeds): images differ in difficulty, and seeds in skill."""
    labels = np.repeat(np.arange(len(n_per_class)), n_per_class)
    difficulty = generator.normal(0, 1, (len(labels), 1))
    luck = generator.normal(0, 0.3, (1, n_seeds))
    right = skill + luck - difficulty + generator.normal(0, 1, (len(labels), n_seeds)) > 0
    wrong = generator.integers(1, len(n_per_class), right.shape)
    return labels, np.where(right, labels[:, None], (labels[:, None] + wrong) % len(n_per_class))


@pytest.mark.parametrize(("metric", "score"), [("macro_f1", macro_f1), ("balanced_accuracy", balanced_accuracy)])
def test_value_is_the_mean_over_seeds_of_the_metric_itself(metric, score):
    labels, predictions = simulated(np.random.default_rng(0), (50, 20, 5), 3)
    _, others = simulated(np.random.default_rng(1), (50, 20, 5), 3, skill=0.2)
    means = [np.mean([score(labels, column, 3) for column in one.T]) for one in (predictions, others)]
    assert bootstrap.over_seeds_and_images(metric, labels, predictions, 3).value == pytest.approx(means[0])
    difference = bootstrap.over_seeds_and_images(metric, labels, predictions, 3, minus=others)
    assert difference.value == pytest.approx(means[0] - means[1])
    alone = bootstrap.over_images(metric, labels, predictions[:, 0], 3)
    assert alone.value == pytest.approx(score(labels, predictions[:, 0], 3))


def test_of_equal_classes_the_bootstrap_gives_what_the_analysis_of_variance_gives():
    # With as many images in each class, the balanced accuracy is the accuracy. The classes are equally difficult, so
    # that resampling class by class is no different.
    labels, predictions = simulated(np.random.default_rng(5), (400, 400), 4)
    by_formula = statistics.over_seeds_and_images(predictions == labels[:, None])
    estimate = bootstrap.over_seeds_and_images("balanced_accuracy", labels, predictions, 2)
    assert estimate.value == pytest.approx(by_formula.value)
    assert estimate.standard_error == pytest.approx(by_formula.standard_error, rel=0.03)
    assert estimate.degrees_of_freedom == pytest.approx(by_formula.degrees_of_freedom, rel=0.1)


def test_class_of_few_images_has_the_variance_of_its_share():
    # Recalls 4/5 and 1: the unbiased variance of a recall is r (1 - r) / (n - 1), a quarter of it for the mean of two.
    labels = np.array([0] * 5 + [1] * 50)
    predictions = np.array([0, 0, 0, 0, 1] + [1] * 50)
    estimate = bootstrap.over_images("balanced_accuracy", labels, predictions, 2)
    assert estimate.standard_error == pytest.approx(np.sqrt(0.8 * 0.2 / 4 / 4), rel=0.05)


@pytest.mark.parametrize("metric", list(bootstrap.METRICS))
def test_same_predictions_give_the_same_estimate_again(metric):
    labels, predictions = simulated(np.random.default_rng(7), (30, 12), 3)
    first, again = (bootstrap.over_seeds_and_images(metric, labels, predictions, 2) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("metric", list(bootstrap.METRICS))
@pytest.mark.parametrize("n_seeds", [2, 3])
def test_predictions_that_do_not_vary_have_no_interval(metric, n_seeds):
    labels = np.array([0] * 19 + [1] * 7 + [2])
    constant = np.zeros((27, n_seeds), dtype=int)
    assert bootstrap.over_seeds_and_images(metric, labels, constant, 3).standard_error is None
    assert bootstrap.over_images(metric, labels, constant[:, 0], 3).standard_error is None
    _, predictions = simulated(np.random.default_rng(2), (19, 7, 1), n_seeds)
    difference = bootstrap.over_seeds_and_images(metric, labels, predictions, 3, minus=predictions)
    assert (difference.value, difference.standard_error) == (0.0, None)


def test_one_seed_gives_a_value_alone():
    labels, predictions = simulated(np.random.default_rng(7), (30, 12), 1)
    assert bootstrap.over_seeds_and_images("macro_f1", labels, predictions, 2).standard_error is None


@pytest.mark.parametrize("metric", list(bootstrap.METRICS))
def test_the_interval_covers_other_seeds_and_images_about_as_often_as_it_says(metric, monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 200)
    n_per_class, n_seeds, repeats = (120, 60, 30), 3, 200
    generator = np.random.default_rng(11)
    truth = np.mean(
        [
            bootstrap.METRICS[metric](labels, predictions[:, 0], 3)
            for labels, predictions in (simulated(generator, (240, 120, 60), 1) for _ in range(400))
        ]
    )
    covered = 0
    for _ in range(repeats):
        labels, predictions = simulated(generator, n_per_class, n_seeds)
        low, high = bootstrap.over_seeds_and_images(metric, labels, predictions, 3).interval()
        covered += low <= truth <= high
    # 95 % -+ 3 standard errors of 200 repetitions.
    assert 0.904 <= covered / repeats <= 0.996
