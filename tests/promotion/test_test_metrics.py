import csv
import io
import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from sweeper.evaluation.constant import Constant
from sweeper.promotion.predictions import Predictions
from sweeper.promotion.test_metrics import confusions_in, measure, plots_of, tables

CLASSES = ("coat", "shirt, long", "bag", "boot")
LABELS = np.array([0, 0, 1, 1, 2])
# The last class has no image and is never predicted.
PROBABILITIES = np.array(
    [
        [0.70, 0.10, 0.10, 0.10],
        [0.20, 0.60, 0.10, 0.10],
        [0.10, 0.45, 0.35, 0.10],
        [0.10, 0.80, 0.05, 0.05],
        [0.05, 0.75, 0.15, 0.05],
    ]
)


def logits(probabilities):
    """Those of which softmax makes the probabilities; an image's logits are free up to a constant."""
    return np.log(np.asarray(probabilities) * 7).astype(np.float32)


def one_hot(predictions, height=3.0):
    return (height * np.eye(len(CLASSES))[predictions]).astype(np.float32)


def measured(labels, network_logits, classes, metric="accuracy"):
    return measure(network_logits, Predictions.of(metric, labels, [network_logits]), classes)


def test_the_metrics_are_those_of_a_calculation_by_hand():
    tested = measured(LABELS, logits(PROBABILITIES), CLASSES)
    assert (tested.n, tested.accuracy) == (5, 3 / 5)
    # Wilson: (p + z^2 / 2n -+ z sqrt(p q / n + z^2 / 4n^2)) / (1 + z^2 / n) with p = 0.6, n = 5.
    assert (tested.low, tested.high) == pytest.approx((0.2307, 0.8824), abs=5e-5)
    assert tested.loss == pytest.approx(-sum(math.log(p) for p in (0.70, 0.20, 0.45, 0.80, 0.15)) / 5, rel=1e-6)
    # coat: TP 1, FP 0, FN 1; shirt: TP 2, FP 2, FN 0; bag: never predicted; boot: left out.
    assert tested.macro_precision == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert tested.macro_recall == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert tested.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert tested.balanced_accuracy == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert (tested.metric, tested.metric_low, tested.metric_high) == ("accuracy", None, None)


@pytest.mark.parametrize("metric", ["macro_f1", "balanced_accuracy", "loss"])
def test_the_metric_of_the_study_has_an_interval_of_its_own(metric):
    labels = np.arange(60) % 3
    network = one_hot((labels + (np.arange(60) % 7 == 0)) % 3)
    tested = measured(labels, network, CLASSES, metric)
    assert tested.metric == metric
    assert 0 <= tested.metric_low < getattr(tested, metric) < tested.metric_high
    assert metric == "loss" or tested.metric_high <= 1


def test_thresholded_metrics_leave_out_what_is_less_than_half_sure():
    tested = measured(LABELS, logits(PROBABILITIES), CLASSES)
    # Above 0.5: images 0 and 3 rightly, 1 and 4 wrongly; image 2 is right, but unsure.
    assert tested.thresholded_precision == pytest.approx(2 / 4)
    assert tested.thresholded_recall == pytest.approx(2 / 5)


def test_a_network_that_is_never_half_sure_has_no_thresholded_precision():
    unsure = [[0.4, 0.2, 0.2, 0.2]] * 5
    tested = measured(LABELS, logits(unsure), CLASSES)
    assert (tested.thresholded_precision, tested.thresholded_recall) == (None, 0.0)
    assert tested.accuracy == 2 / 5


@pytest.mark.parametrize("predicted", [2, 3])
def test_a_class_without_images_has_no_accuracy_even_where_it_is_predicted(predicted):
    tested = measured(LABELS, one_hot([0, 1, 1, 1, predicted]), CLASSES)
    assert tested.per_class_accuracy == [0.5, 1.0, float(predicted == 2), None]


def test_the_three_largest_confusions_are_named_true_class_first():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3])
    predictions = [1, 1, 0, 0, 1, 0, 0, 0, 2, 2, 3]
    tested = measured(labels, one_hot(predictions), CLASSES)
    assert list(tested.confusions) == [("bag", "coat", 3), ("coat", "shirt, long", 2), ("shirt, long", "coat", 1)]


def test_a_network_that_is_never_wrong_has_no_confusions():
    tested = measured(LABELS, one_hot(LABELS), CLASSES)
    assert (tested.accuracy, tested.high, list(tested.confusions)) == (1.0, 1.0, [])
    assert tested.low < 1


@pytest.mark.parametrize(
    "predicted",
    [
        logits(PROBABILITIES),
        logits([[0.4, 0.2, 0.2, 0.2]] * 5),
        one_hot([3, 3, 3, 3, 3], height=1e4),
        np.zeros((5, 4), dtype=np.float32),
    ],
)
def test_the_metrics_are_json_and_come_back_as_they_were(predicted):
    fields = asdict(measured(LABELS, predicted, CLASSES))
    again = json.loads(json.dumps(fields, allow_nan=False))
    assert again == fields | {"confusions": [list(confusion) for confusion in fields["confusions"]]}


def written(predicted, files=None):
    by_role = {role: measured(LABELS, of_role, CLASSES) for role, of_role in predicted.items()}
    return tables(LABELS, predicted, by_role, CLASSES, files)


def test_the_predictions_of_every_image_stand_beside_its_label():
    files = written({"champion": logits(PROBABILITIES), "baseline": one_hot([0, 0, 1, 2, 2])})
    # e^3 / (e^3 + 3) = 0.87003, to four digits.
    assert files["predictions.csv"].splitlines() == [
        "image,label,champion_prediction,champion_probability,baseline_prediction,baseline_probability",
        "0,coat,coat,0.7,coat,0.87",
        '1,coat,"shirt, long",0.6,coat,0.87',
        '2,"shirt, long","shirt, long",0.45,"shirt, long",0.87',
        '3,"shirt, long","shirt, long",0.8,bag,0.87',
        '4,bag,"shirt, long",0.75,bag,0.87',
    ]


def test_predictions_name_the_files_of_the_images():
    names = ["coat/1.png", '"a,b"/2.png', "=1+1/3.png", "-dash/4.png", "caf\udce9/5.png"]
    text = written({"champion": logits(PROBABILITIES)}, names)["predictions.csv"]
    assert text.startswith("image,file,label,champion_prediction,champion_probability\n0,coat/1.png,coat,coat,0.7\n")
    rows = list(csv.DictReader(io.StringIO(text)))
    # The same files, but no formulas for a spreadsheet, and nothing that a text file cannot hold.
    assert [row["file"] for row in rows] == [*names[:2], "./=1+1/3.png", "./-dash/4.png", "caf\\udce9/5.png"]
    text.encode()


def test_no_class_is_a_formula_for_a_spreadsheet_and_numbers_stay_numbers():
    predicted, classes = {"champion": logits(PROBABILITIES)}, ("=1+1", "@x", "-1", "boot")
    texts = tables(LABELS, predicted, {"champion": measured(LABELS, predicted["champion"], classes)}, classes, None)
    rows = list(csv.DictReader(io.StringIO(texts["predictions.csv"])))
    assert [row["label"] for row in rows] == ["'=1+1", "'=1+1", "'@x", "'@x", "-1"]
    assert [row["champion_prediction"] for row in rows] == ["'=1+1", "'@x", "'@x", "'@x", "'@x"]
    rows = list(csv.DictReader(io.StringIO(texts["per_class_accuracy.csv"])))
    assert [row["class"] for row in rows] == ["'=1+1", "'@x", "-1", "boot"]


def test_the_predictions_give_the_accuracy_again():
    rows = list(csv.DictReader(io.StringIO(written({"champion": logits(PROBABILITIES)})["predictions.csv"])))
    assert [row["label"] for row in rows] == [CLASSES[label] for label in LABELS]
    n_correct = sum(row["label"] == row["champion_prediction"] for row in rows)
    assert n_correct / len(rows) == measured(LABELS, logits(PROBABILITIES), CLASSES).accuracy


def test_accuracy_by_class_has_a_column_a_role_and_an_empty_cell_without_images():
    files = written({"champion": logits(PROBABILITIES), "challenger": one_hot([0, 0, 1, 2, 2])})
    assert files["per_class_accuracy.csv"].splitlines() == [
        "class,champion,challenger",
        "coat,0.5,1.0",
        '"shirt, long",1.0,0.5',
        "bag,0.0,1.0",
        "boot,,",
    ]


def test_every_role_has_a_confusion_matrix_of_its_own_predictions():
    drawn = plots_of(LABELS, {"champion": one_hot(LABELS), "baseline": one_hot([3, 3, 3, 3, 3])}, CLASSES, "look 1")
    assert list(drawn) == ["confusion/champion_confusion_matrix.png", "confusion/baseline_confusion_matrix.png"]
    cells = {}
    for name, draw in drawn.items():
        figure = draw()
        title = figure.get_suptitle()
        assert title.startswith(f"Test confusion matrix, {name.partition('/')[2].split('_')[0]}")
        assert "look 1" in title
        cells[name] = {tuple(text.get_position()): text.get_text() for text in figure.axes[0].texts}
    # By column (predicted) and row (true).
    assert cells["confusion/champion_confusion_matrix.png"] == {(0, 0): "2", (1, 1): "2", (2, 2): "1"}
    assert cells["confusion/baseline_confusion_matrix.png"] == {(3, 0): "2", (3, 1): "2", (3, 2): "1"}


def test_network_that_gives_every_image_one_class_is_known_by_it():
    tested = measured(LABELS, one_hot([0, 0, 0, 0, 0]), CLASSES)
    assert (tested.only_class, tested.accuracy) == ("coat", 2 / 5)
    assert tested.constant == Constant("coat", 2 / 5)  # the first of the two largest classes
    assert measured(LABELS, one_hot(LABELS), CLASSES).only_class is None


def test_confusions_are_read_back_from_the_predictions():
    predicted = {"champion": one_hot([0, 1, 1, 2, 2]), "baseline": one_hot([2, 2, 2, 0, 0])}
    found = confusions_in(written(predicted)["predictions.csv"], CLASSES)
    assert {role: matrix.tolist() for role, matrix in found.items()} == {
        "champion": [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]],
        "baseline": [[0, 0, 2, 0], [1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]],
    }


@pytest.mark.parametrize("cell", ["-none", "'-none"])
def test_confusions_are_read_back_whether_or_not_a_class_was_marked_as_no_formula(cell):
    table = f"image,label,champion_prediction,champion_probability\n0,{cell},cat,0.9\n1,cat,cat,0.9\n"
    assert confusions_in(table, ("-none", "cat"))["champion"].tolist() == [[0, 1], [0, 1]]


def test_predictions_of_other_classes_are_refused():
    with pytest.raises(ValueError, match=r"predictions.csv has rows of other classes"):
        confusions_in(written({"champion": one_hot([0, 1, 1, 2, 2])})["predictions.csv"], ("a", *CLASSES[1:]))
