import itertools

import optuna
import pytest

from sweeper.config import Configuration
from sweeper.spaces import reader
from tests.spaces.test_reader import EXAMPLE, minimal, parse


class Recorder:
    """A trial that always suggests the last choice or the upper end."""

    def __init__(self):
        self.asked = []

    def suggest_categorical(self, name, choices):
        self.asked.append(name)
        return choices[-1]

    def suggest_float(self, name, low, high, *, step, log):
        self.asked.append(name)
        return high

    def suggest_int(self, name, low, high, *, step, log):
        self.asked.append(name)
        return high


def test_array_choices_reach_the_storage_as_text_and_the_model_as_arrays():
    space = parse(EXAMPLE)
    trial = Recorder()
    configuration = space.suggest(trial)
    assert configuration.model.filters == (12, 32, 120)
    assert space.parameters["filters"].distribution.choices[0] == "[6,16,120]"
    assert configuration.model.dropout == 0.5


def test_conditional_parameter_exists_only_under_its_condition():
    space = parse(EXAMPLE)
    trial = Recorder()
    assert space.suggest(trial).train.momentum == 0.98  # the last optimizer is sgd
    assert "momentum" in trial.asked

    trial = Recorder()
    assert parse(EXAMPLE, "optimizer=sgd,adam").suggest(trial).train.momentum == 0.0
    assert "momentum" not in trial.asked


def test_condition_on_a_default_counts():
    space = parse(minimal(train="momentum = { low = 0.8, high = 0.9, when = { optimizer = 'adam' } }"))
    trial = Recorder()
    space.suggest(trial)
    assert trial.asked == ["momentum"]


def test_point_and_suggestion_are_inverse():
    space = parse(EXAMPLE)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(30):
        trial = study.ask()
        configuration = space.suggest(trial)
        assert space.point(configuration) == trial.params


@pytest.mark.parametrize(
    "fields",
    [
        {"dropout": 0.6},  # beyond the range
        {"filters": (6, 16, 84)},  # not among the choices
        {"hidden": (120,)},  # differs in what is fixed
        {"momentum": 0.9},  # searched, but not under this optimizer
        {"batch_size": 100},
    ],
)
def test_configuration_outside_the_space_is_no_point(fields):
    space = parse(EXAMPLE)
    values = space.variants["baseline"].configuration.values() | fields
    assert space.point(Configuration.from_values(values)) is None


def test_grid_is_the_product_of_choices_with_conditions():
    space = parse(
        EXAMPLE,
        *("filters=[6,16,120]", "kernel_size=5", "pooling=max", "batch_norm=false", "activation=relu,tanh"),
        *("dropout=0.1", "lr=0.01", "schedule=constant", "weight_decay=0.0", "batch_size=64"),
        *("optimizer=adam,sgd", "momentum={low=0.8,high=0.9,step=0.05,when={optimizer='sgd'}}"),
    )
    points = list(space.grid())
    assert len(points) == 2 * (1 + 3)
    assert len({tuple(sorted(p.items())) for p in points}) == len(points)
    assert all(("momentum" in p) == (p["optimizer"] == "sgd") for p in points)


def test_grid_over_a_continuous_parameter_is_refused_by_name():
    with pytest.raises(ValueError, match=r"dropout has infinitely many values"):
        reader.load("lenet5").grid()


def test_stepped_floats_are_exact_and_within_the_range():
    parameter = parse(minimal("dropout = { low = 0.1, high = 0.7, step = 0.1 }")).parameters["dropout"]
    grid = list(parameter.grid())
    assert grid == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert parameter.n_values == len(grid)
    assert all(parameter.contains(value) for value in grid)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("{ low = 2, high = 8, step = 3 }", [2, 5, 8]),
        ("{ low = 1, high = 4, log = true }", [1, 2, 3, 4]),
        ("{ low = 3, high = 3 }", [3]),
        ("{ choices = [5, 3] }", [5, 3]),
    ],
)
def test_grid_of_a_parameter_has_its_values_in_order(words, values):
    parameter = parse(minimal(train=f"step_size = {words}")).parameters["step_size"]
    assert list(parameter.grid()) == values
    assert parameter.n_values == len(values)


def test_grid_over_a_billion_values_comes_one_by_one():
    space = parse(minimal(train="batch_size = { low = 1, high = 1000000000 }\nlr = { choices = [0.1, 0.2] }"))
    first = list(itertools.islice(space.grid(), 3))
    assert first == [{"batch_size": 1, "lr": 0.1}, {"batch_size": 1, "lr": 0.2}, {"batch_size": 2, "lr": 0.1}]
