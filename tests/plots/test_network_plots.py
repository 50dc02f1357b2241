"""Plots of what networks see and confuse: legible for 2, 10 and 100 classes and for any names."""

import io
import itertools
from xml.etree import ElementTree

import numpy as np
import pytest

from sweeper.plots import Plot
from tests.plots.drawn import AWKWARD_NAMES, assert_nothing_is_clipped, draw
from tests.plots.test_plots import ARGUMENTS

CLASSES = {
    2: ["日本語の長い長い名前のクラス", "dog"],
    10: [*AWKWARD_NAMES, "bag"],
    100: [f"aquarium fish {i}" for i in range(100)],
}
NAMES = ["champion (trial 7)", "$x$ a long name of a network, sweeper-fashion_mnist-lenet5@champion (version 3)"]
generator = np.random.default_rng(0)


def scores(n):
    accuracy = np.linspace(0, 1, n)
    return {"accuracy": accuracy.tolist(), "low": (accuracy / 2).tolist(), "high": accuracy.tolist(), "f1": [0.5] * n}


def tile(place, n, form=(1, 28, 28)):
    names = [CLASSES[n][(place + i) % n] for i in range(min(n, 4))]
    image = generator.integers(0, 256, form).tolist()
    return {"image": image, "name": AWKWARD_NAMES[place % 9], "true": names[place % 2], "classes": names,
            "probabilities": [0.9, 0.05, 0.03, 0.02][: len(names)]}  # fmt: skip


def layer(n, height, k):
    maps = generator.integers(0, 256, (k, height, height)).tolist()
    return {"layer": f"conv{n}", "channels": n, "height": height, "width": height, "shown": list(range(k)),
            "maps": maps, "low": -0.1234567, "high": 1234.567}  # fmt: skip


def reliability(name):
    ends = np.linspace(0, 1, 16)
    bins = [{"low": low, "high": high, "n": 9000, "confidence": (low + high) / 2, "accuracy": low, "accuracy_low": low,
             "accuracy_high": high} for low, high in itertools.pairwise(ends)]  # fmt: skip
    return {"name": name, "error": 0.05, "bins": bins}


def arguments(function, n):
    classes = CLASSES[n]
    shown = min(n, 15)
    match function:
        case "confusion_matrices":
            matrix = (generator.integers(0, 9, (n, n)) + 90 * np.eye(n, dtype=int)).tolist()
            return {"networks": [{"name": name, "matrix": matrix} for name in NAMES], "classes": classes}
        case "class_scores":
            differences = {**scores(shown), "decided": [True, *[False] * (shown - 1)]}
            networks = [{"name": name, **scores(shown)} for name in NAMES]
            return {"networks": networks, "classes": classes[:shown], "differences": differences}
        case "embeddings":
            points, labels = generator.normal(size=(300, 2)).tolist(), (np.arange(300) % n).tolist()
            networks = [{"name": name, "points": points, "labels": labels} for name in NAMES]
            return {"networks": networks, "classes": classes, "named": list(range(shown))}
        case "image_probabilities":
            return {"tiles": [tile(place, n, (3, 32, 40) if n == 100 else (1, 28, 28)) for place in range(4)]}


@pytest.mark.parametrize("n", CLASSES)
@pytest.mark.parametrize("function", ["confusion_matrices", "class_scores", "embeddings", "image_probabilities"])
def test_any_number_of_classes_and_any_names_fit(function, n, usual_font_alone):
    figure = Plot(function, {**arguments(function, n), "title": "About $x and $y"}).draw()
    assert_nothing_is_clipped(figure)
    assert max(figure.get_size_inches()) < 45
    assert not any(text.get_parse_math() for text in figure.texts)


def test_layers_of_networks_of_different_depth_fit():
    networks = [
        {"name": NAMES[0], "prediction": f"says {AWKWARD_NAMES[2]}", "layers": [layer(6, 28, 6), layer(120, 1, 120)]},
        {"name": NAMES[1], "prediction": "says x", "layers": [layer(512, 7, 16)]},
    ]
    image = generator.integers(0, 256, (3, 32, 32)).tolist()
    figure = Plot("feature_maps", {"image": image, "networks": networks, "title": AWKWARD_NAMES[1]}).draw()
    assert_nothing_is_clipped(figure)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert "conv512: 16 of 512 channels of 7x7, -0.123 to 1.23e+03" in titles
    assert "conv120: 120 channels of 1x1, -0.123 to 1.23e+03" in titles


@pytest.mark.parametrize("n", [1, 3])
def test_reliability_of_up_to_three_networks_fits(n):
    networks = [reliability(name) for name in (*NAMES, "baseline")[:n]]
    figure = Plot("reliability_diagram", {"networks": networks, "title": "t"}).draw()
    assert_nothing_is_clipped(figure)
    assert "expected calibration error 5.0 %" in figure.axes[0].get_title()


@pytest.mark.parametrize("n", [1, 3])
def test_learning_curves_of_networks_name_each_best_epoch(n):
    epochs = [
        {"epoch": i, "train_loss": 1 / i, "validation_loss": 1.2 / i, "train_accuracy": 1 - 0.5 / i,
         "validation_accuracy": 0.8 - 0.01 * abs(i - 4)} for i in range(1, 9)
    ]  # fmt: skip
    networks = [{"name": name, "epochs": epochs} for name in (*NAMES, "baseline")[:n]]
    figure = Plot("learning_curves_of_networks", {"networks": networks, "title": "t"}).draw()
    assert_nothing_is_clipped(figure)
    legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes if axes.get_legend()]
    assert legends == [["training", "validation", "best: 80.00 %, epoch 4"]] * n


def test_network_that_was_refitted_has_no_validation_curve():
    epoch = {"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5}
    epoch |= {"validation_loss": float("nan"), "validation_accuracy": float("nan")}
    figure = Plot("learning_curves_of_networks", {"networks": [{"name": "a", "epochs": [epoch]}], "title": "t"}).draw()
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert [text.get_text() for text in legend.get_texts()] == ["training"]


def test_the_largest_probability_is_bold_and_coloured_by_whether_it_is_right():
    tiles = [ARGUMENTS["image_probabilities"]["tiles"][0] | {"true": true} for true in ("dog", "cat", None)]
    figure = Plot("image_probabilities", {"tiles": tiles, "title": "t"}).draw()
    draw(figure)
    bars = [axes for axes in figure.axes if axes.patches]
    wrong, right, unknown = (axes.patches[0].get_facecolor() for axes in bars)
    assert right == unknown != wrong
    names = [text for text in bars[0].texts if text.get_text() in ("cat", "dog (true)")]
    assert [text.get_weight() for text in names] == ["bold", "normal"]


def test_classes_that_are_not_named_are_grey_and_counted():
    figure = Plot("embeddings", {**arguments("embeddings", 100), "title": "t"}).draw()
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(entries) == 16
    assert entries[-1] == "85 other classes"


def test_one_class_that_is_not_named_is_in_the_singular():
    few = {**arguments("embeddings", 10), "named": list(range(9))}
    figure = Plot("embeddings", {**few, "title": "t"}).draw()
    assert figure.legends[0].get_texts()[-1].get_text() == "1 other class"


@pytest.mark.parametrize(("function", "changes", "message"), [
    ("confusion_matrices", {"networks": []}, "at least one network"),
    ("confusion_matrices", {"classes": ["a"]}, r"shape \(1, 1\) for 1 classes, got \(2, 2\) \(champion\)"),
    ("class_scores", {"networks": []}, "one or two networks"), ("class_scores", {"classes": []}, "at least one class"),
    ("embeddings", {"networks": []}, "at least one network"),
    ("embeddings", {"named": list(range(16))}, "at most 15 classes, got 16"),
    ("feature_maps", {"networks": []}, "at least one network"),
    ("feature_maps", {"networks": [{"name": "a", "layers": []}]}, r"at least one layer, got none \(network a\)"),
    ("image_probabilities", {"tiles": []}, "at least one image"),
    ("learning_curves_of_networks", {"networks": []}, "at least one network"),
    ("reliability_diagram", {"networks": []}, "at least one network"),
])  # fmt: skip
def test_nothing_to_draw_is_refused(function, changes, message):
    with pytest.raises(ValueError, match=message):
        Plot(function, ARGUMENTS[function] | changes).draw()


def test_names_bring_no_script_into_an_svg_file():
    hostile = ["--><script>alert(1)</script>", "<svg onload=alert(1)>", "]]>"]
    networks = [{"name": name, "matrix": np.eye(3, dtype=int).tolist()} for name in hostile]
    figure = Plot("confusion_matrices", {"networks": networks, "classes": hostile, "title": hostile[0]}).draw()
    file = io.StringIO()
    figure.savefig(file, format="svg")
    root = ElementTree.fromstring(file.getvalue())
    assert not [one for one in root.iter() if one.tag.endswith("script") or any(k.startswith("on") for k in one.attrib)]
