import json
import tomllib

import optuna
import pytest

from sweeper.config import Configuration, Protocol
from sweeper.models.precision import PrecisionRule, Resolution
from sweeper.spaces import around, reader


def definition(kind, low, high, *, step=None, log=False):
    return {"type": kind, "low": low, "high": high, "step": step, "log": log}


def space_of(parameters, fixed=None, baseline=None):
    return {"parameters": parameters, "fixed": fixed or {}, "variants": {"baseline": baseline or {}}}


@pytest.mark.parametrize(
    ("given", "best", "shrink", "low", "high"),
    [
        (definition("float", 0.0, 0.5), 0.25, 0.3, 0.175, 0.325),
        (definition("float", 0.0, 0.5), 0.01, 0.3, 0.0, 0.15),  # inside the old range, and as wide as elsewhere
        (definition("float", 0.0, 0.5), 0.5, 0.3, 0.35, 0.5),
        (definition("float", 1e-4, 1e-1, log=True), 10**-2.5, 1 / 3, 0.001, 0.01),
        (definition("float", 1e-4, 1e-1, log=True), 1e-4, 1 / 3, 1e-4, 1e-3),
        (definition("float", 0.0, 0.5), 0.123456789, 1.0, 0.0, 0.5),
        (definition("float", 0.1, 0.9, step=0.2), 0.5, 0.5, 0.3, 0.7),
        (definition("int", 1, 10), 5, 0.3, 4, 6),
        (definition("int", 8, 512, log=True), 64, 0.5, 23, 181),
        (definition("int", 0, 100, step=10), 90, 0.3, 70, 100),
    ],
)
def test_range_shrinks_around_the_best_value_on_its_scale_and_inside_the_old_one(given, best, shrink, low, high):
    name = "batch_size" if given["type"] == "int" else "dropout"
    good = [{name: best}, {name: given["low"]}]
    found = around.narrowed(space_of({name: given}), good, shrink)["parameters"][name]
    assert (found["low"], found["high"]) == pytest.approx((low, high), rel=1e-3)
    assert given["low"] <= found["low"] <= best <= found["high"] <= given["high"]
    assert found["log"] == given["log"]


def test_what_has_one_value_left_is_fixed():
    parameters = {
        "batch_size": definition("int", 1, 3),
        "activation": {"type": "categorical", "choices": ["relu", "tanh", "elu"]},
        "pooling": {"type": "categorical", "choices": ["max", "avg"]},
    }
    good = [{"batch_size": 2, "activation": name, "pooling": "avg"} for name in ("elu", "relu")]
    found = around.narrowed(space_of(parameters), good, 0.1)
    assert found["fixed"] == {"batch_size": 2, "pooling": "avg"}
    assert found["parameters"] == {"activation": {"type": "categorical", "choices": ["relu", "elu"]}}


def test_parameter_whose_condition_can_no_longer_hold_is_left_out_with_those_that_depend_on_it():
    parameters = {
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "nesterov": {"type": "categorical", "choices": [False, True], "when": {"optimizer": "sgd"}},
        "momentum": definition("float", 0.8, 0.9) | {"when": {"nesterov": False}},
        "weight_decay": definition("float", 0.0, 0.1) | {"when": {"optimizer": "adam"}},
    }
    good = [{"optimizer": "adam", "weight_decay": 0.05}, {"optimizer": "adam", "weight_decay": 0.01}]
    found = around.narrowed(space_of(parameters), good, 0.5)
    # The field nesterov has a default, but the condition was on the parameter.
    assert set(found["parameters"]) == {"weight_decay"}
    assert found["fixed"] == {"optimizer": "adam"}


@pytest.mark.parametrize(("fixed", "left"), [("auto", "auto"), ("float32", "bfloat16")])
def test_precision_is_left_open_only_where_the_fixed_values_leave_it_open(fixed, left):
    baseline = Configuration.from_values({"padding": [2, 0, 0], "precision": "bfloat16"}).values()
    described = space_of(
        {"dropout": definition("float", 0.0, 0.5)}, {"padding": [2, 0, 0], "precision": fixed}, baseline
    )
    resolution = Resolution(PrecisionRule("avx512_bf16", 1), (1, 28, 28), 10)
    found = around.narrowed(described, [{"dropout": 0.1}], 0.5, resolution)
    assert found["variants"]["baseline"]["precision"] == left


def test_conditional_parameter_with_one_value_left_keeps_its_condition():
    parameters = {
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "nesterov": {"type": "categorical", "choices": [False, True], "when": {"optimizer": "sgd"}},
    }
    found = around.narrowed(space_of(parameters), [{"optimizer": "adam"}, {"optimizer": "sgd", "nesterov": True}], 0.5)
    assert found["parameters"]["nesterov"] == {"type": "categorical", "choices": [True], "when": {"optimizer": "sgd"}}


@pytest.mark.parametrize("name", reader.names())
def test_every_space_that_ships_is_narrowed_to_a_file_that_loads_and_holds_its_best_point(name):
    space = reader.load(name)
    if not space.parameters:
        return
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    drawn = [space.suggest(study.ask()) for _ in range(6)]
    points = [space.decode(space.point(configuration)) for configuration in drawn]
    described = json.loads(json.dumps(space.describe()))  # as a study stores it
    narrowed = around.narrowed(described, points, 0.3)
    text = around.space_text(narrowed, Protocol(epochs=3), 'of "this"', "made\nby a test")
    found = reader.parse(text, name="around", file="around.toml")

    assert (found.title, found.protocol) == ('of "this"', Protocol(epochs=3))
    assert found.variants["baseline"].configuration == space.variants["baseline"].configuration
    assert found.variants.get("best", found.variants["baseline"]).configuration == drawn[0]
    assert found.point(drawn[0]) is not None
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=4))
    for _ in range(20):
        assert space.point(found.suggest(study.ask())) is not None


def test_argument_of_ones_own_network_that_is_none_keeps_that_default():
    fixed = {"family": "custom", "network": "nets:A", "code_sha256": 64 * "0", "width": None, "depth": 2}
    baseline = Configuration.from_values(fixed).values()
    described = {"fixed": fixed, "parameters": {}, "variants": {"baseline": baseline}}
    found = tomllib.loads(around.space_text(described, Protocol(), "own", "around"))
    assert found["model"] == {name: value for name, value in fixed.items() if name != "width"}
    assert "width" not in found["variants"]["baseline"]
