import math

import pytest
from matplotlib.colors import to_hex

from sweeper.plots.importance import BAND, MOST_BARS, parameter_importance
from sweeper.plots.panels import BLUE, GREY
from tests.plots.drawn import assert_nothing_is_clipped

NAN = math.nan
BASIS = "validation accuracy after epoch 1 of 15, 50 trials"


def test_the_largest_importance_is_on_top_and_undefined_ones_last():
    figure = parameter_importance(
        {"dropout": 0.2, "momentum": NAN, "lr": 0.7, "pooling": 0.1}, "score after epoch 1, 50 trials"
    )
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["lr  0.70", "dropout  0.20", "pooling  0.10", "momentum  undefined"]
    assert axes.yaxis_inverted()
    assert [round(bar.get_width(), 9) for bar in axes.patches] == [0.7, 0.2, 0.1, 0.0]
    assert axes.get_xlabel() == "Share of the variation of score after epoch 1, 50 trials"
    assert_nothing_is_clipped(figure)


@pytest.mark.parametrize("n", [1, 30])
def test_any_number_of_importances_fits(n):
    assert_nothing_is_clipped(parameter_importance({f"a_long_parameter_name_{i}": 1 / n for i in range(n)}, "x"))


def test_importance_needs_a_parameter():
    with pytest.raises(ValueError, match="at least one parameter"):
        parameter_importance({}, "score after epoch 1, 50 trials")


def test_a_bar_within_the_band_of_chance_is_grey_and_the_band_is_drawn():
    figure = parameter_importance(
        {"lr": 0.6, "pooling": 0.2}, BASIS, {"lr": 0.1, "pooling": 0.05}, {"lr": 0.4, "pooling": 0.3}, "a forest"
    )
    axes = figure.axes[0]
    bars = [(to_hex(bar.get_facecolor()).upper(), bar.get_x(), round(bar.get_width(), 9)) for bar in axes.patches]
    assert bars == [(BLUE, 0, 0.6), (GREY, 0, 0.2), (BAND, 0.1, 0.3), (BAND, 0.05, 0.25)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "more than chance", "no more than chance", "what chance gives",
    ]  # fmt: skip
    assert axes.get_xlabel().endswith("50 trials\nby a forest")
    assert_nothing_is_clipped(figure)


def test_of_many_parameters_the_largest_are_drawn_and_the_others_counted():
    figure = parameter_importance({f"p{i}": (i + 1) / 1000 for i in range(MOST_BARS + 3)}, BASIS)
    axes = figure.axes[0]
    assert next(label.get_text() for label in axes.get_yticklabels()) == f"p{MOST_BARS + 2}  0.02"
    assert len(axes.patches) == MOST_BARS
    assert axes.get_title() == "Parameter importance (3 smaller ones left out)"
