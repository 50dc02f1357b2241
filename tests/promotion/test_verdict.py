import json
import re
from dataclasses import replace

import numpy as np
import pytest

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.evaluation.statistics import Estimate, PairedTest
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.verdict import (
    Comparison,
    bounded,
    compare_configurations,
    compare_networks,
    family,
    on_configurations,
    on_networks,
    shrinkage,
)


def finalist(trial, search_accuracy=0.9, *, is_baseline=False):
    return Finalist(
        trial=trial,
        configuration=Configuration(ConvNetConfig(), TrainConfig()),
        params={},
        epochs=15,
        is_baseline=is_baseline,
        eligible=True,
        score=None if search_accuracy is None else 1 - search_accuracy,  # as a loss: no accuracy
        search_accuracy=search_accuracy,
        n_parameters=10,
        n_multiply_adds=10,
    )


BASELINE = finalist(0, 0.90, is_baseline=True)
FIRST, SECOND = finalist(3, 0.93), finalist(5, 0.92)


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


N_IMAGES = 1000


def beside(champion, b, c):
    """A network that has `b` images less right than the champion, and `c` others more."""
    other = champion.copy()
    other[np.flatnonzero(champion)[:b]] = False
    other[np.flatnonzero(~champion)[:c]] = True
    return other


def networks(baseline=(0, 0), challenger=(0, 0)):
    """Test results of champion, challenger and baseline, by trial, from the two (b, c)."""
    champion = np.arange(N_IMAGES) < 800
    return {3: champion, 0: beside(champion, *baseline), 5: beside(champion, *challenger)}


def p_of(b, c):
    return PairedTest(b, c, N_IMAGES).p_value()


def test_trained_networks_are_compared_by_the_images_that_only_one_has_right():
    baseline, challenger = compare_networks([FIRST, SECOND, BASELINE], networks((40, 10), (20, 22)))
    assert (baseline.part, baseline.other, baseline.trials) == ("test", "baseline", (3, 0))
    assert (challenger.part, challenger.other, challenger.trials) == ("test", "challenger", (3, 5))
    assert (baseline.b, baseline.c, baseline.difference) == (40, 10, 0.03)
    assert (challenger.b, challenger.c, challenger.difference) == (20, 22, -0.002)
    assert (baseline.p, challenger.p) == (p_of(40, 10), p_of(20, 22))
    assert baseline.low < baseline.difference < baseline.high


def test_of_two_comparisons_the_clearer_must_pass_at_half_of_alpha_and_the_other_at_alpha():
    # p 0.000018 and 0.041.
    baseline, challenger = compare_networks([FIRST, SECOND, BASELINE], networks((40, 10), (24, 11)))
    assert 0.025 < p_of(24, 11) < 0.05
    assert (baseline.level, challenger.level) == pytest.approx((0.975, 0.95))
    assert (baseline.p_adjusted, challenger.p_adjusted) == pytest.approx((2 * p_of(40, 10), p_of(24, 11)))
    assert (baseline.decided, challenger.decided) == (True, True)
    assert (baseline.low, baseline.high) == PairedTest(40, 10, N_IMAGES).interval(baseline.level)
    assert baseline.detectable == PairedTest(40, 10, N_IMAGES).detectable(baseline.level)


def test_what_one_comparison_alone_would_decide_two_may_not():
    arrays = networks((24, 11), (20, 22))
    (alone,) = compare_networks([FIRST, BASELINE], arrays)
    assert (alone.decided, alone.level) == (True, pytest.approx(0.95))
    assert alone.low > 0
    baseline, challenger = compare_networks([FIRST, SECOND, BASELINE], arrays)
    assert (baseline.level, challenger.level) == pytest.approx((0.975, 0.975))
    assert (baseline.decided, challenger.decided) == (False, False)
    assert baseline.low < 0 < baseline.high


def test_a_test_can_decide_against_the_champion():
    (comparison,) = compare_networks([FIRST, BASELINE], networks((10, 40)))
    assert comparison.decided
    assert comparison.high < 0
    assert comparison.difference == -0.03


def test_networks_that_are_right_on_the_same_images_cannot_be_told_apart():
    (comparison,) = compare_networks([FIRST, BASELINE], networks((0, 0)))
    assert (comparison.p, comparison.p_adjusted, comparison.decided) == (1.0, 1.0, False)
    assert (comparison.b, comparison.c, comparison.difference, comparison.detectable) == (0, 0, 0.0, None)


def test_nothing_is_decided_without_both_p_value_and_interval():
    decided = set()
    for b in range(30):
        for c in range(0, 30, 3):
            for order in ([FIRST, BASELINE], [FIRST, SECOND, BASELINE]):
                comparison = compare_networks(order, networks((b, c), (7, 7)))[0]
                assert -1 <= comparison.low <= comparison.difference <= comparison.high <= 1
                if comparison.decided:
                    assert comparison.p_adjusted <= 0.05
                    assert not comparison.low <= 0 <= comparison.high
                else:
                    assert comparison.p_adjusted > 0.05 or comparison.low <= 0 <= comparison.high
                decided.add((comparison.decided, comparison.difference > 0))
    assert decided == {(True, True), (True, False), (False, True), (False, False)}


@pytest.mark.parametrize(("b", "c"), [(4, 0), (0, 4), (15, 6), (46, 29), (51, 33)])
def test_a_p_value_and_an_interval_that_disagree_are_not_told_without_a_word(b, c):
    (comparison,) = compare_networks([FIRST, BASELINE], networks((b, c)))
    assert comparison.p > 0.05
    assert not comparison.decided
    (_, sentence) = on_networks({"champion": shown(0.9)}, [comparison], (1, 1))
    # The reader sees an interval beside 0 and "undecided": either the interval is one that agrees, or the words say it.
    assert comparison.low <= 0 <= comparison.high or "disagree" in sentence


def configurations(shares, n_images=300, n_seeds=3, seed=0):
    """Results by trial: whether each network (column) is right on each image (row), with these probabilities."""
    hard = np.random.default_rng(seed).random((n_images, 1))
    noise = np.random.default_rng(seed + 1).random((n_images, n_seeds, len(shares)))
    return {trial: (0.5 * hard + 0.5 * noise[:, :, i]) < share for i, (trial, share) in enumerate(shares.items())}


def test_configurations_are_compared_over_seeds_and_images():
    correct = configurations({3: 0.8, 5: 0.79, 0: 0.6})
    baseline, challenger = compare_configurations("confirm", [FIRST, SECOND, BASELINE], correct)
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
    (comparison,) = compare_configurations("confirm", [FIRST, BASELINE], configurations({3: 0.6, 0: 0.8}))
    assert comparison.decided
    assert comparison.high < 0


@pytest.mark.parametrize("order", [[FIRST, BASELINE], [FIRST, SECOND, BASELINE]])
def test_interval_and_decision_on_configurations_never_contradict_each_other(order):
    seen = set()
    for seed in range(150):
        shares = {3: 0.75, 5: 0.70, 0: 0.68}
        correct = configurations(shares, n_images=60 + seed, n_seeds=2 + seed % 3, seed=2 * seed)
        for comparison in compare_configurations("validation", order, correct):
            assert comparison.decided == (not comparison.low <= 0 <= comparison.high)
            assert comparison.decided == (comparison.p_adjusted <= 0.05)
            seen.add(comparison.decided)
    assert seen == {True, False}


def test_one_seed_gives_a_difference_alone():
    correct = configurations({3: 0.9, 0: 0.4}, n_seeds=1)
    (comparison,) = compare_configurations("confirm", [FIRST, BASELINE], correct)
    assert comparison.difference == pytest.approx(correct[3].mean() - correct[0].mean())
    assert (comparison.low, comparison.high, comparison.p, comparison.p_adjusted) == (None, None, None, None)
    assert (comparison.decided, comparison.detectable) == (False, None)


@pytest.mark.parametrize("missing", [0, 5])
def test_a_comparison_without_a_p_value_still_counts_in_the_family(missing):
    right = np.ones((400, 3), dtype=bool)
    worse = right.copy()
    worse[:4] = False  # t = 2.0 with 399 degrees of freedom
    correct = {3: right, 0: worse, 5: worse} | {missing: right}
    compared = compare_configurations("confirm", [FIRST, SECOND, BASELINE], correct)
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
    (comparison,) = compare_configurations("confirm", [FIRST, BASELINE], swapping(10))
    assert (comparison.low, comparison.high, comparison.decided) == (-1.0, 1.0, False)


@pytest.mark.parametrize("n_images", [4, 10, 1000, 5000])
def test_no_difference_beyond_one_is_called_detectable_and_none_is_free(n_images):
    (comparison,) = compare_configurations("confirm", [FIRST, BASELINE], swapping(n_images))
    # Differences of accuracies end at 1: what only a larger one would show, none shows.
    assert comparison.detectable is None or 0 < comparison.detectable <= 1


def all_comparisons():
    order = [FIRST, SECOND, BASELINE]
    yield from compare_networks(order, networks((40, 10), (0, 0)))
    for n_seeds in (1, 3):
        yield from compare_configurations("confirm", order, configurations({3: 0.8, 5: 0.8, 0: 0.6}, n_seeds=n_seeds))
    same = configurations({3: 0.8})[3]
    yield from compare_configurations("validation", order, {3: same, 5: same, 0: ~same})
    for n_images in (4, 1000, 5000):
        yield from compare_configurations("confirm", [FIRST, BASELINE], swapping(n_images))


def test_comparisons_are_json_without_nan_and_come_back_as_they_were():
    for comparison in all_comparisons():
        described = json.loads(json.dumps(comparison.as_json(), allow_nan=False))
        assert list(described)[:2] == ["first", "second"]
        assert described.pop("first") == "champion"
        again = Comparison(other=described.pop("second"), **described)
        assert replace(again, trials=tuple(again.trials)) == comparison


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


def comparison(**changes):
    fields = {
        "part": "confirm",
        "other": "baseline",
        "trials": (3, 0),
        "difference": 0.012,
        "low": 0.0041,
        "high": 0.0199,
        "level": 0.95,
        "p": 0.003,
        "p_adjusted": 0.003,
        "decided": True,
        "detectable": 0.0113,
    }
    return Comparison(**fields | changes)


UNDECIDED = {"difference": 0.002, "low": -0.0061, "high": 0.0101, "p": 0.6, "p_adjusted": 0.6, "decided": False}


@pytest.mark.parametrize(("confirmed", "luck"), [(0.012, 0.018), (0.03, 0.0), (0.05, -0.02), (-0.01, 0.04)])
def test_shrinkage_is_the_lead_in_the_search_less_the_lead_on_the_confirm_part(confirmed, luck):
    compared = [comparison(other="challenger", difference=0.5), comparison(difference=confirmed)]
    # 0.93 - 0.90 in the search.
    assert shrinkage([FIRST, SECOND, BASELINE], compared) == pytest.approx(luck)


@pytest.mark.parametrize(
    ("order", "compared"),
    [
        ([FIRST, BASELINE], [comparison(part="validation")]),
        ([FIRST, BASELINE], []),
        ([BASELINE, FIRST], [comparison(other="challenger")]),
        ([BASELINE], []),
        ([FIRST, finalist(0, None, is_baseline=True)], [comparison()]),
        ([finalist(3, None), BASELINE], [comparison()]),
    ],
)
def test_without_two_leads_over_the_baseline_there_is_no_shrinkage(order, compared):
    assert shrinkage(order, compared) is None
    part = compared[0].part if compared else "confirm"
    assert not any("a shrinkage of" in sentence for sentence in said(order, part=part, compared=compared))


ESTIMATE = Estimate(0.9, 0.01, 10.0)


def said(order=(FIRST, BASELINE), estimate=ESTIMATE, part="confirm", n_seeds=3, compared=None):
    return on_configurations(
        order,
        estimate,
        part,
        n_images=6000,
        n_seeds=n_seeds,
        trained_share=0.8,
        comparisons=[comparison(part=part)] if compared is None else compared,
    )


def test_a_verdict_gives_the_estimate_the_comparison_and_what_the_search_had_promised():
    estimate, compared, promised = said()
    assert estimate == (
        "Estimated accuracy of this configuration (trial 3), trained on 80 % of the pool, over images and 3 seeds: "
        "90.0 % [87.8, 92.2]. Confirm images chose nothing."
    )
    assert compared.startswith("Champion - baseline +1.2 [+0.4, +2.0] points: the champion is better; ")
    assert "1.1" in compared.removeprefix("Champion - baseline +1.2 [+0.4, +2.0] points")
    assert promised == (
        "In the search the champion stood +3.0 points from the baseline in validation accuracy, on the confirm images "
        "+1.2: a shrinkage of +1.8."
    )


def test_one_seed_is_told_with_its_images_and_without_an_interval():
    alone = comparison(low=None, high=None, p=None, p_adjusted=None, decided=False, detectable=None)
    sentences = said(estimate=Estimate(0.9, None, None), n_seeds=1, compared=[alone])
    assert sentences[:2] == [
        "Accuracy of this configuration (trial 3), trained on 80 % of the pool with one seed, on 6,000 images: 90.0 %. "
        "One seed says nothing of other seeds: no interval. Confirm images chose nothing.",
        "Champion - baseline +1.2 points: undecided; without an interval no difference can be told from luck.",
    ]


def test_several_seeds_without_an_interval_are_told_why():
    (sentence, *_) = said(estimate=Estimate(1.0, None, None))
    assert sentence.startswith(
        "Accuracy of this configuration (trial 3), trained on 80 % of the pool, over 3 seeds: 100.0 %. "
    )
    assert "no interval" in sentence


def test_seeds_that_take_turns_are_not_said_to_agree():
    # [[1, 0], [0, 1]] has no interval either; seeds that agreed on all images would give 0.5 only with one.
    (sentence, *_) = said(estimate=Estimate(0.5, None, None), n_seeds=2)
    assert "All seeds agree" not in sentence


@pytest.mark.parametrize("estimate", [ESTIMATE, Estimate(0.9, None, None)])
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_without_a_confirm_part_the_estimate_is_said_to_be_flattered(estimate, n_seeds):
    sentences = said(estimate=estimate, part="validation", n_seeds=n_seeds)
    assert sentences[0].endswith(
        " This study has no confirm part: these are the validation images that the search and the final chose on, "
        "and the estimate is flattered by that."
    )
    assert not any("onfirm images" in sentence for sentence in sentences)
    assert len(sentences) == 2


def test_a_baseline_that_wins_is_told():
    order = [BASELINE, FIRST, SECOND]
    estimate, wins, compared = said(order, compared=[comparison(other="challenger", **UNDECIDED)])
    assert "(trial 0 (baseline))" in estimate
    assert wins.startswith("The baseline wins: ")
    assert compared.startswith("Champion - challenger +0.2 [-0.6, +1.0] points: undecided; ")


def test_a_final_of_the_baseline_alone_is_told_without_a_comparison():
    estimate, alone = said([BASELINE], compared=[])
    assert "90.0 % [87.8, 92.2]" in estimate
    assert "baseline" in alone
    assert "wins" not in alone


def test_a_champion_of_the_search_is_not_called_the_baseline():
    assert not any("baseline wins" in sentence or "is its baseline" in sentence for sentence in said())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Champion - baseline +1.2 [+0.4, +2.0] points: the champion is better; "),
        ({"other": "challenger"}, "Champion - challenger +1.2 [+0.4, +2.0] points: the champion is better; "),
        (
            {"difference": -0.012, "low": -0.0199, "high": -0.0041},
            "Champion - baseline -1.2 [-2.0, -0.4] points: the baseline is better; ",
        ),
        (
            {"other": "challenger", "difference": -0.012, "low": -0.0199, "high": -0.0041},
            "Champion - challenger -1.2 [-2.0, -0.4] points: the challenger is better; ",
        ),
        (UNDECIDED, "Champion - baseline +0.2 [-0.6, +1.0] points: undecided; "),
        (UNDECIDED | {"difference": -0.0002}, "Champion - baseline -0.0 [-0.6, +1.0] points: undecided; "),
    ],
)
def test_a_comparison_names_who_is_better_or_says_undecided(changes, expected):
    (_, sentence, *_) = said(compared=[comparison(**changes)])
    assert sentence.startswith(expected)


@pytest.mark.parametrize("changes", [{}, UNDECIDED])
def test_the_smallest_difference_that_can_be_seen_stands_in_every_verdict(changes):
    unseen = "" if comparison(**changes).decided else "no true difference could have been relied on to show here."
    for detectable, words in ((0.0345, "3.5"), (None, unseen)):
        compared = comparison(**changes | {"detectable": detectable})
        (_, on_part, *_) = said(compared=[compared])
        (_, on_test) = on_networks({"champion": shown(0.9)}, [replace(compared, part="test", b=40, c=10)], (1, 1))
        assert words in on_part
        assert words in on_test


def test_a_difference_that_was_decided_is_not_called_invisible_in_the_same_breath():
    (compared,) = compare_networks([FIRST, BASELINE], networks((15, 5)))
    assert compared.decided
    # Seen this time, though a true difference of this size would often be missed.
    assert compared.difference < compared.detectable
    (_, sentence) = on_networks({"champion": shown(0.9)}, [compared], (1, 1))
    assert "the champion is better" in sentence
    assert not re.search(r"differences below 1\.3 are invisible", sentence)


@pytest.mark.parametrize(("b", "c"), [(61, 40), (40, 61)])
def test_a_decided_interval_is_not_printed_as_if_it_touched_zero(b, c):
    champion = np.arange(10_000) < 9000
    (compared,) = compare_networks([FIRST, BASELINE], {3: champion, 0: beside(champion, b, c)})
    assert compared.decided
    (_, sentence) = on_networks({"champion": shown(0.9)}, [compared], (1, 1))
    low, high = re.search(r"\[([^,]+), ([^]]+)\] points", sentence).groups()
    assert low[0] == high[0] == ("+" if b > c else "-")


def shown(accuracy, n_images=10_000):
    return {"n": n_images, "accuracy": accuracy, "low": accuracy - 0.006, "high": accuracy + 0.006}


NETWORKS = {"part": "test", "b": 210, "c": 150}


def test_a_test_is_told_with_its_figures_and_how_often_these_data_were_seen():
    by_role = {"champion": shown(0.912), "challenger": shown(0.9), "baseline": shown(0.895)}
    compared = [
        comparison(**NETWORKS),
        comparison(**NETWORKS | UNDECIDED | {"other": "challenger", "p_adjusted": 0.0432}),
    ]
    head, baseline, challenger = on_networks(by_role, compared, (1, 4))
    assert head == (
        "Accuracy of the refitted networks on 10,000 test images: champion 91.20 % [90.60, 91.80], "
        "challenger 90.00 % [89.40, 90.60], baseline 89.50 % [88.90, 90.10] "
        "(looks at these test data: 1 by this study, 4 in this store)."
    )
    assert baseline.startswith(
        "These two trained networks, champion and baseline, differ on the test set: "
        "b = 210, c = 150, p (Holm) = 0.0030; "
    )
    assert "the champion is better" in baseline
    assert challenger.startswith(
        "These two trained networks, champion and challenger, cannot be told apart on the test set: "
        "b = 210, c = 150, p (Holm) = 0.0432; "
    )
    assert "undecided" in challenger


def test_a_test_decided_against_the_champion_names_the_other():
    against = comparison(**NETWORKS | {"difference": -0.012, "low": -0.0199, "high": -0.0041, "b": 150, "c": 210})
    (_, sentence) = on_networks({"champion": shown(0.9)}, [against], (1, 1))
    assert "differ on the test set" in sentence
    assert "the baseline is better" in sentence


@pytest.mark.parametrize(
    ("p", "words"), [(0.00009, "p (Holm) < 0.0001;"), (0.0001, "p (Holm) = 0.0001;"), (1.0, "p (Holm) = 1.0000;")]
)
def test_a_p_value_is_the_adjusted_one_and_never_printed_as_zero(p, words):
    (_, sentence) = on_networks(
        {"champion": shown(0.9)}, [comparison(**NETWORKS | {"p": 0.5 * p, "p_adjusted": p})], (1, 1)
    )
    assert words in sentence


def test_before_a_test_nothing_is_said_of_networks():
    assert on_networks({}, [], (0, 3)) == []


def test_a_test_of_other_roles_is_told_without_comparisons():
    (head,) = on_networks({"trial 5": shown(0.9, 500)}, [], (2, 2))
    assert "on 500 test images: trial 5 90.00 %" in head


def test_level_of_an_interval_is_told_where_it_is_not_95_percent():
    wider = comparison(level=0.975)
    assert "[+0.4, +2.0] (97.5 %) points" in said(compared=[wider])[1]
    assert "%) points" not in said(compared=[comparison(level=0.95)])[1]
    (_, on_test) = on_networks({"champion": shown(0.9)}, [comparison(**NETWORKS | {"level": 0.975})], (1, 1))
    assert "] (97.5 %) points" in on_test
