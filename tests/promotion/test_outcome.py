import json
from dataclasses import replace

import numpy as np
import pytest

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.evaluation.constant import Constant
from sweeper.evaluation.statistics import Estimate, over_seeds_and_images
from sweeper.promotion.comparisons import Comparison
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.outcome import Entrant, PromotionOutcome

TESTED = {"n": 100, "accuracy": 0.9, "low": 0.82, "high": 0.95, "loss": 0.3, "macro_f1": 0.89}


def entrant(trial=3, **changes):
    finalist = Finalist(
        trial=trial,
        configuration=Configuration(ConvNetConfig(), TrainConfig()),
        params={"filters": (6, 16), "lr": 0.01},
        epochs=15,
        is_baseline=trial == 0,
        eligible=True,
        score=0.91,
        n_parameters=61_706,
        n_multiply_adds=416_520,
    )
    finalist = replace(finalist, **changes.pop("finalist", {}))
    test = changes.pop("test", TESTED)
    fields = {
        "alias": "champion",
        "version": "7",
        "network": f"trial-{trial}-refit",
        "validation": np.array([0.90, 0.92, 0.94]),
        "confirm": Estimate(0.9, 0.01, 10.0),
    }
    return replace(Entrant.of(finalist, **fields | changes), test=test)


def outcome(**changes):
    compared = Comparison("confirm", "baseline", (3, 0), 0.01, -0.01, 0.03, 0.95, 0.3, 0.3, False, 0.028)
    fields = {
        "study_name": "fashion_mnist-lenet5",
        "model_name": "sweeper-fashion_mnist-lenet5",
        "entrants": [entrant(), entrant(0, alias="challenger", version="8", test=None)],
        "comparisons": [compared],
        "shrinkage": 0.012,
        "verdict": ["The champion is so.", "The rest is undecided."],
        "evaluations": (1, 4),
        "dropped": ["trial 5, seed 2 diverged (loss is NaN): trial 5 is no longer a finalist"],
        "constants": {"confirm": Constant("cat", 0.49)},
    }
    return PromotionOutcome(**fields | changes)


def test_an_entrant_is_told_of_in_plain_data():
    described = entrant().as_json()
    # The two-sided 5 % point of t with 10 degrees of freedom is 2.228.
    assert described.pop("confirm") == pytest.approx({"accuracy": 0.9, "low": 0.87772, "high": 0.92228}, abs=1e-5)
    assert described.pop("validation") == pytest.approx({"mean": 0.92, "sd": 0.02, "n_seeds": 3})
    assert described == {
        "alias": "champion",
        "version": "7",
        "network": "trial-3-refit",
        "trial": 3,
        "is_baseline": False,
        "params": {"filters": (6, 16), "lr": 0.01},
        "epochs": 15,
        "n_parameters": 61_706,
        "n_multiply_adds": 416_520,
        "search_score": 0.91,
        "constant": [],
        "test": TESTED,
    }


def test_one_seed_gives_neither_sd_nor_bounds():
    one_seed = over_seeds_and_images([[1], [1], [0], [1]])
    described = entrant(validation=np.array([0.9]), confirm=one_seed).as_json()
    assert described["validation"] == {"mean": 0.9, "sd": None, "n_seeds": 1}
    assert described["confirm"] == {"accuracy": 0.75, "low": None, "high": None}


def test_seeds_that_agree_have_an_sd_of_zero_and_not_none():
    assert entrant(validation=np.array([0.9, 0.9])).as_json()["validation"]["sd"] == 0


def test_without_a_confirm_part_there_is_no_estimate_of_it():
    assert entrant(confirm=None).as_json()["confirm"] == {"accuracy": None, "low": None, "high": None}


def test_an_estimate_of_zero_is_told():
    assert entrant(confirm=Estimate(0.0, None, None)).as_json()["confirm"]["accuracy"] == 0


@pytest.mark.parametrize(("value", "low", "high"), [(0.99, 0.8, 1.0), (0.01, 0.0, 0.2)])
def test_bounds_of_an_accuracy_stay_within_zero_and_one(value, low, high):
    confirm = entrant(confirm=Estimate(value, 0.08, 10.0)).as_json()["confirm"]
    assert (confirm["low"], confirm["high"]) == pytest.approx((low, high), abs=0.02)
    assert 0 <= confirm["low"] < confirm["high"] <= 1


def test_an_untested_entrant_has_no_test_figures_and_one_without_a_role_no_alias():
    described = entrant(alias=None, test=None).as_json()
    assert (described["alias"], described["test"]) == (None, None)


def test_a_baseline_that_the_search_did_not_finish_has_no_search_score():
    unfinished = entrant(0, finalist={"score": None})
    assert unfinished.as_json()["search_score"] is None


def test_the_summary_holds_everything_that_the_command_promises():
    summary = outcome().summary()
    assert [(f["trial"], f["alias"], f["version"]) for f in summary.pop("finalists")] == [
        (3, "champion", "7"),
        (0, "challenger", "8"),
    ]
    (compared,) = summary.pop("comparisons")
    assert (compared["first"], compared["second"], compared["difference"]) == ("champion", "baseline", 0.01)
    assert summary == {
        "schema_version": 1,
        "study_name": "fashion_mnist-lenet5",
        "model_name": "sweeper-fashion_mnist-lenet5",
        "metric": "accuracy",
        "search_scores": "accuracy",
        "options": {},
        "time": "",
        "plain_sentence": "",
        "constant_predictors": {"confirm": {"class_name": "cat", "score": 0.49}},
        "shrinkage": 0.012,
        "registration": [],
        "registered_champion": None,
        "test_sha256": None,
        "verdict": "The champion is so.\nThe rest is undecided.",
        "dropped": ["trial 5, seed 2 diverged (loss is NaN): trial 5 is no longer a finalist"],
        "test_looks": 1,
        "test_looks_of_store": 4,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"comparisons": [], "shrinkage": None, "dropped": [], "verdict": []},
        {
            "entrants": [
                entrant(validation=np.array([0.9]), confirm=Estimate(0.9, None, None)),
                entrant(0, alias=None, validation=np.array([np.float64(1.0)]), confirm=None, test=None),
            ]
        },
    ],
)
def test_the_summary_is_json_without_nan(changes):
    summary = outcome(**changes).summary()
    again = json.loads(json.dumps(summary, allow_nan=False))
    assert again["finalists"][0]["params"] == {"filters": [6, 16], "lr": 0.01}
    assert set(again) == set(summary)


@pytest.mark.parametrize(("dropped", "selected"), [([], [3, 0]), (["trial 5 is no longer a finalist"], [])])
def test_finalists_of_an_older_sweepers_promotion_are_those_that_were_left_if_none_was_dropped(dropped, selected):
    entrants = [entrant(test=None), entrant(0, alias=None, test=None)]
    found = outcome(entrants=entrants, selected=[3, 5, 0], dropped=dropped).found()
    found = json.loads(json.dumps(found))
    assert PromotionOutcome.from_found(found).selected == [3, 5, 0]
    del found["selected"]
    assert PromotionOutcome.from_found(found).selected == selected
