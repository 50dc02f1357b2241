import math

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from sweeper.plots.curves import head_accuracies, learning_curves, mean_learning_curves, overlaid_curves
from tests.plots.drawn import AWKWARD_NAMES, DRAWN_NAMES, assert_nothing_is_clipped, assert_nothing_overlaps, draw

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


@pytest.mark.parametrize("n_epochs", [1, 2, 15, 100])
def test_learning_curves_show_each_epoch_of_both_parts(n_epochs):
    figure = learning_curves(history(n_epochs), "Trial 3")
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
    figure = learning_curves(history(1), "Trial 3")
    for axes in figure.axes:
        parts = [line for line in axes.lines if line.get_label() in ("training", "validation")]
        assert [line.get_marker() for line in parts] == ["s", "o"]


def test_the_best_validation_epoch_is_marked_in_both_panels():
    epochs = history(5)
    epochs[2]["validation_accuracy"] = 0.987
    figure = learning_curves(epochs, "Trial 3")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation", "best: 98.70 %, epoch 3"]
    for axes in figure.axes:
        vertical = [line for line in axes.lines if list(line.get_xdata()) == [3, 3]]
        assert len(vertical) == 1


@pytest.mark.parametrize("bad", [NAN, math.inf])
def test_values_that_are_not_finite_leave_a_gap(bad):
    epochs = history(4)
    epochs[3] |= {"train_loss": bad, "validation_loss": bad, "validation_accuracy": bad}
    figure = learning_curves(epochs, "Diverged")
    assert "best: 86.67 %, epoch 3" in [text.get_text() for text in figure.legends[0].get_texts()]
    draw(figure)


def test_a_run_without_a_finite_value_still_draws():
    epochs = [dict.fromkeys(history(1)[0], NAN) | {"epoch": 1}]
    figure = learning_curves(epochs, "Diverged at once")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training", "validation"]
    draw(figure)


def test_a_training_without_a_validation_part_has_one_curve():
    epochs = [e | {name: NAN for name in e if name.startswith("validation")} for e in history(3)]
    figure = learning_curves(epochs, "Refit")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training"]
    assert [len(axes.get_lines()) for axes in figure.axes] == [1, 1]
    draw(figure)


@pytest.mark.parametrize(("first", "scale"), [(3.0, "linear"), (500.0, "log")])
def test_the_loss_is_logarithmic_only_over_a_wide_range(first, scale):
    epochs = history(3)
    epochs[0]["train_loss"] = first
    loss = learning_curves(epochs, "Trial 3").axes[0]
    assert loss.get_yscale() == scale
    assert ("logarithmic" in loss.get_ylabel()) == (scale == "log")


def test_learning_curves_need_an_epoch():
    with pytest.raises(ValueError, match="at least one epoch"):
        learning_curves([], "Trial 3")


def variant(name: str, *lengths: int) -> dict:
    return {"name": name, "trainings": [history(n) for n in lengths]}


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def note(figure: Figure) -> str:
    """The title of the legend, on one line."""
    return " ".join(figure.legends[0].get_title().get_text().split())


def scaled(n_epochs: int, factor: float) -> list[dict[str, float]]:
    return [
        {name: value if name == "epoch" else value * factor for name, value in e.items()} for e in history(n_epochs)
    ]


def band(axes: Axes, index: int = 0) -> dict[float, tuple[float, float]]:
    """Lower and upper edge by epoch of a panel's band."""
    found = [c for c in axes.collections if isinstance(c, PolyCollection)][index]
    edges: dict[float, list[float]] = {}
    for path in found.get_paths():
        for x, y in path.vertices:
            edges.setdefault(x, []).append(y)
    return {x: (min(ys), max(ys)) for x, ys in edges.items()}


def test_mean_curves_are_means_with_a_band_of_one_sample_standard_deviation():
    figure = mean_learning_curves([scaled(3, 0.9), scaled(3, 1.0), scaled(3, 1.1)], "relu")
    for axes, quantity in zip(figure.axes, ("loss", "accuracy"), strict=True):
        for i, part in enumerate(("train", "validation")):
            expected = [e[f"{part}_{quantity}"] for e in history(3)]
            np.testing.assert_allclose(axes.lines[i].get_ydata(), expected)
            # The deviation of 0.9, 1.0 and 1.1 is 0.1 with n - 1 below the sum of squares, 0.082 with n.
            low, high = np.transpose([band(axes, i)[epoch] for epoch in (1, 2, 3)])
            np.testing.assert_allclose(low, np.multiply(0.9, expected))
            np.testing.assert_allclose(high, np.multiply(1.1, expected))
    assert legend_texts(figure) == ["training", "validation"]
    assert note(figure) == "mean of 3 trainings; band: one standard deviation either side"
    assert figure.get_suptitle() == "relu"
    assert_nothing_overlaps(figure)


def test_an_epoch_counts_the_trainings_that_reached_it():
    figure = mean_learning_curves([scaled(2, 0.9), scaled(4, 1.1), scaled(3, 1.3)], "relu")
    loss = figure.axes[0]
    np.testing.assert_array_equal(loss.lines[0].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(loss.lines[0].get_ydata(), np.divide([1.1, 1.1, 1.2, 1.1], [1, 2, 3, 4]))
    # One training alone has no deviation.
    assert band(loss).keys() == {1, 2, 3}
    assert note(figure).endswith("each epoch over the trainings that reached it")
    assert_nothing_overlaps(figure)


@pytest.mark.filterwarnings("error")
def test_one_training_has_no_band():
    figure = mean_learning_curves([history(5)], "relu")
    assert [list(axes.collections) for axes in figure.axes] == [[], []]
    assert note(figure) == "1 training"
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize("bad", [NAN, math.inf])
def test_a_mean_with_a_value_that_is_not_finite_is_a_gap(bad):
    trainings = [scaled(5, 0.9), scaled(5, 1.1)]
    trainings[0][1]["train_loss"] = bad
    figure = mean_learning_curves(trainings, "relu")
    loss, accuracy = figure.axes
    assert np.isnan(loss.lines[0].get_ydata()).tolist() == [False, True, False, False, False]
    assert not np.isnan(loss.lines[1].get_ydata()).any()
    assert not np.isnan(accuracy.lines[0].get_ydata()).any()
    draw(figure)


def test_a_band_of_a_single_epoch_is_visible():
    figure = mean_learning_curves([scaled(1, 0.9), scaled(1, 1.1)], "relu")
    bars = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    deviation = math.sqrt(0.02)
    np.testing.assert_allclose(bars[0].get_segments(), [[[1, 1 - deviation], [1, 1 + deviation]]])
    assert_nothing_overlaps(figure)


def test_repeated_trainings_without_a_validation_part_have_one_curve():
    epochs = [e | {name: NAN for name in e if name.startswith("validation")} for e in history(3)]
    figure = mean_learning_curves([epochs, epochs], "Refit")
    assert legend_texts(figure) == ["training"]
    draw(figure)


@pytest.mark.parametrize(("trainings", "message"), [([], "at least one training"), ([[]], "at least one epoch")])
def test_mean_curves_need_trainings_with_epochs(trainings, message):
    with pytest.raises(ValueError, match=message):
        mean_learning_curves(trainings, "relu")


def test_overlaid_curves_show_every_variant_in_four_panels():
    variants = [variant("baseline", 4), {"name": "relu", "trainings": [scaled(3, 0.8), scaled(3, 1.0)]}]
    figure = overlaid_curves(variants, "All variants")
    keys = ["train_loss", "validation_loss", "train_accuracy", "validation_accuracy"]
    for axes, key in zip(figure.axes, keys, strict=True):
        baseline, relu = axes.lines
        np.testing.assert_array_equal(baseline.get_ydata(), [e[key] for e in history(4)])
        np.testing.assert_allclose(relu.get_ydata(), [0.9 * e[key] for e in history(3)])
        # The baseline has no band: it was trained once.
        assert [c.get_facecolor().tolist()[0][:3] for c in axes.collections if isinstance(c, PolyCollection)] == [
            list(to_rgb(relu.get_color()))
        ]
        part, quantity = key.replace("train", "training").split("_")
        assert axes.get_ylabel().startswith(f"{part.capitalize()} {quantity} (")
    assert legend_texts(figure) == ["baseline", "relu"]
    assert note(figure) == "mean of 1 to 2 trainings band: one standard deviation either side"
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize("lengths", [(1,), (1, 1), (15,), (9, 15, 12), (100, 100)])
def test_twelve_variants_of_any_lengths_stay_legible(lengths):
    figure = overlaid_curves([variant(f"variant {i}", *lengths) for i in range(12)], "All variants")
    assert len(legend_texts(figure)) == 12
    assert_nothing_overlaps(figure)


def test_awkward_names_stand_in_the_legend_as_far_as_fonts_have_them(usual_font_alone):
    figure = overlaid_curves([variant(name, 3) for name in AWKWARD_NAMES * 3], "About $x$ and $y$. " * 12)
    assert ["".join(text.split()) for text in legend_texts(figure)] == DRAWN_NAMES * 3
    assert not any(text.get_parse_math() for text in (*figure.legends[0].get_texts(), *figure.texts))
    assert_nothing_overlaps(figure)


def test_variants_share_their_scales_between_training_and_validation():
    variants = [variant("baseline", 3), variant("diverging", 3)]
    variants[1]["trainings"][0][0]["train_loss"] = 500.0
    train_loss, validation_loss, train_accuracy, validation_accuracy = overlaid_curves(variants, "All variants").axes
    assert (train_loss.get_yscale(), validation_loss.get_yscale()) == ("log", "log")
    assert "logarithmic" in train_loss.get_ylabel()
    assert train_accuracy.get_ylim() == validation_accuracy.get_ylim()


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ([], "at least one variant"),
        ([{"name": "relu", "trainings": []}], r"at least one training, got none \(variant relu\)"),
        ([{"name": "relu", "trainings": [[]]}], r"at least one epoch, got none \(variant relu\)"),
    ],
)
def test_overlaid_curves_need_variants_with_epochs(variants, message):
    with pytest.raises(ValueError, match=message):
        overlaid_curves(variants, "All variants")


def with_heads(epochs: list[dict[str, float]], *heads: str) -> list[dict[str, float]]:
    for e in epochs:
        for i, head in enumerate(heads):
            for part in ("train", "validation"):
                e[f"aux_{head}_{part}_accuracy"] = e[f"{part}_accuracy"] - 0.1 * (i + 1)
    return epochs


def test_each_head_stands_beside_the_output():
    epochs = with_heads(history(4), "conv2", "pool2")
    epochs[2]["aux_pool2_train_accuracy"] = NAN
    figure = head_accuracies(epochs, "Heads of 5.0")
    for axes, part in zip(figure.axes, ("train", "validation"), strict=True):
        for line, key in zip(axes.lines, ("", "aux_conv2_", "aux_pool2_"), strict=True):
            np.testing.assert_array_equal(line.get_ydata(), [e[f"{key}{part}_accuracy"] for e in epochs])
    assert [axes.get_ylabel().split()[0] for axes in figure.axes] == ["Training", "Validation"]
    assert legend_texts(figure) == ["output", "head at conv2", "head at pool2"]
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize("n_epochs", [1, 60])
def test_many_heads_stay_legible(n_epochs):
    figure = head_accuracies(with_heads(history(n_epochs), *(f"conv{i}" for i in range(1, 12))), "Heads")
    assert_nothing_overlaps(figure)


def test_heads_without_a_validation_part_have_one_panel():
    epochs = with_heads(history(3), *(f"conv{i}" for i in range(1, 8)))
    epochs = [{name: NAN if "validation" in name else value for name, value in e.items()} for e in epochs]
    figure = head_accuracies(epochs, "Heads")
    assert [axes.get_ylabel().split()[0] for axes in figure.axes] == ["Training"]
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize(("epochs", "message"), [([], "at least one epoch"), (history(2), "one auxiliary head")])
def test_head_accuracies_need_an_epoch_and_a_head(epochs, message):
    with pytest.raises(ValueError, match=message):
        head_accuracies(epochs, "Heads")
