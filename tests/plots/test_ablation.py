import pytest

from sweeper.plots.ablation import WORDS, ablation
from tests.plots.drawn import assert_nothing_overlaps

WORTH = {"change": "lr 0.01 instead of 0.001", "difference": 0.089, "low": 0.047, "high": 0.13, "verdict": "worth it"}
HARMFUL = {"change": "optimizer sgd instead of adam", "difference": -0.04, "low": -0.07, "high": -0.01} | {
    "verdict": "harmful"
}
UNDECIDED = {"change": "dropout 0.2 instead of 0", "difference": 0.0, "low": -0.02, "high": 0.02} | {
    "verdict": "undecided"
}
NEEDED = {"change": "batch_norm true instead of false", "difference": None, "low": None, "high": None} | {
    "verdict": "needed"
}
UNTRIED = NEEDED | {"change": "padding [2,0] instead of 0", "verdict": "untried"}
ROWS = [WORTH, UNDECIDED, HARMFUL, NEEDED, UNTRIED]


def intervals(axes):
    """The ends of the intervals from the top; the first line is that of no difference."""
    return [[round(x, 6) for x in line.get_xdata()] for line in axes.lines[1:]]


def test_differences_have_their_intervals_in_points_beside_the_line_at_none():
    figure = ablation(ROWS, "accuracy", "t")
    (axes,) = figure.axes
    assert list(axes.lines[0].get_xdata()) == [0, 0]
    assert intervals(axes) == [[4.7, 13.0], [-2.0, 2.0], [-7.0, -1.0]]
    points = [tuple(round(float(x), 6) for x in offset) for c in axes.collections for offset in c.get_offsets()]
    assert points == [(8.9, 0.0), (0.0, 1.0), (-4.0, 2.0)]
    assert [label.get_text() for label in axes.get_yticklabels()] == [row["change"] for row in ROWS]
    assert [text.get_text() for text in axes.texts] == [WORDS["needed"], WORDS["untried"]]
    assert axes.yaxis_inverted()
    assert "points of accuracy" in axes.get_xlabel()
    assert_nothing_overlaps(figure)


def test_of_a_loss_less_is_better():
    row = WORTH | {"difference": -0.1, "low": -0.2, "high": -0.01}
    (axes,) = ablation([row, NEEDED], "loss", "t").axes
    assert intervals(axes) == [[-0.2, -0.01]]
    assert "nats of loss" in axes.get_xlabel()
    assert "left of 0: the choice helps" in axes.get_xlabel()


def test_a_verdict_is_named_once_and_a_difference_without_interval_is_a_point():
    rows = [UNDECIDED | {"low": None, "high": None}, UNDECIDED]
    (axes,) = ablation(rows, "accuracy", "t").axes
    assert len(intervals(axes)) == 1
    assert sum(len(c.get_offsets()) for c in axes.collections) == 2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["undecided"]


@pytest.mark.parametrize("dark", [False, True])
def test_many_choices_with_long_values_stay_legible(dark):
    from sweeper.plots import Plot

    rows = [row | {"change": f"{row['change']} {'[64,128,256] ' * 12}"} for row in ROWS * 4]
    figure = Plot("ablation", {"rows": rows, "metric": "accuracy", "title": "What each choice is worth"}).draw(dark)
    assert_nothing_overlaps(figure)
    (axes,) = figure.axes
    assert all(label.get_text().endswith("…") for label in axes.get_yticklabels())


def test_an_ablation_without_choices_is_refused():
    with pytest.raises(ValueError, match="at least one choice, got none"):
        ablation([], "accuracy", "t")
