"""`sweeper search --variants-only`, `--folds`, `--repeats`, on a real MLflow store with the worker in this process."""

import json
import re

import mlflow
import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.data.known import catalog
from sweeper.errors import UsageError
from tests.engine.inline import InlinePool
from tests.fake_data import write_fake_dataset

SPACE = """
[space]
title = "two"

[protocol]
epochs = 2
validation = 0.25
confirm = 0.0

[model]
filters = [2]
kernel_size = 3
pool_after = [1]
hidden = [6]
activation = { choices = ["relu", "tanh"] }

[train]
lr = { type = "float", low = 0.001, high = 0.1, log = true }
schedule = "step"
step_size = 1

[variants.baseline]
activation = "relu"
lr = 0.01
reported = { split = "validation", accuracy = 0.5, loss = 1.25 }

[variants."with [markup]"]
activation = "tanh"
epochs = 3
reported = { split = "test", accuracy = 0.9191 }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    dataset = write_fake_dataset(folder / "data", training=240)
    (folder / "two.toml").write_text(SPACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.DATASETS, dataset.name, dataset)
        patch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
        yield folder


def search(place, *more, code=0):
    fixed = ("tiny", "--space", place / "two.toml", "--data-dir", place / "data", "--store", place / "store")
    done = CliRunner().invoke(main, [str(a) for a in ("search", *fixed, *more)], catch_exceptions=False)
    assert done.exit_code == code, done.stderr
    return done


@pytest.fixture(scope="module")
def compared(place):
    return json.loads(search(place, "--variants-only", "--folds", 2, "--repeats", 2, "--json").stdout)


def runs_under(place, experiment, run_id):
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{place}/store/mlflow.db")
    return client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'", order_by=["start_time"])


def test_json_is_a_searchs_with_the_variants(compared):
    assert compared["study_name"] == "tiny-two-variants"
    assert compared["n_trials"] == {"complete": 2, "pruned": 0, "infeasible": 0, "fail": 0, "running": 0}
    assert {"schema_version", "experiment_id", "run_id", "best_trial", "seconds"} <= set(compared)
    by_name = {row["variant"]: row for row in compared["variants"]}
    assert set(by_name) == {"baseline", "with [markup]"}
    baseline = by_name["baseline"]
    assert baseline["difference"] == 0
    assert baseline["n_trainings"] == 4
    assert (baseline["epochs"], by_name["with [markup]"]["epochs"]) == (2, 3)
    assert baseline["reported"] == [{"split": "validation", "accuracy": 0.5, "loss": 1.25}]
    for name in ("validation_accuracy", "validation_loss", "train_accuracy", "train_loss"):
        assert {name, f"{name}_sd"} <= set(baseline)
    assert {"macro_precision", "macro_recall", "thresholded_recall", "n_parameters", "n_multiply_adds"} <= set(baseline)
    accuracies = [row["validation_accuracy"] for row in compared["variants"]]
    assert accuracies == sorted(accuracies, reverse=True)


def test_variants_are_direct_children_of_the_parent_run_and_their_trainings_theirs(place, compared):
    children = runs_under(place, compared["experiment_id"], compared["run_id"])
    assert [run.info.run_name for run in children] == ["trial 0 (baseline)", "trial 1 (with [markup])"]
    for run in children:
        trainings = runs_under(place, compared["experiment_id"], run.info.run_id)
        assert {t.info.run_name for t in trainings} == {
            f"{run.info.run_name}, fold {fold}, repeat {repeat}" for fold in (1, 2) for repeat in (1, 2)
        }
        assert {t.info.status for t in [run, *trainings]} == {"FINISHED"}
        mean = sum(t.data.metrics["validation_accuracy"] for t in trainings) / 4
        assert run.data.metrics["validation_accuracy"] == pytest.approx(mean)


def test_parent_run_has_the_table_and_the_figures(place, compared):
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{place}/store/mlflow.db")
    files = {artifact.path for artifact in client.list_artifacts(compared["run_id"])}
    assert {"variants.csv", "curves"} <= files
    assert "search/parameter_importance.png" not in {
        a.path for a in client.list_artifacts(compared["run_id"], "search")
    }
    each = {artifact.path for artifact in client.list_artifacts(compared["run_id"], "curves")}
    assert each >= {"curves/0-baseline.png", "curves/1-with__markup_.png"}
    assert each >= {"curves/all_variants.png", "curves/learning_rates.png"}


def test_variant_is_trained_for_epochs_of_its_own(place, compared):
    children = runs_under(place, compared["experiment_id"], compared["run_id"])
    assert [run.data.params["epochs"] for run in children] == ["2", "3"]
    [first, *_] = runs_under(place, compared["experiment_id"], children[1].info.run_id)
    assert (first.data.params["epochs"], first.data.metrics["epoch_seconds"] > 0) == ("3", True)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{place}/store/mlflow.db")
    assert [m.step for m in client.get_metric_history(first.info.run_id, "train_loss")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "epochs", "own"),
    [
        (("--variants-only",), 2, {"with [markup]": 3}),
        (("--variants-only", "--epochs", 2), 2, {}),
        (("--variants-only", "--set", "epochs=4"), 4, {}),
        ((), 2, {}),
    ],
)
def test_epochs_of_the_command_line_and_those_of_a_search_hold_for_all(place, monkeypatch, arguments, epochs, own):
    asked = []

    def noting(request, *arguments):
        asked.append(request)
        raise UsageError("enough")

    monkeypatch.setattr("sweeper.sweep.run.run", noting)
    done = search(place, *arguments, code=2)
    [request] = asked
    assert (request.protocol.epochs, request.variant_epochs) == (epochs, own)
    told = "In a search every trial has 2 epochs; the epochs of these variants are ignored: with [markup] (3)"
    assert (told in done.stderr) == (not arguments)


def test_same_command_trains_nothing_again_and_prints_the_table(place, compared):
    done = search(place, "--variants-only", "--folds", 2, "--repeats", 2)
    assert "2 of 2 trials done" in done.stderr
    assert "started" not in done.stderr
    text = re.sub(r"\s+", " ", done.stdout)
    assert "means of 4 trainings, +- one standard deviation" in text
    assert "with [markup]" in text
    assert "50.00" in text
    assert "91.91" not in text, "a test figure beside validation figures"
    assert "Each score is a mean" in text


def test_other_folds_are_another_study(place, compared):
    done = search(place, "--variants-only", "--folds", 3, "--repeats", 2, code=2)
    assert "was started with folds 2, this command has 3" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--folds", 1), "must be 0 for none, or an integer of at least 2"),
        (("--folds", "two"), "must be 0 for none"),
        (("--folds", 101), "at most 100"),
        (("--folds", 50), "each of 50 folds must hold an image of each class"),
        (("--repeats", 0), "repeats"),
        (("--variants-only", "--trials", 5), "takes no --trials"),
        (("--variants-only", "--pruner", "median"), "takes no --pruner"),
        (("--variants-only", "--sampler", "random"), "takes no --sampler"),
    ],
)
def test_wrong_usage_is_one_line_and_leaves_nothing(place, tmp_path, arguments, message):
    done = search(place, *arguments, "--store", tmp_path / "store", code=2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store").exists()


def test_dry_run_tells_folds_and_repeats(place, tmp_path):
    done = search(place, "--folds", 3, "--repeats", 2, "--dry-run", "--json", "--store", tmp_path / "store")
    shown = json.loads(done.stdout)
    assert (shown["folds"], shown["repeats"]) == (3, 2)
    assert shown["images"] == {"train": 160, "validation": 80, "confirm": 0}
