import numpy as np
import optuna
import pytest

from sweeper.studies.pruners import LEAST_IMAGES, PRUNERS, chosen, is_reason, make_pruner, reason, standard_error

# The standard deviation of the accuracy among configurations after an epoch, as pruners.py assumes it.
SPREAD = 0.045


def share_of_studies_that_prune_the_best(n_images, n_studies=4000, n_trials=20):
    """How often asynchronous halving prunes the truly best configuration at its first rung, with one worker."""
    rng = np.random.default_rng(0)
    accuracies = rng.normal(0.6, SPREAD, (n_studies, n_trials))
    scores = rng.binomial(n_images, accuracies) / n_images
    best = accuracies.argmax(axis=1)
    n_lost = 0
    for place, own in zip(best, scores, strict=True):
        n_better = (own[: place + 1] > own[place]).sum()
        n_lost += n_better >= max((place + 1) // 3, 1)
    return n_lost / n_studies


def test_from_the_least_number_of_images_on_halving_hardly_ever_prunes_the_best_by_noise():
    assert standard_error(LEAST_IMAGES) == pytest.approx(SPREAD / 2, rel=0.01)
    assert share_of_studies_that_prune_the_best(LEAST_IMAGES) < 0.05
    assert share_of_studies_that_prune_the_best(120) > 0.13
    assert share_of_studies_that_prune_the_best(30) > 0.25


@pytest.mark.parametrize(("n_images", "pruner"), [(1, "none"), (499, "none"), (500, "halving"), (6000, "halving")])
def test_pruner_is_chosen_by_the_number_of_images_that_score_a_trial(n_images, pruner):
    assert chosen(n_images) == pruner


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_is_made(name):
    assert isinstance(make_pruner(name, 15), optuna.pruners.BasePruner)


@pytest.mark.parametrize("name", [name for name in PRUNERS if name != "none"])
def test_reason_of_every_pruner_says_after_which_epoch_and_is_known_as_one(name):
    text = reason(name, 3, "epoch")
    assert text.startswith("pruner: not ")
    assert text.endswith(" after epoch 3")
    assert is_reason(text)


def test_reason_that_an_older_sweeper_stored_is_known_and_others_are_not():
    assert is_reason("pruner")
    assert not is_reason("diverged: the loss is nan")
    assert not is_reason("")
