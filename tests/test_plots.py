import io
import itertools
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sweeper import plots

CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
NAN = math.nan


def history(n_epochs: int) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "train_loss": 1.0 / epoch,
            "validation_loss": 1.1 / epoch,
            "train_accuracy": 1 - 0.3 / epoch,
            "validation_accuracy": 1 - 0.4 / epoch,
            "lr": 1e-3,
        }
        for epoch in range(1, n_epochs + 1)
    ]


def draw(figure: Figure) -> None:
    """Renders as a log of the run would, with every warning (clipped layout, missing glyph) an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), format="png")


def assert_nothing_is_clipped(figure: Figure) -> None:
    renderer = FigureCanvasAgg(figure).get_renderer()
    draw(figure)
    drawn = figure.get_tightbbox(renderer)
    width, height = figure.get_size_inches()
    assert drawn.x0 >= 0
    assert drawn.y0 >= 0
    assert drawn.x1 <= width
    assert drawn.y1 <= height


def test_importing_plots_leaves_pyplot_alone():
    code = "import sys, sweeper.plots; print('matplotlib.pyplot' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


@pytest.mark.parametrize("n_epochs", [1, 2, 15, 100])
def test_learning_curves_show_each_epoch_of_both_parts(n_epochs):
    figure = plots.learning_curves(history(n_epochs), "Trial 3")
    loss, accuracy = figure.axes
    for axes, quantity in ((loss, "loss"), (accuracy, "accuracy")):
        lines = {line.get_label(): line for line in axes.lines}
        for label, part in (("training", "train"), ("validation", "validation")):
            np.testing.assert_array_equal(lines[label].get_xdata(), range(1, n_epochs + 1))
            expected = [epoch[f"{part}_{quantity}"] for epoch in history(n_epochs)]
            np.testing.assert_array_equal(lines[label].get_ydata(), expected)
        assert axes.get_xlabel() == "Epoch"
    assert "nats" in loss.get_ylabel()
    assert "%" in accuracy.get_ylabel()
    assert figure.get_suptitle() == "Trial 3"
    assert_nothing_is_clipped(figure)


def test_one_epoch_is_visible_as_a_point():
    figure = plots.learning_curves(history(1), "Trial 3")
    for axes in figure.axes:
        parts = [line for line in axes.lines if line.get_label() in ("training", "validation")]
        assert [line.get_marker() for line in parts] == ["s", "o"]


def test_the_best_validation_epoch_is_marked_in_both_panels():
    epochs = history(5)
    epochs[2]["validation_accuracy"] = 0.987
    figure = plots.learning_curves(epochs, "Trial 3")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation", "best: 98.70%, epoch 3"]
    for axes in figure.axes:
        vertical = [line for line in axes.lines if list(line.get_xdata()) == [3, 3]]
        assert len(vertical) == 1


@pytest.mark.parametrize("bad", [NAN, math.inf])
def test_values_that_are_not_finite_leave_a_gap(bad):
    epochs = history(4)
    epochs[3] |= {"train_loss": bad, "validation_loss": bad, "validation_accuracy": bad}
    figure = plots.learning_curves(epochs, "Diverged")
    assert "best: 86.67%, epoch 3" in [text.get_text() for text in figure.legends[0].get_texts()]
    draw(figure)


def test_a_run_without_a_finite_value_still_draws():
    epochs = [dict.fromkeys(history(1)[0], NAN) | {"epoch": 1}]
    figure = plots.learning_curves(epochs, "Diverged at once")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training", "validation"]
    draw(figure)


def test_a_training_without_a_validation_part_has_one_curve():
    epochs = [e | {name: NAN for name in e if name.startswith("validation")} for e in history(3)]
    figure = plots.learning_curves(epochs, "Refit")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training"]
    assert [len(axes.get_lines()) for axes in figure.axes] == [1, 1]
    draw(figure)


@pytest.mark.parametrize(("first", "scale"), [(3.0, "linear"), (500.0, "log")])
def test_the_loss_is_logarithmic_only_over_a_wide_range(first, scale):
    epochs = history(3)
    epochs[0]["train_loss"] = first
    loss = plots.learning_curves(epochs, "Trial 3").axes[0]
    assert loss.get_yscale() == scale
    assert ("logarithmic" in loss.get_ylabel()) == (scale == "log")


def test_learning_curves_need_an_epoch():
    with pytest.raises(ValueError, match="at least one epoch"):
        plots.learning_curves([], "Trial 3")


def test_the_confusion_matrix_tells_counts_and_largest_confusions():
    matrix = np.diag(np.full(10, 90))
    matrix[6, 0] = 12
    matrix[0, 6] = 7
    figure = plots.confusion_matrix(matrix, CLASSES, "Trial 3")
    axes = figure.axes[0]
    cells = {(text.get_position()[::-1], text.get_text()) for text in axes.texts}
    assert cells == {((i, i), "90") for i in range(10)} | {((6, 0), "12"), ((0, 6), "7")}
    assert [label.get_text() for label in axes.get_xticklabels()] == CLASSES
    assert [label.get_text() for label in axes.get_yticklabels()] == CLASSES
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted class", "True class")
    assert figure.get_supxlabel().splitlines()[1:] == [
        "Shirt taken for T-shirt/top: 12 of 102",
        "T-shirt/top taken for Shirt: 7 of 97",
    ]
    assert_nothing_is_clipped(figure)


def test_colours_are_shares_of_the_true_class_even_where_it_has_no_image():
    figure = plots.confusion_matrix(np.array([[3, 1], [0, 0]]), ["cat", "dog"], "Trial 3")
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[0.75, 0.25], [0, 0]])
    draw(figure)


def test_a_perfect_confusion_matrix_says_so():
    figure = plots.confusion_matrix(np.diag([3, 4]), ["cat", "dog"], "Trial 3")
    assert figure.get_supxlabel() == "No confusions"


@pytest.mark.parametrize(("n_classes", "n_names"), [(20, 20), (21, 21), (100, 100), (250, 84)])
def test_any_number_of_classes_stays_legible(n_classes, n_names):
    names = [f"aquarium fish {i}" for i in range(n_classes)]
    figure = plots.confusion_matrix(np.full((n_classes, n_classes), 3), names, "Trial 3")
    axes = figure.axes[0]
    assert len(axes.texts) == (n_classes**2 if n_classes <= 20 else 0)
    assert len(axes.get_xticklabels()) == n_names
    assert_nothing_is_clipped(figure)
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(boxes))
    assert max(figure.get_size_inches()) < 22


def test_a_very_long_class_name_is_cut_to_fit():
    names = ["a name of a class that goes on for ever and ever", "dog"]
    figure = plots.confusion_matrix(np.eye(2, dtype=int), names, "Trial 3")
    assert figure.axes[0].get_xticklabels()[0].get_text() == "a name of a class..."
    assert_nothing_is_clipped(figure)


def test_a_matrix_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 3\) for 3 classes, got \(2, 2\)"):
        plots.confusion_matrix(np.eye(2, dtype=int), ["a", "b", "c"], "Trial 3")


def points(figure: Figure, label: str) -> list[tuple[float, float]]:
    (found,) = [c for c in figure.axes[0].collections if c.get_label() == label]
    return [(float(x), float(y)) for x, y in found.get_offsets()]


@pytest.mark.parametrize(
    ("direction", "so_far"), [("maximize", [0.8, 0.9, 0.9, 0.9]), ("minimize", [0.8, 0.8, 0.7, 0.7])]
)
def test_the_best_so_far_knows_completed_trials_only(direction, so_far):
    figure = plots.optimization_history(
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
    figure = plots.optimization_history([2, 0], [0.9, 0.8], ["complete"] * 2, "accuracy", "maximize")
    (best,) = figure.axes[0].lines
    assert list(best.get_ydata()) == [0.8, 0.9, 0.9]


def test_failed_trials_and_missing_values_are_left_out():
    figure = plots.optimization_history(
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
    figure = plots.optimization_history(range(5), values, ["complete"] * 5, "accuracy", direction)
    axes = figure.axes[0]
    ((number, edge),) = points(figure, "complete, worse than shown (1)")
    low, high = axes.get_ylim()
    assert number == 4
    assert low < edge < high
    assert high - low < 0.05
    assert "complete (5)" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_values_better_than_any_completed_trial_are_never_cut():
    figure = plots.optimization_history(
        range(4), [0.90, 0.91, 0.99, 0.5], ["complete", "complete", "pruned", "pruned"], "accuracy", "maximize"
    )
    assert (2, 0.99) in points(figure, "pruned (2)")
    assert figure.axes[0].get_ylim()[1] > 0.99


@pytest.mark.parametrize(
    ("numbers", "values", "states"),
    [([0], [0.9], ["complete"]), ([0], [0.9], ["pruned"]), ([0, 1], [0.9, 0.9], ["complete", "pruned"])],
)
def test_the_smallest_histories_draw(numbers, values, states):
    figure = plots.optimization_history(numbers, values, states, "accuracy", "maximize")
    assert_nothing_is_clipped(figure)


@pytest.mark.parametrize(("values", "states"), [([], []), ([None], ["failed"])])
def test_a_history_without_values_says_so(values, states):
    figure = plots.optimization_history(range(len(values)), values, states, "accuracy", "maximize")
    assert [text.get_text() for text in figure.axes[0].texts] == ["No trial has a value yet"]
    draw(figure)


@pytest.mark.parametrize(
    ("metric", "label"),
    [
        ("accuracy", "Validation accuracy (share of images)"),
        ("macro_f1", "Validation macro F1 (share of 1)"),
        ("loss", "Validation loss (nats)"),
        ("latency", "latency"),
    ],
)
def test_the_history_names_its_metric(metric, label):
    axes = plots.optimization_history([0], [0.9], ["complete"], metric, "maximize").axes[0]
    assert axes.get_ylabel() == label
    assert axes.get_xlabel() == "Trial number"


def test_an_unknown_direction_is_refused():
    with pytest.raises(ValueError, match="maximize or minimize, got 'up'"):
        plots.optimization_history([0], [0.9], ["complete"], "accuracy", "up")


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        plots.optimization_history([0, 1], [0.9], ["complete", "complete"], "accuracy", "maximize")


def test_the_largest_importance_is_on_top_and_undefined_ones_last():
    figure = plots.parameter_importance(
        {"dropout": 0.2, "momentum": NAN, "lr": 0.7, "pooling": 0.1}, "score after epoch 1, 50 trials"
    )
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["lr", "dropout", "pooling", "momentum"]
    assert axes.yaxis_inverted()
    assert [bar.get_width() for bar in axes.patches] == [0.7, 0.2, 0.1, 0.0]
    assert [text.get_text() for text in axes.texts] == ["0.700", "0.200", "0.100", "undefined"]
    assert "share" in axes.get_xlabel()
    assert_nothing_is_clipped(figure)


@pytest.mark.parametrize("n", [1, 30])
def test_any_number_of_importances_fits(n):
    assert_nothing_is_clipped(plots.parameter_importance({f"a_long_parameter_name_{i}": 1 / n for i in range(n)}, "x"))


def test_importance_needs_a_parameter():
    with pytest.raises(ValueError, match="at least one parameter"):
        plots.parameter_importance({}, "score after epoch 1, 50 trials")
