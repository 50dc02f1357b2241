import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from sweeper.evaluation.statistics import Estimate, PairedTest
from sweeper.promotion.comparisons import (
    Comparison,
    bounded,
    compare_configurations,
    compare_networks,
    family,
    shrinkage,
)
from sweeper.promotion.predictions import Predictions
from tests.promotion.finals import (
    BASELINE,
    FIRST,
    N_IMAGES,
    SECOND,
    comparison,
    finalist,
    networks,
    predictions_of,
)


def networks_compared(order, correct):
    return compare_networks(order, {trial: predictions_of(right) for trial, right in correct.items()})


def configurations_compared(part, order, correct):
    return compare_configurations(part, order, {trial: predictions_of(right) for trial, right in correct.items()})


def roles(order):
    return [(role, other.trial) for role, other in family(order)]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([FIRST, SECOND, BASELINE], [("baseline", 0), ("challenger", 5)]),
        ([FIRST, BASELINE, SECOND], [("baseline", 0)]),
        ([FIRST, BASELINE], [("baseline", 0)]),
        ([BASELINE, FIRST, SECOND], [("challenger", 3)]),
        ([FIRST, SECOND, finalist(7), BASELINE, finalist(8)], [("baseline", 0), ("challenger", 5)]),
        ([BASELINE], []),
    ],
)
def test_the_champion_is_compared_with_the_baseline_and_the_challenger_each_once(order, expected):
    assert roles(order) == expected


def p_of(b, c):
    return PairedTest(b, c, N_IMAGES).p_value()


def test_trained_networks_are_compared_by_the_images_that_only_one_has_right():
    baseline, challenger = networks_compared([FIRST, SECOND, BASELINE], networks((40, 10), (20, 22)))
    assert (baseline.part, baseline.other, baseline.trials) == ("test", "baseline", (3, 0))
    assert (challenger.part, challenger.other, challenger.trials) == ("test", "challenger", (3, 5))
    assert (baseline.b, baseline.c, baseline.difference) == (40, 10, 0.03)
    assert (challenger.b, challenger.c, challenger.difference) == (20, 22, -0.002)
    assert (baseline.p, challenger.p) == (p_of(40, 10), p_of(20, 22))
    assert baseline.low < baseline.difference < baseline.high


def test_of_two_comparisons_the_clearer_must_pass_at_half_of_alpha_and_the_other_at_alpha():
    # p 0.000018 and 0.041.
    baseline, challenger = networks_compared([FIRST, SECOND, BASELINE], networks((40, 10), (24, 11)))
    assert 0.025 < p_of(24, 11) < 0.05
    assert (baseline.level, challenger.level) == pytest.approx((0.975, 0.95))
    assert (baseline.p_adjusted, challenger.p_adjusted) == pytest.approx((2 * p_of(40, 10), p_of(24, 11)))
    assert (baseline.decided, challenger.decided) == (True, True)
    assert (baseline.low, baseline.high) == PairedTest(40, 10, N_IMAGES).interval(baseline.level)
    assert baseline.detectable == PairedTest(40, 10, N_IMAGES).detectable(baseline.level)


def test_what_one_comparison_alone_would_decide_two_may_not():
    arrays = networks((24, 11), (20, 22))
    (alone,) = networks_compared([FIRST, BASELINE], arrays)
    assert (alone.decided, alone.level) == (True, pytest.approx(0.95))
    assert alone.low > 0
    baseline, challenger = networks_compared([FIRST, SECOND, BASELINE], arrays)
    assert (baseline.level, challenger.level) == pytest.approx((0.975, 0.975))
    assert (baseline.decided, challenger.decided) == (False, False)
    assert baseline.low < 0 < baseline.high


def test_a_test_can_decide_against_the_champion():
    (comparison,) = networks_compared([FIRST, BASELINE], networks((10, 40)))
    assert comparison.decided
    assert comparison.high < 0
    assert comparison.difference == -0.03


def test_networks_that_are_right_on_the_same_images_cannot_be_told_apart():
    (comparison,) = networks_compared([FIRST, BASELINE], networks((0, 0)))
    assert (comparison.p, comparison.p_adjusted, comparison.decided) == (1.0, 1.0, False)
    assert (comparison.b, comparison.c, comparison.difference, comparison.detectable) == (0, 0, 0.0, None)


def test_nothing_is_decided_without_both_p_value_and_interval():
    decided = set()
    for b in range(30):
        for c in range(0, 30, 3):
            for order in ([FIRST, BASELINE], [FIRST, SECOND, BASELINE]):
                comparison = networks_compared(order, networks((b, c), (7, 7)))[0]
                assert -1 <= comparison.low <= comparison.difference <= comparison.high <= 1
                if comparison.decided:
                    assert comparison.p_adjusted <= 0.05
                    assert not comparison.low <= 0 <= comparison.high
                else:
                    assert comparison.p_adjusted > 0.05 or comparison.low <= 0 <= comparison.high
                decided.add((comparison.decided, comparison.difference > 0))
    assert decided == {(True, True), (True, False), (False, True), (False, False)}


def configurations(shares, n_images=300, n_seeds=3, seed=0):
    """Results by trial: whether each network (column) is right on each image (row), with these probabilities."""
    hard = np.random.default_rng(seed).random((n_images, 1))
    noise = np.random.default_rng(seed + 1).random((n_images, n_seeds, len(shares)))
    return {trial: (0.5 * hard + 0.5 * noise[:, :, i]) < share for i, (trial, share) in enumerate(shares.items())}


def test_configurations_are_compared_over_seeds_and_images():
    correct = configurations({3: 0.8, 5: 0.79, 0: 0.6})
    baseline, challenger = configurations_compared("confirm", [FIRST, SECOND, BASELINE], correct)
    assert (baseline.part, baseline.other, baseline.trials) == ("confirm", "baseline", (3, 0))
    assert (challenger.part, challenger.other, challenger.trials) == ("confirm", "challenger", (3, 5))
    assert baseline.difference == pytest.approx(correct[3].mean() - correct[0].mean())
    assert challenger.difference == pytest.approx(correct[3].mean() - correct[5].mean())
    assert (baseline.decided, challenger.decided) == (True, False)
    assert (baseline.level, challenger.level) == pytest.approx((0.975, 0.95))
    assert (baseline.b, baseline.c) == (None, None)
    assert baseline.low > 0
    assert challenger.low < 0 < challenger.high
    assert 0 < baseline.detectable < 1


def test_a_configuration_can_be_decided_to_be_worse_than_the_baseline():
    (comparison,) = configurations_compared("confirm", [FIRST, BASELINE], configurations({3: 0.6, 0: 0.8}))
    assert comparison.decided
    assert comparison.high < 0


@pytest.mark.parametrize("order", [[FIRST, BASELINE], [FIRST, SECOND, BASELINE]])
def test_interval_and_decision_on_configurations_never_contradict_each_other(order):
    seen = set()
    for seed in range(150):
        shares = {3: 0.75, 5: 0.70, 0: 0.68}
        correct = configurations(shares, n_images=60 + seed, n_seeds=2 + seed % 3, seed=2 * seed)
        for compared in configurations_compared("validation", order, correct):
            assert compared.decided == (not compared.low <= 0 <= compared.high)
            assert compared.decided == (compared.p_adjusted <= 0.05)
            seen.add(compared.decided)
    assert seen == {True, False}


def test_one_seed_gives_a_difference_alone():
    correct = configurations({3: 0.9, 0: 0.4}, n_seeds=1)
    (comparison,) = configurations_compared("confirm", [FIRST, BASELINE], correct)
    assert comparison.difference == pytest.approx(correct[3].mean() - correct[0].mean())
    assert (comparison.low, comparison.high, comparison.p, comparison.p_adjusted) == (None, None, None, None)
    assert (comparison.decided, comparison.detectable) == (False, None)


@pytest.mark.parametrize("missing", [0, 5])
def test_a_comparison_without_a_p_value_still_counts_in_the_family(missing):
    right = np.ones((400, 3), dtype=bool)
    worse = right.copy()
    worse[:4] = False  # t = 2.0 with 399 degrees of freedom
    correct = {3: right, 0: worse, 5: worse} | {missing: right}
    compared = configurations_compared("confirm", [FIRST, SECOND, BASELINE], correct)
    without, other = sorted(compared, key=lambda comparison: comparison.p is not None)
    assert without.trials == (3, missing)
    assert (without.p, without.p_adjusted, without.low, without.high) == (None, None, None, None)
    assert (without.difference, without.decided, without.detectable) == (0, False, None)
    # Alone it would be decided, as one of two it is not.
    assert 0.025 < other.p < 0.05
    assert other.p_adjusted == 2 * other.p
    assert other.level == pytest.approx(0.975)
    assert not other.decided
    assert other.low < 0 < other.high


def swapping(n_images):
    """Two networks each that are right in turns, so that the images hardly vary: almost no degrees of freedom."""
    champion = np.tile([[True, False], [False, True]], (n_images // 2, 1))
    champion[0] = True
    baseline = ~champion
    return {3: champion, 0: baseline}


def test_an_interval_of_a_difference_is_cut_at_minus_one_and_one():
    (comparison,) = configurations_compared("confirm", [FIRST, BASELINE], swapping(10))
    assert (comparison.low, comparison.high, comparison.decided) == (-1.0, 1.0, False)


@pytest.mark.parametrize("n_images", [4, 10, 1000, 5000])
def test_no_difference_beyond_one_is_called_detectable_and_none_is_free(n_images):
    (comparison,) = configurations_compared("confirm", [FIRST, BASELINE], swapping(n_images))
    # Differences of accuracies end at 1: what only a larger one would show, none shows.
    assert comparison.detectable is None or 0 < comparison.detectable <= 1


def all_comparisons():
    order = [FIRST, SECOND, BASELINE]
    yield from networks_compared(order, networks((40, 10), (0, 0)))
    for n_seeds in (1, 3):
        yield from configurations_compared("confirm", order, configurations({3: 0.8, 5: 0.8, 0: 0.6}, n_seeds=n_seeds))
    same = configurations({3: 0.8})[3]
    yield from configurations_compared("validation", order, {3: same, 5: same, 0: ~same})
    for n_images in (4, 1000, 5000):
        yield from configurations_compared("confirm", [FIRST, BASELINE], swapping(n_images))


def test_comparisons_are_json_without_nan_and_come_back_as_they_were():
    for compared in all_comparisons():
        described = json.loads(json.dumps(compared.as_json(), allow_nan=False))
        assert list(described)[:2] == ["first", "second"]
        assert described.pop("first") == "champion"
        again = Comparison(other=described.pop("second"), **described)
        assert replace(again, trials=tuple(again.trials)) == compared


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        # The two-sided 5 % point of t with 10 degrees of freedom is 2.228.
        (Estimate(0.9, 0.01, 10.0), (0.87772, 0.92228)),
        (Estimate(0.99, 0.01, 10.0), (0.96772, 1.0)),
        (Estimate(0.01, 0.01, 10.0), (0.0, 0.03228)),
        (Estimate(0.5, 1.0, 10.0), (0.0, 1.0)),
        (Estimate(0.9, None, None), (None, None)),
    ],
)
def test_an_interval_of_an_accuracy_is_cut_at_zero_and_one(estimate, expected):
    assert bounded(estimate) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("confirmed", "luck"), [(0.012, 0.018), (0.03, 0.0), (0.05, -0.02), (-0.01, 0.04)])
def test_shrinkage_is_the_lead_in_the_search_less_the_lead_on_the_confirm_part(confirmed, luck):
    compared = [comparison(other="challenger", difference=0.5), comparison(difference=confirmed)]
    # 0.93 - 0.90 in the search.
    assert shrinkage([FIRST, SECOND, BASELINE], compared) == pytest.approx(luck)


def in_metric(metric, shares, n_seeds=3):
    """Networks on 300 images of three classes, which are right with these probabilities, by trial."""
    generator = np.random.default_rng(4)
    labels = np.repeat([0, 0, 0, 1, 1, 2], 50)
    found = {}
    for trial, share in shares.items():
        right = generator.random((300, n_seeds)) < share
        predicted = np.where(right, labels[:, None], (labels[:, None] + 1) % 3)
        found[trial] = Predictions(metric, labels, predicted, np.where(right, 0.2, 1.5 - share), 3)
    return found


@pytest.mark.parametrize("metric", ["macro_f1", "balanced_accuracy", "loss"])
@pytest.mark.parametrize("part", ["confirm", "test"])
def test_comparisons_are_in_the_metric_of_the_study(metric, part):
    order, found = (
        [FIRST, SECOND, BASELINE],
        in_metric(metric, {3: 0.9, 5: 0.89, 0: 0.6}, 3 if part == "confirm" else 1),
    )
    compared = compare_configurations(part, order, found) if part == "confirm" else compare_networks(order, found)
    baseline, challenger = compared
    assert baseline.difference == pytest.approx(found[3].scores().mean() - found[0].scores().mean())
    assert (baseline.metric, baseline.b, baseline.c) == (metric, None, None)
    assert baseline.decided
    assert baseline.champion_leads
    assert (baseline.difference < 0) == (metric == "loss")
    assert baseline.low < baseline.difference < baseline.high
    assert not challenger.decided
    assert Comparison(**json.loads(json.dumps(asdict(baseline)))).metric == metric


def test_a_difference_of_losses_may_be_larger_than_one():
    found = {
        trial: Predictions("loss", np.zeros(20, dtype=int), np.zeros((20, 2), dtype=int), losses, 2)
        for trial, losses in ((3, np.full((20, 2), 0.5)), (0, 6.0 + np.arange(40).reshape(20, 2) / 10))
    }
    (compared,) = compare_configurations("confirm", [FIRST, BASELINE], found)
    assert compared.low < compared.difference < -5
    assert bounded(found[0].estimate(), "loss")[1] > 7


def test_lead_that_has_shrunk_in_a_loss_is_above_zero_as_in_an_accuracy():
    # In the search 0.30 below the baseline, on the confirm part 0.20.
    order = [finalist(3, 0.4), finalist(0, 0.7, is_baseline=True)]
    assert shrinkage(order, [comparison(difference=-0.2, metric="loss")]) == pytest.approx(0.1)
