import math

import pytest
from matplotlib.figure import Figure

from sweeper.plots.study import optimization_history
from tests.plots.drawn import assert_nothing_is_clipped, draw

NAN = math.nan


def points(figure: Figure, label: str) -> list[tuple[float, float]]:
    (found,) = [c for c in figure.axes[0].collections if c.get_label() == label]
    return [(float(x), float(y)) for x, y in found.get_offsets()]


@pytest.mark.parametrize(
    ("direction", "so_far"), [("maximize", [0.8, 0.9, 0.9, 0.9]), ("minimize", [0.8, 0.8, 0.7, 0.7])]
)
def test_the_best_so_far_knows_completed_trials_only(direction, so_far):
    figure = optimization_history(
        [0, 1, 2, 3, 4],
        [0.8, 0.9, 0.95, 0.7, 0.6],
        ["complete", "complete", "pruned", "complete", "pruned"],
        "accuracy",
        direction,
    )
    (best,) = figure.axes[0].lines
    assert list(best.get_xdata()) == [0, 1, 3, 4]
    assert list(best.get_ydata()) == so_far
    assert points(figure, "complete (3)") == [(0, 0.8), (1, 0.9), (3, 0.7)]


def test_trials_are_drawn_by_number_whatever_their_order():
    figure = optimization_history([2, 0], [0.9, 0.8], ["complete"] * 2, "accuracy", "maximize")
    (best,) = figure.axes[0].lines
    assert list(best.get_ydata()) == [0.8, 0.9, 0.9]


def test_failed_trials_and_missing_values_are_left_out():
    figure = optimization_history(
        [0, 1, 2, 3, 4],
        [0.8, None, NAN, math.inf, 0.9],
        ["complete", "pruned", "complete", "pruned", "failed"],
        "accuracy",
        "maximize",
    )
    (found,) = figure.axes[0].collections
    assert found.get_offsets().tolist() == [[0, 0.8]]
    draw(figure)


@pytest.mark.parametrize(("direction", "outlier"), [("maximize", 0.1), ("minimize", 50.0)])
def test_an_outlier_stands_at_the_edge_and_leaves_the_rest_its_room(direction, outlier):
    values = [0.90, 0.91, 0.92, 0.93, outlier]
    figure = optimization_history(range(5), values, ["complete"] * 5, "accuracy", direction)
    axes = figure.axes[0]
    ((number, edge),) = points(figure, "complete, worse than shown (1)")
    low, high = axes.get_ylim()
    assert number == 4
    assert low < edge < high
    assert high - low < 0.05
    assert "complete (4)" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_each_trial_is_counted_once():
    values = [0.91, 0.92, *(0.88 + 0.001 * i for i in range(11)), *(0.01 * i for i in range(10))]
    figure = optimization_history(range(23), values, ["complete"] * 2 + ["pruned"] * 21, "accuracy", "maximize")
    drawn = {str(group.get_label()): len(group.get_offsets()) for group in figure.axes[0].collections}
    assert drawn == {"pruned (11)": 11, "pruned, worse than shown (10)": 10, "complete (2)": 2}


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_no_trial_is_cut_where_all_have_room(direction):
    values = [0.83, 0.61, 0.84, 0.78, 0.35, 0.80]
    states = ["complete", "pruned", "complete", "complete", "pruned", "complete"]
    if direction == "minimize":
        values = [-value for value in values]
    figure = optimization_history(range(6), values, states, "loss", direction)
    assert points(figure, "pruned (2)") == [(1, values[1]), (4, values[4])]
    low, high = figure.axes[0].get_ylim()
    assert low < min(values) < max(values) < high


def test_values_better_than_any_completed_trial_are_never_cut():
    figure = optimization_history(
        range(4), [0.90, 0.91, 0.99, 0.5], ["complete", "complete", "pruned", "pruned"], "accuracy", "maximize"
    )
    assert (2, 0.99) in points(figure, "pruned (2)")
    assert figure.axes[0].get_ylim()[1] > 0.99


@pytest.mark.parametrize(
    ("numbers", "values", "states"),
    [([0], [0.9], ["complete"]), ([0], [0.9], ["pruned"]), ([0, 1], [0.9, 0.9], ["complete", "pruned"])],
)
def test_the_smallest_histories_draw(numbers, values, states):
    figure = optimization_history(numbers, values, states, "accuracy", "maximize")
    assert_nothing_is_clipped(figure)


@pytest.mark.parametrize(("values", "states"), [([], []), ([None], ["failed"])])
def test_a_history_without_values_says_so(values, states):
    figure = optimization_history(range(len(values)), values, states, "accuracy", "maximize")
    assert [text.get_text() for text in figure.axes[0].texts] == ["No trial has a value yet"]
    draw(figure)


@pytest.mark.parametrize(
    ("metric", "label"),
    [
        ("accuracy", "Validation accuracy (% of images)"),
        ("balanced_accuracy", "Validation balanced accuracy (%)"),
        ("macro_f1", "Validation macro F1 (%)"),
        ("loss", "Validation loss (nats)"),
        ("latency", "latency"),
    ],
)
def test_the_history_names_its_metric(metric, label):
    axes = optimization_history([0], [0.9], ["complete"], metric, "maximize").axes[0]
    assert axes.get_ylabel() == label
    assert axes.get_xlabel() == "Trial number"


def test_an_unknown_direction_is_refused():
    with pytest.raises(ValueError, match="maximize or minimize, got 'up'"):
        optimization_history([0], [0.9], ["complete"], "accuracy", "up")


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        optimization_history([0, 1], [0.9], ["complete", "complete"], "accuracy", "maximize")
