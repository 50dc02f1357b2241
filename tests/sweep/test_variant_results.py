"""The comparison of named variants, on studies whose workers are faked."""

import csv
import io
import json

import pytest

from sweeper.engine.base import Failure
from sweeper.runs import variant_result
from sweeper.sweep import study_report, variant_results
from tests.sweep.sweeps import Sweep

NAMES = ["baseline", "4.0", "5.0"]


def compared(tmp_path, script, **spec):
    sweep = Sweep(tmp_path, variants_only=True, **spec)
    sweep.run(script, trials=3)
    return sweep, variant_results.results(sweep.study, sweep.space, (1, 28, 28), 2)


def rising(job, epoch):
    return 0.5 + 0.1 * job.number + 0.01 * epoch + 0.02 * job.fold


def test_variants_are_ranked_by_validation_accuracy_with_their_difference_from_the_baseline(tmp_path):
    _, found = compared(tmp_path, rising, dataset="fashion_mnist")
    assert [result.variant for result in found] == ["5.0", "4.0", "baseline"]
    assert [result.difference for result in found] == pytest.approx([0.2, 0.1, 0.0])
    assert [result.metrics["validation_accuracy"] for result in found] == pytest.approx([0.73, 0.63, 0.53])
    assert all("validation_accuracy_sd" not in result.metrics for result in found)
    assert [entry["accuracy"] for result in found for entry in result.reported] == [0.9126]  # of 5.0
    baseline = found[-1]
    # 6@5x5 pad 2, 16@5x5, 120@5x5, 84, 2 classes
    assert baseline.n_parameters == 156 + 2416 + 48120 + 10164 + 170
    assert baseline.n_multiply_adds == 28 * 28 * 6 * 25 + 100 * 16 * 150 + 120 * 400 + 120 * 84 + 84 * 2
    assert baseline.seconds == pytest.approx(0.3)


def test_reported_metrics_are_not_shown_beside_those_of_another_data_set(tmp_path):
    sweep, found = compared(tmp_path, rising, dataset="mine")
    assert sweep.space.variants["5.0"].reported
    assert [result.reported for result in found] == [(), (), ()]
    assert "reported" not in variant_results.results_table(found)


def test_folds_give_means_and_spread(tmp_path):
    _, found = compared(tmp_path, rising, folds=2, fold_scalings=[[[0.0], [1.0]]] * 2)
    described = found[0].as_json()
    assert described["validation_accuracy"] == pytest.approx(0.74)
    assert described["validation_accuracy_sd"] == pytest.approx(0.01 * 2**0.5)
    assert described["n_trainings"] == 2
    assert described["seconds"] == pytest.approx(0.6)


def test_variant_that_failed_has_no_row_and_without_a_baseline_there_is_no_difference(tmp_path):
    sweep, found = compared(
        tmp_path, lambda job, epoch: Failure("diverged", "nan") if job.number == 0 else rising(job, epoch)
    )
    assert [result.variant for result in found] == ["5.0", "4.0"]
    assert {result.difference for result in found} == {None}
    assert all(plot.draw() for plot in variant_results.plots_of(sweep.study, found, sweep.space, 130).values())


def test_variants_that_an_override_has_made_equal_share_their_result(tmp_path):
    sweep = Sweep(tmp_path, overrides=["batch_norm=false"], variants_only=True)
    equal = {v.name for v in sweep.space.variants.values()}
    sweep.run(rising, trials=3)
    found = variant_results.results(sweep.study, sweep.space, (1, 28, 28), 2)
    assert {result.variant for result in found} == equal == set(NAMES)
    by_name = {result.variant: result for result in found}
    assert by_name["5.0"].metrics == by_name["4.0"].metrics


def test_table_names_what_was_reported_by_its_split(tmp_path):
    _, found = compared(tmp_path, rising, dataset="fashion_mnist")
    rows = list(csv.DictReader(io.StringIO(variant_results.results_table(found))))
    assert [row["variant"] for row in rows] == ["5.0", "4.0", "baseline"]
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert float(rows[0]["validation_accuracy"]) == pytest.approx(0.73)
    assert "reported_validation_accuracy" in rows[0]
    assert not any(name.endswith("_split") or name.endswith("_sd") for name in rows[0])


def test_figures_of_all_variants_and_of_each_are_on_the_parent_run(tmp_path):
    sweep, found = compared(tmp_path, rising, folds=2, fold_scalings=[[[0.0], [1.0]]] * 2)
    sweep.tracker.draws = True
    study_report.log_variants(sweep.tracker, sweep.study, found, sweep.space, 130)
    assert set(sweep.tracker.figures[None]) == {
        "curves/all_variants.png", "curves/learning_rates.png", "curves/0-baseline.png",
        "curves/1-4.0.png", "curves/2-5.0.png",
    }  # fmt: skip
    assert set(sweep.tracker.texts[None]) == {"variants.csv"}


def test_learning_rates_are_those_of_the_training(tmp_path):
    sweep = Sweep(
        tmp_path, overrides=["schedule=one_cycle", "cycle_momentum=true", "optimizer=sgd"], variants_only=True
    )
    sweep.run(rising, trials=3)
    found = variant_results.results(sweep.study, sweep.space, (1, 28, 28), 2)
    [rates, *_] = variant_results.plots_of(sweep.study, found, sweep.space, 128)["curves/learning_rates.png"].arguments[
        "variants"
    ]
    lr = sweep.space.variants[rates["name"]].configuration.train.lr
    assert rates["steps"][0] == 0
    assert rates["steps"][-1] < 3
    assert rates["rates"][0] == pytest.approx(0.04 * lr)
    assert max(rates["rates"]) <= lr
    assert rates["momenta"][0] == pytest.approx(0.95)
    assert rates["momenta"][rates["rates"].index(max(rates["rates"]))] == pytest.approx(min(rates["momenta"]))


def test_variant_is_trained_for_epochs_of_its_own_and_told_so(tmp_path):
    sweep, found = compared(tmp_path, rising, variant_epochs={"5.0": 5})
    assert {job.number: job.epochs for job in sweep.pool.jobs} == {0: 3, 1: 3, 2: 5}
    by_name = {result.variant: result for result in found}
    assert by_name["5.0"].metrics["epoch"] == 5
    told = {number: params["epochs"] for number, (_, params, _) in sweep.tracker.children.items()}
    assert told == {0: 3, 1: 3, 2: 5}
    assert json.loads(sweep.tracker.texts[2]["config.json"])["epochs"] == 5
    assert json.loads(sweep.tracker.texts[1]["config.json"])["epochs"] == 3
    curves = variant_results.plots_of(sweep.study, found, sweep.space, 128)["curves/learning_rates.png"].arguments[
        "variants"
    ]
    assert {rates["name"]: round(rates["steps"][-1]) for rates in curves} == {"baseline": 3, "4.0": 3, "5.0": 5}


@pytest.mark.parametrize(("name", "file"), [("a/../b", "a_.._b"), ("x y$", "x_y_"), ("5.0", "5.0")])
def test_file_names_have_nothing_of_a_path(name, file):
    result = variant_result.VariantResult(name, 7, {}, 1, 1, None, 1, 1, 1.0, ())
    assert variant_results._file_name(result) == f"7-{file}"
