import math
from dataclasses import replace

import pytest

from sweeper.config import Configuration
from sweeper.errors import UsageError
from sweeper.studies.trial_list import from_baseline, ordered, parameters, rows
from sweeper.studies.trial_records import TrialRecord


def trial(number, value=None, state="complete", *, variant=None, **params):
    configuration = Configuration.from_values(params)
    return TrialRecord(
        number, state, value, params if variant is None else {}, variant, configuration, "", True, 0, 4, seconds=number
    )


FOUND = [
    trial(0, 0.9, lr=0.1, optimizer="sgd", momentum=0.85),
    trial(1, 0.99, "pruned", lr=0.01, optimizer="adam"),
    trial(2, 0.95, lr=0.2, optimizer="adam"),
    trial(3, None, "pruned", lr=0.001, optimizer="sgd", momentum=0.95),
    trial(4, math.nan, "pruned", lr=0.3, optimizer="adam"),
    trial(5, 0.9, lr=0.4, optimizer="adam"),
]


@pytest.mark.parametrize(
    ("metric", "sort", "numbers"),
    [
        ("accuracy", "number", [0, 1, 2, 3, 4, 5]),
        ("accuracy", "value", [2, 0, 5, 1, 3, 4]),
        ("accuracy", "accuracy", [2, 0, 5, 1, 3, 4]),
        ("accuracy", "-value", [0, 5, 2, 1, 3, 4]),
        ("loss", "value", [0, 5, 2, 1, 3, 4]),
        ("accuracy", "-seconds", [5, 4, 3, 2, 1, 0]),
        ("accuracy", "state", [0, 2, 5, 1, 3, 4]),
        ("accuracy", "lr", [3, 1, 0, 2, 4, 5]),
        ("accuracy", "-lr", [5, 4, 2, 0, 1, 3]),
        ("accuracy", "momentum", [0, 3, 1, 2, 4, 5]),
    ],
)
def test_trials_without_what_is_sorted_by_come_last(metric, sort, numbers):
    assert [found.number for found in ordered(FOUND, metric, sort)] == numbers


def test_parameters_of_several_types_are_sorted():
    lists = [trial(0, filters=[12, 32]), trial(1, filters=[6, 16]), trial(2, filters=[6])]
    assert [found.number for found in ordered(lists, "accuracy", "filters")] == [2, 1, 0]


@pytest.mark.parametrize("sort", ["nope", "", "-", "--value", "loss"])
def test_unknown_key_is_refused_with_the_known_ones(sort):
    with pytest.raises(UsageError, match=r"--sort must be one of value, number, .* optimizer, lr, momentum.* got '"):
        ordered(FOUND, "accuracy", sort)


def test_what_differs_from_the_baseline_leaves_out_what_does_not_apply():
    baseline = trial(0, 0.9, variant="baseline", lr=0.1, optimizer="sgd", momentum=0.85)
    conditional, without = trial(1, lr=0.2, optimizer="sgd", momentum=0.95), trial(2, lr=0.1, optimizer="adam")
    told = from_baseline([baseline, conditional, without])
    assert told == {0: "", 1: "lr 0.2, momentum 0.95", 2: "optimizer adam"}


def test_a_conditional_parameter_has_no_value_where_it_does_not_apply():
    assert parameters(FOUND)["momentum"] == [0.85, None, None, 0.95, None, None]
    assert list(parameters(FOUND)) == ["optimizer", "lr", "momentum"]


def test_what_a_variant_changes_stands_among_the_parameters():
    waiting = replace(trial(2), configuration=None)
    found = parameters([trial(0, variant="baseline"), trial(1, variant="wide", hidden=(120,)), waiting])
    assert found == {"hidden": [(84,), (120,), None]}


def test_rows_keep_all_digits_and_tell_a_metric_from_a_parameter_of_its_name():
    measured = replace(FOUND[0], metrics={"lr": 0.1 / 3}, seconds=1.23456789)
    first, second = rows([measured, FOUND[1]])
    assert (first["metrics.lr"], first["params.lr"], first["seconds"]) == (0.1 / 3, 0.1, 1.23456789)
    assert (second["metrics.lr"], second["params.momentum"], second["value"]) == (None, None, 0.99)
    assert list(first) == list(second)
