import re
from dataclasses import replace

import numpy as np
import pytest

from sweeper.evaluation.constant import Constant
from sweeper.evaluation.statistics import Estimate
from sweeper.promotion.comparisons import compare_networks, shrinkage
from sweeper.promotion.verdict import on_configurations, on_networks
from tests.promotion.finals import (
    BASELINE,
    FIRST,
    SECOND,
    UNDECIDED,
    beside,
    comparison,
    finalist,
    networks,
    predictions_of,
)


def by_trial(correct):
    return {trial: predictions_of(right) for trial, right in correct.items()}


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
    assert not any("the lead" in sentence for sentence in said(order, part=part, compared=compared))


ESTIMATE = Estimate(0.9, 0.01, 10.0)


def said(
    order=(FIRST, BASELINE), estimate=ESTIMATE, part="confirm", n_seeds=3, compared=None, metric="accuracy", **constant
):
    return on_configurations(
        order,
        estimate,
        part,
        n_images=6000,
        n_seeds=n_seeds,
        trained_share=0.8,
        comparisons=[comparison(part=part)] if compared is None else compared,
        metric=metric,
        **constant,
    )


def test_a_verdict_gives_the_estimate_the_comparison_and_what_the_search_had_promised():
    estimate, compared, power, promised = said()
    assert estimate == (
        "Accuracy of this configuration (trial 3), trained on 80 % of the training images with 3 seeds, on 6,000 "
        "confirm images: 90.0 % [87.8, 92.2]. The interval covers chance in the images and in the seeds. No choice was "
        "made on these images."
    )
    assert compared == "Champion minus baseline +1.2 [+0.4, +2.0] points: the champion is better."
    assert power == (
        "Power: a true difference of 1.1 points would be found in four of five such comparisons, a smaller one more "
        "rarely."
    )
    assert promised == (
        "Champion minus baseline was +3.0 points of validation accuracy in the search, and is +1.2 on the confirm "
        "images: the lead shrank by 1.8 points."
    )


@pytest.mark.parametrize(
    ("metric", "difference", "told"),
    [
        ("accuracy", 0.041, "and is +4.1 on the confirm images: the lead grew by 1.1 points."),
        ("accuracy", 0.034, "and is +3.4 on the confirm images: the change of the lead may be chance."),
        ("accuracy", -0.01, "and is -1.0 on the confirm images: the lead shrank by 4.0 points."),
        ("accuracy", 0.0301, "and is +3.0 on the confirm images: the lead stayed the same."),
        ("loss", 0.04, "and is +0.0400 on the confirm images: the lead shrank by 0.0100 nats."),
    ],
)
def test_what_became_of_the_lead_of_the_search_is_told_without_a_sign(metric, difference, told):
    assert said(compared=[comparison(difference=difference, metric=metric)], metric=metric)[-1].endswith(told)


def test_one_seed_is_told_with_its_images_and_without_an_interval():
    alone = comparison(low=None, high=None, p=None, p_adjusted=None, decided=False, detectable=None)
    sentences = said(estimate=Estimate(0.9, None, None), n_seeds=1, compared=[alone])
    assert sentences[:2] == [
        "Accuracy of this configuration (trial 3), trained on 80 % of the training images with one seed, on 6,000 "
        "confirm images: 90.0 %. There is no interval, because one seed does not show how much other seeds differ. No "
        "choice was made on these images.",
        "Champion minus baseline +1.2 points: undecided; without an interval, the difference may be chance.",
    ]


def test_several_seeds_without_an_interval_are_told_why():
    (sentence, *_) = said(estimate=Estimate(1.0, None, None))
    assert sentence.startswith(
        "Accuracy of this configuration (trial 3), trained on 80 % of the training images with 3 seeds, on 6,000 "
        "confirm images: 100.0 %. "
    )
    assert "no interval" in sentence


def test_seeds_that_take_turns_are_not_said_to_agree():
    # [[1, 0], [0, 1]] has no interval either; seeds that agreed on all images would give 0.5 only with one.
    (sentence, *_) = said(estimate=Estimate(0.5, None, None), n_seeds=2)
    assert "All seeds agree" not in sentence


@pytest.mark.parametrize("estimate", [ESTIMATE, Estimate(0.9, None, None)])
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_without_a_confirm_part_the_estimate_is_said_to_be_better_than_the_truth(estimate, n_seeds):
    sentences = said(estimate=estimate, part="validation", n_seeds=n_seeds)
    assert sentences[0].endswith(
        " This study has no confirm part: the search and the promotion chose by the same validation images, so the "
        "estimate is better than the truth."
    )
    assert not any("onfirm images" in sentence for sentence in sentences)
    assert len(sentences) == 3


def test_a_baseline_that_wins_is_told():
    order = [BASELINE, FIRST, SECOND]
    estimate, wins, compared, _ = said(order, compared=[comparison(other="challenger", **UNDECIDED)])
    assert "(trial 0 (baseline))" in estimate
    assert wins.startswith("The baseline wins: ")
    assert compared.startswith(
        "Champion minus challenger +0.2 [-0.6, +1.0] points: undecided, the difference may be chance."
    )


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
        ({}, "Champion minus baseline +1.2 [+0.4, +2.0] points: the champion is better."),
        ({"other": "challenger"}, "Champion minus challenger +1.2 [+0.4, +2.0] points: the champion is better."),
        (
            {"difference": -0.012, "low": -0.0199, "high": -0.0041},
            "Champion minus baseline -1.2 [-2.0, -0.4] points: the baseline is better.",
        ),
        (
            {"other": "challenger", "difference": -0.012, "low": -0.0199, "high": -0.0041},
            "Champion minus challenger -1.2 [-2.0, -0.4] points: the challenger is better.",
        ),
        (UNDECIDED, "Champion minus baseline +0.2 [-0.6, +1.0] points: undecided, the difference may be chance."),
        (
            UNDECIDED | {"difference": -0.0002},
            "Champion minus baseline -0.0 [-0.6, +1.0] points: undecided, the difference may be chance.",
        ),
    ],
)
def test_a_comparison_names_who_is_better_or_says_undecided(changes, expected):
    (_, sentence, *_) = said(compared=[comparison(**changes)])
    assert sentence.startswith(expected)


@pytest.mark.parametrize("changes", [{}, UNDECIDED])
def test_the_smallest_difference_that_can_be_found_is_told_apart_from_what_was_found(changes):
    compared = comparison(**changes | {"detectable": 0.0345})
    power = (
        "Power: a true difference of 3.5 points would be found in four of five such comparisons, a smaller one more "
        "rarely."
    )
    assert said(compared=[compared])[2] == power
    assert on_networks({"champion": shown(0.9)}, [replace(compared, part="test", b=40, c=10)], (1, 1))[-1] == power


def test_an_undecided_comparison_that_could_find_no_difference_says_so_and_a_decided_one_does_not():
    (_, _, power) = said(compared=[comparison(**UNDECIDED | {"detectable": None})])[:3]
    assert power == "Power: no true difference, however large, would be found in four of five such comparisons."
    assert not any("Power" in sentence for sentence in said(compared=[comparison(detectable=None)]))


@pytest.mark.parametrize(("b", "c", "seen"), [(2, 2, "4 images"), (1, 0, "1 image")])
def test_networks_that_differ_on_few_images_do_not_say_that_no_difference_could_be_found(b, c, seen):
    compared = replace(comparison(**UNDECIDED | {"detectable": None}), part="test", b=b, c=c)
    sentences = on_networks({"champion": shown(0.9)}, [compared], (1, 1))
    assert sentences[-1] == (
        f"Power: only one of the two networks is right on {seen}, too few to say which true difference would be found."
    )


def test_the_power_of_all_comparisons_stands_in_one_sentence():
    compared = [comparison(), comparison(other="challenger", **UNDECIDED | {"detectable": 0.0064})]
    (power,) = (sentence for sentence in said(compared=compared) if "Power" in sentence)
    assert "of 1.1 points (champion and baseline) or 0.6 points (champion and challenger) would be found" in power


@pytest.mark.parametrize(("b", "c"), [(61, 40), (40, 61)])
def test_a_decided_interval_is_not_printed_as_if_it_touched_zero(b, c):
    champion = np.arange(10_000) < 9000
    (compared,) = compare_networks([FIRST, BASELINE], by_trial({3: champion, 0: beside(champion, b, c)}))
    assert compared.decided
    (_, sentence, _) = on_networks({"champion": shown(0.9)}, [compared], (1, 1))
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
    head, baseline, challenger, _ = on_networks(by_role, compared, (1, 4))
    assert head == (
        "Accuracy of the refitted networks on 10,000 test images: champion 91.20 % [90.60, 91.80], "
        "challenger 90.00 % [89.40, 90.60], baseline 89.50 % [88.90, 90.10] "
        "(tests on these images so far: 1 by this study, 4 in this store)."
    )
    assert baseline.startswith(
        "These two trained networks, champion and baseline, differ on the test set: "
        "only the champion is right on 210 images, only the baseline on 150; p = 0.0030 after Holm's adjustment; "
    )
    assert "the champion is better" in baseline
    assert challenger.startswith(
        "These two trained networks, champion and challenger, cannot be told apart on the test set: "
        "only the champion is right on 210 images, only the challenger on 150; p = 0.0432 after Holm's adjustment; "
    )
    assert "undecided" in challenger


def test_a_test_decided_against_the_champion_names_the_other():
    against = comparison(**NETWORKS | {"difference": -0.012, "low": -0.0199, "high": -0.0041, "b": 150, "c": 210})
    (_, sentence, _) = on_networks({"champion": shown(0.9)}, [against], (1, 1))
    assert "differ on the test set" in sentence
    assert "the baseline is better" in sentence


@pytest.mark.parametrize(
    ("p", "words"), [(0.00009, "p < 0.0001 after"), (0.0001, "p = 0.0001 after"), (1.0, "p = 1.0000 after")]
)
def test_a_p_value_is_the_adjusted_one_and_never_printed_as_zero(p, words):
    (_, sentence, _) = on_networks(
        {"champion": shown(0.9)}, [comparison(**NETWORKS | {"p": 0.5 * p, "p_adjusted": p})], (1, 1)
    )
    assert words in sentence


def test_before_a_test_nothing_is_said_of_networks():
    assert on_networks({}, [], (0, 3)) == []


def test_the_only_test_of_a_store_is_called_the_first():
    (head,) = on_networks({"champion": shown(0.9)}, [], (1, 1))
    assert head.endswith("(the first and only test on these images in this store).")


def test_a_test_of_other_roles_is_told_without_comparisons():
    (head,) = on_networks({"trial 5": shown(0.9, 500)}, [], (2, 2))
    assert "on 500 test images: trial 5 90.00 %" in head


def test_level_of_an_interval_is_told_where_it_is_not_95_percent():
    wider = comparison(level=0.975)
    assert "[+0.4, +2.0] (97.5 %, for several comparisons) points" in said(compared=[wider])[1]
    assert "(9" not in said(compared=[comparison(level=0.95)])[1]
    (_, on_test, _) = on_networks({"champion": shown(0.9)}, [comparison(**NETWORKS | {"level": 0.975})], (1, 1))
    assert "] (97.5 %, for several comparisons) points" in on_test


@pytest.mark.parametrize(("b", "c"), [(4, 0), (0, 4), (15, 6), (46, 29), (51, 33)])
def test_a_p_value_and_an_interval_that_disagree_are_not_told_without_a_word(b, c):
    (compared,) = compare_networks([FIRST, BASELINE], by_trial(networks((b, c))))
    assert compared.p > 0.05
    assert not compared.decided
    (_, sentence, _) = on_networks({"champion": shown(0.9)}, [compared], (1, 1))
    # The reader sees an interval beside 0 and "undecided": either the interval is one that agrees, or the words say it.
    assert compared.low <= 0 <= compared.high or "disagree" in sentence


@pytest.mark.parametrize(
    ("metric", "estimated", "compared", "promised"),
    [
        (
            "macro_f1",
            "Macro F1 of this configuration (trial 3), trained on 80 % of the training images with 3 seeds, on 6,000 "
            "confirm images: 90.0 % [87.8, 92.2].",
            "Champion minus baseline +1.2 [+0.4, +2.0] points: the champion is better.",
            "Champion minus baseline was +3.0 points of validation macro F1 in the search, and is +1.2 on the confirm "
            "images: the lead shrank by 1.8 points.",
        ),
        (
            "loss",
            "Loss of this configuration (trial 3), trained on 80 % of the training images with 3 seeds, on 6,000 "
            "confirm images: 0.9000 [0.8777, 0.9223].",
            "Champion minus baseline +0.0120 [+0.0041, +0.0199] nats: the baseline is better.",
            "Champion minus baseline was +0.0300 nats of validation loss in the search, and is +0.0120 on the confirm "
            "images: the lead grew by 0.0180 nats.",
        ),
    ],
)
def test_a_verdict_is_in_the_metric_of_the_study_and_names_it(metric, estimated, compared, promised):
    sentences = said(compared=[comparison(metric=metric)], metric=metric)
    assert sentences[0].startswith(estimated)
    assert sentences[1] == compared
    assert sentences[-1] == promised


def test_a_champion_with_the_smaller_loss_is_better():
    less = comparison(metric="loss", difference=-0.2, low=-0.3, high=-0.1)
    assert "-0.2000 [-0.3000, -0.1000] nats: the champion is better" in said(compared=[less], metric="loss")[1]


@pytest.mark.parametrize(
    ("metric", "head", "difference"),
    [
        (
            "macro_f1",
            "Macro F1 of the refitted networks on 10,000 test images: champion 80.00 % [78.00, 82.00] (",
            "+1.20",
        ),
        ("loss", "Loss of the refitted networks on 10,000 test images: champion 0.8000 [0.7800, 0.8200] (", "+0.0120"),
    ],
)
def test_a_test_is_told_in_the_metric_of_the_study(metric, head, difference):
    fields = shown(0.9) | {"metric": metric, metric: 0.8, "metric_low": 0.78, "metric_high": 0.82}
    first, compared, _ = on_networks({"champion": fields}, [comparison(part="test", metric=metric)], (1, 1))
    assert first.startswith(head)
    assert f"p = 0.0030 after Holm's adjustment; {difference} [" in compared
    assert "is right on" not in compared
    without = replace(comparison(part="test", metric=metric), low=None, high=None, p=None, p_adjusted=None)
    (_, compared) = on_networks({"champion": fields}, [replace(without, decided=False, detectable=None)], (1, 1))
    assert "cannot be told apart" in compared
    assert "without an interval" in compared


@pytest.mark.parametrize(
    ("metric", "score", "told"),
    [
        ("accuracy", 0.95, "Always saying 'cat' would reach 95.0 % on these images: the champion is no better."),
        ("accuracy", 0.90, "Always saying 'cat' would reach 90.0 % on these images: the champion is no better."),
        ("macro_f1", 0.33, "Always saying 'cat' would reach 33.0 % on these images."),
        (
            "loss",
            0.7,
            "Predicting the class shares for every image would reach 0.7000 on these images: the champion is ",
        ),
        ("loss", 0.95, "Predicting the class shares for every image would reach 0.9500 on these images."),
    ],
)
def test_always_saying_the_largest_class_stands_beside_the_estimate(metric, score, told):
    sentences = said(metric=metric, compared=[comparison(metric=metric)], constant=Constant("cat", score))
    assert sentences[1].startswith(told)
    assert told.endswith("is ") or sentences[1] == told


def test_a_champion_that_looks_at_no_image_is_named_a_constant_predictor():
    sentences = said(only_classes=["cat", "dog"])
    assert sentences[1] == (
        "The champion is a constant predictor: each of its networks says 'cat' or 'dog' of every one of these images."
    )
    assert not any("constant" in sentence for sentence in said())


def test_only_tested_networks_that_learnt_nothing_are_said_to_be_no_better():
    constant = {"constant": {"class_name": "cat", "score": 0.9}}
    tested = {"champion": shown(0.95) | constant, "baseline": shown(0.9) | constant}
    assert on_networks(tested, [], (1, 1))[1].endswith("90.00 % on them: baseline is no better.")
    assert on_networks({"champion": tested["champion"]}, [], (1, 1))[1].endswith("90.00 % on them.")


def test_tested_networks_are_read_beside_always_saying_one_class():
    fields = shown(0.95) | {"constant": {"class_name": "cat", "score": 0.95}, "only_class": None}
    _, reference, named = on_networks({"champion": fields, "baseline": fields | {"only_class": "cat"}}, [], (1, 1))
    assert reference == "Always saying 'cat' would reach 95.00 % on them: champion, baseline are no better."
    assert named == "The network of the baseline is a constant predictor: it says 'cat' of every test image."
