import json
from dataclasses import replace

import numpy as np
import pytest

from sweeper.evaluation.constant import Constant
from sweeper.evaluation.statistics import Estimate
from sweeper.promotion.outcome import PromotionOutcome
from sweeper.promotion.plain_sentence import plain_sentence
from tests.promotion.finals import UNDECIDED, comparison
from tests.promotion.test_outcome import entrant, outcome

WORSE = {"difference": -0.012, "low": -0.0199, "high": -0.0041}
ONE_SEED = {"low": None, "high": None, "p": None, "p_adjusted": None, "decided": False, "detectable": None}


def measured(accuracy, below, above):
    return {"accuracy": accuracy, "low": accuracy - below, "high": accuracy + above, "loss": 0.5, "confusions": []}


def champion(accuracy=0.837, **changes):
    return entrant(2, **{"test": measured(accuracy, 0.017, 0.015)} | changes)


def baseline(accuracy=0.8, **changes):
    finalist = {"is_baseline": True} | changes.pop("finalist", {})
    return entrant(0, **{"alias": None, "test": measured(accuracy, 0.02, 0.02), "finalist": finalist} | changes)


def said(*entrants, compared=(), **changes):
    fields = {"constants": {}, "dropped": [], "registered_champion": "7"}
    return plain_sentence(outcome(entrants=entrants, comparisons=list(compared), **fields | changes))


def tested(**changes):
    return comparison(part="test", **changes)


def test_a_champion_that_won_its_test_is_to_be_used():
    sentence = said(champion(), baseline(), compared=[comparison(), tested()])
    assert sentence == "Use trial 2: 83.7 % [82.0, 85.2] on the test set, better than the baseline."


def test_before_a_test_the_confirm_images_speak():
    sentence = said(champion(test=None), baseline(test=None), compared=[comparison()])
    assert sentence == "Use trial 2: 90.0 % [87.8, 92.2] on the confirm images, better than the baseline."


def test_without_a_confirm_part_the_validation_images_are_said_to_have_chosen():
    entrants = [champion(test=None, confirm=None), baseline(test=None, confirm=None)]
    sentence = said(*entrants, compared=[comparison(part="validation")])
    assert sentence == "Use trial 2: 92.0 % on the validation images that also chose it, better than the baseline."


@pytest.mark.parametrize(("part", "where"), [("test", "on the test set"), ("confirm", "on the confirm images")])
def test_an_undecided_comparison_is_never_told_as_a_win(part, where):
    change = {} if part == "test" else {"test": None}
    sentence = said(champion(**change), baseline(**change), compared=[comparison(part=part, **UNDECIDED)])
    assert sentence.startswith("Undecided between trial 2 and the baseline: ")
    assert sentence.endswith(f"] {where}; the difference may be chance.")
    assert " against " in sentence
    assert "better" not in sentence


def test_one_seed_decides_nothing_and_has_no_interval():
    alone = {"test": None, "validation": np.array([0.9]), "confirm": Estimate(0.9, None, None)}
    sentence = said(champion(**alone), baseline(**alone), compared=[comparison(**ONE_SEED)])
    assert sentence == (
        "Undecided between trial 2 and the baseline: 90.0 % against 90.0 % on the confirm images; the difference may "
        "be chance."
    )


def test_a_champion_that_lost_is_not_to_be_used():
    sentence = said(champion(), baseline(), compared=[tested(**WORSE)])
    assert sentence == "Do not use trial 2: 83.7 % [82.0, 85.2] on the test set, worse than the baseline."


@pytest.mark.parametrize(
    ("confirm", "words"),
    [
        ({}, "better than the baseline."),
        (UNDECIDED, "better than the baseline, but undecided with other seeds on the confirm images."),
        (WORSE, "better than the baseline, but worse with other seeds on the confirm images."),
    ],
)
def test_a_test_of_two_networks_does_not_hide_what_other_seeds_say(confirm, words):
    assert said(champion(), baseline(), compared=[comparison(**confirm), tested()]).endswith(words)


@pytest.mark.parametrize(
    ("dropped", "selected", "others", "why"),
    [
        ([], [0, 2], True, "no other finalist was clearly better with fresh seeds"),
        ([], [0], False, "it was the only finalist"),
        (["trial 2, seed 1 diverged"], [0, 2], False, "no other finalist has a result"),
    ],
)
def test_a_baseline_that_wins_is_kept(dropped, selected, others, why):
    won = baseline(alias="champion")
    entrants = [won, champion(alias="challenger")] if others else [won]
    compared = [tested(other="challenger", trials=(0, 2), **UNDECIDED)] if others else []
    sentence = said(*entrants, compared=compared, dropped=dropped, selected=selected)
    assert sentence == f"Keep the baseline, trial 0: 80.0 % [78.0, 82.0] on the test set; {why}."


def test_a_challenger_that_lost_is_named_beside_the_baseline():
    lost = comparison(part="test", other="challenger", trials=(2, 5))
    sentence = said(champion(), entrant(5, alias="challenger"), baseline(), compared=[tested(), lost])
    assert sentence.endswith("better than the baseline and the challenger (trial 5).")
    undecided = comparison(part="test", other="challenger", trials=(2, 5), **UNDECIDED)
    sentence = said(champion(), entrant(5, alias="challenger"), baseline(), compared=[tested(), undecided])
    assert sentence.endswith("better than the baseline.")


def test_a_challenger_that_did_better_on_the_test_set_is_named():
    challenger = comparison(part="test", other="challenger", trials=(2, 5), **WORSE)
    sentence = said(champion(), entrant(5, alias="challenger"), baseline(), compared=[tested(), challenger])
    assert sentence.endswith("better than the baseline; the challenger, trial 5, is better there.")


@pytest.mark.parametrize(
    ("metric", "value", "score"),
    [("macro_f1", 0.8, "macro F1 80.0 % [78.0, 82.0]"), ("loss", 0.5, "loss 0.5000 [0.4800, 0.5200]")],
)
def test_other_metrics_than_accuracy_are_named(metric, value, score):
    seen = {"metric": metric, metric: value, "metric_low": value - 0.02, "metric_high": value + 0.02}
    entrants = [champion(metric=metric), baseline(metric=metric)]
    entrants = [replace(one, test={**one.test, **seen}) for one in entrants]
    difference = -0.012 if metric == "loss" else 0.012
    sentence = said(*entrants, compared=[tested(metric=metric, difference=difference)], metric=metric)
    assert sentence == f"Use trial 2: {score} on the test set, better than the baseline."


@pytest.mark.parametrize("part", ["test", "confirm"])
def test_a_constant_predictor_is_not_to_be_used(part):
    changes = {"test": None, "constant": ["cat", "dog"]}
    if part == "test":
        changes = {"test": {**champion().test, "only_class": "cat", "constant": {"class_name": "cat", "score": 0.1}}}
    sentence = said(champion(**changes), baseline(), compared=[comparison(part=part)])
    classes = "'cat'" if part == "test" else "'cat' or 'dog'"
    assert sentence == f"Do not use trial 2: it says {classes} of every image."


def test_a_champion_no_better_than_always_saying_one_class_is_not_to_be_used():
    constants = {"confirm": Constant("cat", 0.95)}
    sentence = said(champion(test=None), baseline(), compared=[comparison()], constants=constants)
    assert sentence == (
        "Do not use trial 2: 90.0 % [87.8, 92.2] on the confirm images, no better than always saying 'cat' (95.0 %)."
    )


def test_a_dropped_finalist_another_registered_champion_and_a_second_test_are_told():
    sentence = said(
        champion(), baseline(), compared=[tested()], selected=[2, 5, 0], dropped=["so"], registered_champion="3",
        evaluations=(2, 6),
    )  # fmt: skip
    assert sentence == (
        "Use trial 2: 83.7 % [82.0, 85.2] on the test set (tested 2 times by this study), better than the baseline; "
        "trial 5 has no result; the registered champion is version 3."
    )


def test_an_outcome_that_an_older_sweeper_recorded_has_its_sentence():
    found = json.loads(
        json.dumps(outcome(entrants=[champion(), baseline()], comparisons=[comparison(), tested()]).found())
    )
    for name in ("plain_sentence", "findings", "metric", "constant_predictors", "selected", "registered_champion"):
        del found[name]
    sentence = plain_sentence(PromotionOutcome.from_found(found))
    assert sentence == "Use trial 2: 83.7 % [82.0, 85.2] on the test set, better than the baseline."


def test_a_test_in_accuracy_by_an_older_sweeper_of_a_study_of_another_metric_is_read():
    sentence = said(champion(metric="macro_f1"), baseline(metric="macro_f1"), compared=[tested()], metric="macro_f1")
    assert sentence == "Use trial 2: 83.7 % [82.0, 85.2] on the test set, better than the baseline."
