import json

import pytest

from sweeper.config import Configuration
from sweeper.events import State
from sweeper.models import families, layers
from sweeper.studies.frontier import frontier
from sweeper.studies.network_input import NetworkInput
from sweeper.studies.trial_records import TrialRecord

INPUT = NetworkInput((1, 28, 28), 10, 600)


def trial(number, value, hidden, *, state=State.COMPLETE, feasible=True, **more):
    configuration = Configuration.from_values({"family": "mlp", "hidden": (hidden,), **more})
    n_parameters = layers.n_parameters(families.trace(configuration.model, INPUT.input_shape, INPUT.n_classes))
    return TrialRecord(
        number, state, value, {}, "baseline" if not number else None, configuration, "", feasible, 0, 3,
        n_parameters=n_parameters,
    )  # fmt: skip


TRIALS = [
    trial(0, 0.80, 4), trial(1, 0.90, 16), trial(2, 0.85, 32), trial(3, 0.90, 64), trial(4, 0.95, 128),
    trial(5, 0.99, 8, state=State.PRUNED), trial(6, 0.99, 8, feasible=False), trial(7, None, 2, state=State.FAILED),
]  # fmt: skip


def on_front(found):
    return [point.trial for point in found.front]


def test_only_trials_that_no_other_beats_in_both_are_on_the_front_the_cheapest_first():
    found = frontier(TRIALS, "accuracy")
    assert on_front(found) == [0, 1, 4]
    assert [point.trial for point in found.points] == [0, 6, 1, 2, 3, 4]


def test_the_lowest_loss_is_the_best():
    assert on_front(frontier(TRIALS[:5], "loss")) == [0]


def test_a_network_that_may_not_win_is_shown_but_not_on_the_front():
    found = frontier([trial(0, 0.99, 4, feasible=False), trial(1, 0.5, 8)], "accuracy")
    assert [(point.trial, point.on_front) for point in found.points] == [(0, False), (1, True)]


def test_a_configuration_is_shown_once_with_the_first_of_its_trials():
    assert [point.trial for point in frontier([trial(0, 0.8, 4), trial(1, 0.8, 4)], "accuracy").points] == [0]


def test_of_networks_at_the_same_cost_the_best_is_on_the_front():
    found = frontier([trial(0, 0.8, 4), trial(1, 0.9, 4, activation="tanh")], "accuracy")
    assert on_front(found) == [1]


def test_each_network_is_measured_once_however_it_was_trained():
    asked = []

    def measure(model):
        asked.append(model)
        return 10.0 / len(asked)

    trials = [trial(0, 0.8, 4), trial(1, 0.7, 4, lr=0.1), trial(2, 0.9, 4, dropout=0.3), trial(3, 0.6, 8)]
    found = frontier(trials, "accuracy", "latency", INPUT, measure)
    assert len(asked) == 2
    assert [(p.trial, p.milliseconds) for p in found.points] == [(3, 5.0), (2, 10.0), (0, 10.0), (1, 10.0)]
    assert on_front(found) == [3, 2]


def test_multiply_adds_need_the_size_of_the_images():
    assert frontier(TRIALS, "accuracy", "multiply_adds", INPUT).points[0].n_multiply_adds == 784 * 4 + 4 * 10
    with pytest.raises(ValueError, match=r"trial 6 has no multiply-adds"):
        frontier(TRIALS, "accuracy", "multiply_adds")


def test_differences_of_scores_within_the_noise_of_the_validation_images_are_told_as_a_number():
    found = frontier(TRIALS, "accuracy", "parameters", INPUT)
    assert found.noise == pytest.approx(1.96 * (2 * 0.95 * 0.05 / 600) ** 0.5)
    assert frontier(TRIALS, "macro_f1", "parameters", INPUT).noise is None


@pytest.mark.parametrize("trials", [[], TRIALS[7:]])
def test_a_study_without_complete_trials_has_an_empty_frontier(trials):
    found = frontier(trials, "accuracy", "parameters", INPUT)
    assert json.loads(json.dumps(found.as_json()))["points"] == []
