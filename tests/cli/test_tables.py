import io
from dataclasses import replace

import numpy as np
import pytest

from sweeper.cli.tables import (
    confusions,
    finalists_table,
    frontier_table,
    ranking_table,
    test_evaluations_table,
    tested_table,
    variants_table,
)
from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.display.console import PlainConsole
from sweeper.evaluation.constant import Constant
from sweeper.evaluation.statistics import Estimate
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.outcome import Entrant, PromotionOutcome
from sweeper.runs.variant_result import VariantResult
from sweeper.studies.frontier import Frontier, Point
from sweeper.studies.trial_records import TrialRecord
from sweeper.tracking.ledger import TestEvaluation

test_evaluations_table.__test__ = False  # pytest takes a function of this name for a test

TESTED = {
    "accuracy": 0.921, "low": 0.9156, "high": 0.9261, "loss": 0.3024, "macro_precision": 0.9216,
    "macro_recall": 0.921, "macro_f1": 0.9211, "thresholded_precision": None, "thresholded_recall": 0.9191,
    "confusions": [("[b]Shirt", "Coat", 1071), ("Coat", "[b]Shirt", 1)],
}  # fmt: skip


def entrant(alias, *, is_baseline=False, tested=None):
    configuration = Configuration(ConvNetConfig(), TrainConfig())
    finalist = Finalist(48, configuration, {}, 15, is_baseline, True, 0.9238, 200_830, 10)
    estimate = Estimate(0.9238, 0.0027, 50.0)
    made = Entrant.of(
        finalist, alias=alias, version="1", network="n", validation=np.array([0.92, 0.924, 0.926]), confirm=estimate
    )
    return replace(made, test=tested)


@pytest.fixture
def outcome():
    entrants = [entrant("champion", tested=TESTED), entrant(None, is_baseline=True)]
    return PromotionOutcome(
        study_name="study",
        model_name="sweeper-fashion_mnist-lenet5",
        entrants=entrants,
        comparisons=[],
        shrinkage=None,
        verdict=[],
        evaluations=(1, 4),
        dropped=[],
    )


def shown(table, width):
    text = io.StringIO()
    PlainConsole(text, width=width).print(table)
    return text.getvalue()


def columns_of(table, width):
    """The letters of each column of the table's rows, however its cells are folded."""
    lines = [line.strip("│").split("│") for line in shown(table, width).splitlines() if line.startswith("│")]
    return ["".join(cell.strip() for cell in column) for column in zip(*lines, strict=True)]


@pytest.mark.parametrize("width", [40, 100, 200])
def test_ledger_and_frontier_lose_no_letter_in_a_narrow_terminal(width):
    look = TestEvaluation(
        "run", "fashion_mnist-lenet5", "id", "fashion_mnist", "0" * 64, {"champion": "sweeper-fashion_mnist-lenet5/1"},
        {}, "sweeper promote", "2026-05-01T12:00:00+00:00", complete=True,
    )  # fmt: skip
    found = columns_of(test_evaluations_table([look]), width)
    assert found[1] == "fashion_mnist-lenet5"
    assert found[-1].replace(" ", "") == "championsweeper-fashion_mnist-lenet5/1"
    point = Point(12, "trial 12", 0.8333, 200_830, 1_396_344, 0.412, may_win=True, on_front=True)
    found = columns_of(frontier_table(Frontier("accuracy", "latency", [point])), width)
    assert [cell.replace(" ", "") for cell in found] == ["trial12", "83.33%", "200,830", "1,396,344", "0.412"]


@pytest.mark.parametrize("width", [80, 160])
def test_no_figure_is_cut_off_in_a_narrow_terminal(outcome, width):
    finalists, tested = shown(finalists_table(outcome), width), shown(tested_table(outcome), width)
    for figure in ("200,830", "92.38", "92.33", "0.31", "92.38", "[91.84,", "92.92]"):
        assert figure in finalists
    for figure in ("92.10", "[91.56,", "92.61]", "0.3024", "92.16", "91.91"):
        assert figure in tested
    assert "test evaluations: 1 by this study, 4 in this store" in " ".join(tested.split())
    assert "\u2026" not in finalists + tested


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("accuracy", "Always saying the largest class: accuracy 49.00 % on confirm images ([b]cat)"),
        ("loss", "Predicting the class shares for every image: loss 0.4900 on confirm images ([b]cat)"),
    ],
)
def test_final_is_read_beside_always_saying_one_class(outcome, metric, told):
    entrants = [replace(one, confirm={metric: 0.5, "low": None, "high": None}) for one in outcome.entrants]
    constants = {"confirm": Constant("[b]cat", 0.49)}
    text = shown(finalists_table(replace(outcome, metric=metric, entrants=entrants, constants=constants)), 160)
    assert told in text
    assert f"confirm {'loss' if metric == 'loss' else 'accuracy'}" in text


def test_what_stands_beside_a_mean_is_explained_beneath(outcome):
    text = shown(finalists_table(outcome), 160)
    assert "Validation accuracy: mean +- standard deviation (number of fresh seeds)" in text
    assert "Confirm accuracy: mean [95 % interval]" in text
    one = {"mean": 0.9, "sd": None, "n_seeds": 1, "seeds": [0.9]}
    without = {"accuracy": 0.5, "low": None, "high": None}
    alone = replace(outcome, entrants=[replace(e, validation=one, confirm=without) for e in outcome.entrants])
    text = shown(finalists_table(alone), 160)
    assert "90.00 (1)" in text
    assert "Validation accuracy: mean (number of fresh seeds)" in text
    assert "interval" not in text


def test_search_scores_of_another_metric_than_the_promotion_s_are_named(outcome):
    old = replace(outcome, search_scores="loss of probabilities taken as logits")
    heads = [" ".join(str(column.header).split()) for column in finalists_table(old).columns]
    assert heads[3:] == ["search loss of probabilities taken as logits", "validation accuracy", "confirm accuracy"]


def test_confusions_are_told_of_the_tested_networks_in_words(outcome):
    assert confusions(outcome) == ["champion: [b]Shirt taken for Coat 1,071 times, Coat taken for [b]Shirt 1 time"]


def trial(number, **metrics):
    configuration = Configuration(ConvNetConfig(), TrainConfig())
    return TrialRecord(
        number, "complete", 0.9123, {}, None, configuration, "", True, 0, 30, metrics=metrics, n_parameters=61_706
    )


def test_spread_over_folds_and_repeats_stands_beside_the_score():
    folded = trial(3, validation_accuracy_sd=0.0041, best_validation_accuracy=0.92, best_epoch=7)
    assert "91.23 +- 0.41" in shown(ranking_table([folded], "accuracy"), 160)
    assert "mean +- standard deviation" in shown(ranking_table([folded], "accuracy"), 160)
    assert "+-" not in shown(ranking_table([trial(3)], "accuracy"), 160)


@pytest.mark.parametrize(
    ("metric", "label", "scale"),
    [("accuracy", "accuracy", "percent"), ("macro_f1", "macro F1", "percent"), ("loss", "loss", "nats")],
)
def test_ranking_names_the_metric_of_the_study(metric, label, scale):
    assert ranking_table([trial(3)], metric).title == f"Ranking by the last epoch's validation {label}, in {scale}"
    assert label in [column.header for column in ranking_table([trial(3)], metric).columns]


def test_constant_predictors_are_marked_and_always_saying_one_class_stands_beneath():
    constant = replace(trial(3), constant=("[b]cat",))
    text = shown(ranking_table([constant, trial(4)], "accuracy", reference="Always saying '[b]cat' would reach"), 160)
    assert "91.23 (constant)" in text
    assert text.count("(constant)") == 1
    assert "Always saying '[b]cat' would reach" in text


def variant(name, epochs=15, **figures):
    known = {"validation_accuracy": 0.91234, "validation_loss": 0.25678, "train_accuracy": 0.95, "train_loss": 0.125}
    reported = ({"split": "validation", "accuracy": 0.8936, "loss": 0.3212}, {"split": "test", "accuracy": 0.8765})
    return VariantResult(name, 0, known | figures, epochs, 5, -0.0126, 255_230, 5_950_120, 1234.5, reported)


@pytest.mark.parametrize("width", [80, 160])
def test_variants_are_whole_in_a_narrow_terminal_and_beside_figures_of_their_split_alone(width):
    spread = {
        "validation_accuracy_sd": 0.0031, "validation_loss_sd": 0.0123, "train_accuracy_sd": 0.0022,
        "train_loss_sd": 0.001,
    }  # fmt: skip
    text = shown(variants_table([variant("[b]max_pool", **spread), variant("relu", **spread)]), width)
    for figure in ("91.23", "0.31", "0.2568", "0.0123", "95.00", "0.1250", "-1.26", "255,230", "5,950,120", "1,234"):
        assert figure in text
    for figure in ("89.36", "0.3212", "[b]max"):
        assert figure in text
    assert "87.65" not in text
    assert "\u2026" not in text
    assert "means of 5 trainings" in " ".join(text.split())
    assert "epochs" not in text
    assert "25 epochs" in shown(variants_table([variant("relu"), variant("deep", epochs=25)]), width)


def test_single_trainings_have_no_spread_in_the_title():
    single = replace(variant("relu"), n_trainings=1)
    assert "standard deviation" not in shown(variants_table([single]), 160)
