import json

import numpy as np
import optuna
import pytest

from sweeper.events import State
from sweeper.studies.attributes import SPEC
from sweeper.studies.importance import LEAST_TRIALS, importances, measure, ranks_of
from sweeper.studies.spec import StudySpec
from sweeper.studies.trial_records import TrialRecord
from tests.sweep.sweeps import SPEC as FIELDS

PARAMETERS = {"lr": {}, "filters": {}, "optimizer": {}, "momentum": {"when": {"optimizer": "sgd"}}}
# Few, to be quick: a parameter without effect is above all of them once in 41 times.
N_SHUFFLES = 40


def study(**spec):
    made = optuna.create_study()
    space = {"parameters": PARAMETERS, "fixed": {}, "variants": {}}
    made.set_user_attr(SPEC, StudySpec.from_json(FIELDS | {"space": space, "epochs": 9} | spec).as_json())
    return made


def trials(n, score, *, epochs=3, seed=0):
    """Random configurations with the score at epoch 1 that `score` gives them, and better scores after it."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n):
        params = {"lr": float(rng.random()), "filters": (6, 16, int(rng.integers(3))), "optimizer": "adam"}
        if rng.random() < 0.5:
            params |= {"optimizer": "sgd", "momentum": float(rng.random())}
        values = {step: score(params, rng) + step for step in range(1, rng.integers(1, epochs + 1) + 1)}
        values[1] = values[1] - 1
        found.append(
            TrialRecord(number, State.PRUNED, None, params, None, None, "pruner", True, 0, len(values), values=values)
        )
    found[0] = TrialRecord(0, State.PRUNED, None, params, None, None, "pruner", True, 0, 1, values={1: values[1]})
    return found


def by_lr(params, rng):
    return params["lr"] + 0.2 * rng.random()


def test_the_parameter_that_the_scores_depend_on_is_above_chance_and_no_other():
    found = measure(study(), trials(60, by_lr), N_SHUFFLES)
    assert next(iter(found.shares)) == "lr"
    assert found.above_chance == {"lr": True, "filters": False, "optimizer": False}
    assert all(found.null_low[name] <= found.null_high[name] for name in found.shares)
    assert (found.n_trials, found.refused) == (60, "")


def test_nothing_is_above_chance_if_the_scores_depend_on_nothing():
    found = measure(study(), trials(60, lambda params, rng: rng.random()), N_SHUFFLES)
    assert not any(found.above_chance.values())


def test_a_share_is_of_all_variation_also_if_it_is_of_what_another_parameter_leaves():
    points = [{"a": number % 2, "b": number // 2 % 2} for number in range(80)]
    ranks = ranks_of([2 * point["a"] + point["b"] for point in points])
    found = importances(points, ["a", "b"], ranks, N_SHUFFLES, 0)
    assert [found[name][0] for name in "ab"] == pytest.approx([0.8, 0.2])


def test_the_same_trials_give_the_same_importances():
    found = [measure(study(), trials(LEAST_TRIALS, by_lr), 3) for _ in range(2)]
    assert found[0] == found[1]
    json.dumps(found[0].as_json(), allow_nan=False)


def test_the_scores_are_of_the_last_epoch_that_all_trials_reached_and_that_is_said():
    found = measure(study(), trials(LEAST_TRIALS, by_lr), 2)
    assert found.scores == "validation accuracy after epoch 1 of 9"
    assert "need not be what makes it best" in found.caution
    whole = [
        TrialRecord(t.number, State.COMPLETE, t.value, t.params, None, None, "", True, 0, 9, values={9: t.values[1]})
        for t in trials(LEAST_TRIALS, by_lr)
    ]
    assert measure(study(), whole, 2).caution == ""


def test_a_parameter_that_only_some_trials_have_is_told_with_its_reason():
    few = measure(study(), trials(LEAST_TRIALS, by_lr), 2)
    assert "momentum" not in few.shares
    said = few.conditional["momentum"]
    assert said.startswith("left out, because only ")
    assert said.endswith(f"of {LEAST_TRIALS} trials have it (those with optimizer sgd), and {LEAST_TRIALS} are needed")

    def by_momentum(params, rng):
        return params.get("momentum", rng.random())

    many = measure(study(), trials(3 * LEAST_TRIALS, by_momentum), N_SHUFFLES)
    assert many.above_chance["momentum"]
    assert many.conditional["momentum"].endswith(" (those with optimizer sgd): its share is of these trials' scores")


@pytest.mark.parametrize(
    ("spec", "n", "score", "reason"),
    [
        ({}, 0, by_lr, f"need {LEAST_TRIALS} trials with a score, and the study has 0"),
        ({}, LEAST_TRIALS - 1, by_lr, f"and the study has {LEAST_TRIALS - 1}"),
        ({}, LEAST_TRIALS, lambda params, rng: 0.5, "have the same score"),
        (
            {"space": {"parameters": {}, "fixed": {}, "variants": {}}},
            LEAST_TRIALS,
            by_lr,
            "No parameter is searched in",
        ),
        ({"variants_only": True}, LEAST_TRIALS, by_lr, "picked by hand"),
    ],
)
def test_where_importances_would_mean_nothing_there_are_none_and_the_reason_is_said(spec, n, score, reason):
    found = measure(study(**spec), trials(n, score) if n else [], 2)
    assert reason in found.refused
    assert not found.shares
    json.dumps(found.as_json(), allow_nan=False)
