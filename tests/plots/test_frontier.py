import pytest

from sweeper.plots.frontier import MOST_NAMES, accuracy_and_cost
from tests.plots.drawn import assert_nothing_is_clipped, draw


def point(trial, cost, value, *, on_front=False, may_win=True):
    return {"trial": trial, "cost": cost, "value": value, "on_front": on_front, "may_win": may_win}


FRONT = [point(0, 100, 0.80, on_front=True), point(4, 900, 0.90, on_front=True)]
OTHERS = [point(1, 200, 0.79), point(2, 950, 0.85), point(3, 5000, 0.92, may_win=False)]


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_the_front_is_named_trial_by_trial_and_the_others_are_counted():
    figure = accuracy_and_cost([*FRONT, *OTHERS], "accuracy", "parameters", "maximize", 0.02)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["0", "4"]
    assert legend(figure) == [
        "beaten in both (2)", "may not win (1)", "Pareto front (2)", "not told apart from the best",
    ]  # fmt: skip
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "Parameters"
    assert_nothing_is_clipped(figure)


def test_far_worse_networks_are_arrows_at_the_edge():
    many = [point(number, 100 + number, 0.8 + number / 1000) for number in range(10, 40)]
    figure = accuracy_and_cost([*FRONT, *many, point(50, 300, 0.1)], "accuracy", "parameters", "maximize")
    assert "worse than shown (1)" in legend(figure)
    assert figure.axes[0].get_ylim()[0] > 0.5


def test_a_loss_is_better_below():
    figure = accuracy_and_cost(
        [point(0, 100, 0.9, on_front=True), point(1, 120, 0.5, on_front=True)], "loss", "latency", "minimize"
    )
    assert figure.axes[0].get_xscale() == "linear"
    assert_nothing_is_clipped(figure)


@pytest.mark.parametrize("n", [1, 40, 200])
def test_any_number_of_networks_stays_legible(n):
    points = [point(number, 1000 + 100 * number, 0.5 + number / 500, on_front=True) for number in range(n)]
    figure = accuracy_and_cost(points, "accuracy", "multiply_adds", "maximize", 0.01)
    draw(figure)
    names = [text.get_text() for text in figure.axes[0].texts]
    assert len(names) <= MOST_NAMES
    assert names[-1] == str(n - 1)


def test_a_picture_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one network"):
        accuracy_and_cost([], "accuracy", "parameters", "maximize")
