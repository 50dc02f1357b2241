"""`sweeper train` on a tiny data set, mostly with the workers in this process."""

import json
import os
import re
import shutil
import signal
import socket
from pathlib import Path

import mlflow
import pytest
import torch
from click.testing import CliRunner
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from safetensors.torch import load_file

from sweeper import plots
from sweeper.cli import main
from sweeper.config import Configuration
from sweeper.data.known import catalog
from sweeper.engine.local.pool import WorkerPool
from sweeper.process import processor
from sweeper.runs import batch
from sweeper.store.options import StoreOptions
from sweeper.tracking import outbox_worker
from tests.engine.inline import InlinePool, required_processors
from tests.fake_data import write_fake_dataset

SPACE = """
[space]
title = "tiny"

[protocol]
epochs = 3

[model]
filters = [2, 4, 8]
kernel_size = 5
padding = [2, 0, 0]
hidden = [8]
activation = { choices = ["relu", "tanh"] }
dropout = 0.1

[train]
lr = { type = "float", low = 1e-5, high = 1e30, log = true }
batch_size = 16

[variants.baseline]
lr = 1e-3
reported = { split = "validation", accuracy = 0.8765 }

[variants.twin]                  # another configuration, that computes the same
leaky_relu_slope = 0.2

[variants.headed]
aux_heads = ["conv1"]

[variants.hopeless]
optimizer = "sgd"
lr = 1e30

[variants.perceptron]
family = "mlp"
epochs = 2
"""


class Workplace:
    """The command on one store, which is for the whole module: MLflow takes seconds to make another."""

    def __init__(self, folder):
        self.folder, self.store = folder, StoreOptions(folder / "store").resolve({})
        self.space = folder / "tiny_space.toml"
        self.space.write_text(SPACE)
        self.client = mlflow.MlflowClient(tracking_uri=self.store.tracking_uri)

    def run(self, command, *arguments, code=0):
        words = [command, *map(str, arguments), "--store", str(self.store.root)]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    def train(self, *arguments, code=0):
        places = ("--space", self.space, "--data-dir", self.folder / "data")
        return self.run("train", "tiny", *places, "--jobs", 1, *arguments, code=code)

    def trained(self, *arguments):
        """The command's --json object."""
        return json.loads(self.train(*arguments, "--json", "-q").stdout)

    def history(self, run_id, metric="train_loss"):
        return [(m.step, m.value) for m in self.client.get_metric_history(run_id, metric)]

    def children(self, outcome):
        query = f"tags.`mlflow.parentRunId` = '{outcome['run_id']}'"
        found = self.client.search_runs([outcome["experiment_id"]], query, order_by=["start_time"])
        return {run.info.run_name: run for run in found}

    def artifacts(self, run_id):
        """The paths of folders and of the files in them."""
        entries = self.client.list_artifacts(run_id)
        inside = [
            entry for folder in entries if folder.is_dir for entry in self.client.list_artifacts(run_id, folder.path)
        ]
        return {entry.path for entry in [*entries, *inside]}

    def runs(self, variant):
        """The runs that are no parts of others."""
        experiments = [e.experiment_id for e in self.client.search_experiments() if e.name == "tiny"]
        query = f"tags.`sweeper.kind` = 'training' AND tags.`sweeper.variant` = '{variant}'"
        found = self.client.search_runs(experiments, query) if experiments else []
        return [run for run in found if "mlflow.parentRunId" not in run.data.tags]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    dataset = write_fake_dataset(folder / "data", training=300)
    for path in (folder / "data").glob("t10k*"):
        path.unlink()  # nothing here may ask for the test set
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.DATASETS, dataset.name, dataset)
        yield folder


@pytest.fixture(scope="module")
def shared(folder):
    return Workplace(folder)


@pytest.fixture
def workplace(shared, monkeypatch):
    monkeypatch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
    monkeypatch.setattr(InlinePool, "made", [])
    return shared


def signal_at(monkeypatch, count, number=signal.SIGINT):
    """Sends this process the signal when so many epochs have been logged."""
    log, logged = batch.log_epoch, []

    def log_epoch(tracker, key, metrics):
        log(tracker, key, metrics)
        logged.append(metrics)
        if len(logged) == count:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(batch, "log_epoch", log_epoch)


SINGLE = {
    "space.toml", "environment.json", "config.json", "layers.csv", "curves", "curves/learning_curves.png",
    "confusion", "confusion/validation_confusion_matrix.png", "weights", "weights/model.safetensors",
}  # fmt: skip


def test_training_is_one_run_with_all_that_belongs_to_it_and_no_study(workplace):
    outcome = workplace.trained("--seed", 1)
    assert set(outcome) == {
        "schema_version", "dataset", "space", "variant", "run_id", "experiment_id", "epochs", "seed",
        "split_seed", "stopped", "constant_predictor", "train_loss", "train_accuracy", "validation_loss",
        "validation_accuracy", "validation_macro_f1", "validation_balanced_accuracy", "macro_precision", "macro_recall",
        "n_trainings", "n_parameters", "n_multiply_adds", "seconds", "reported", "all_data",
    } | (set(outcome) & {"thresholded_precision", "thresholded_recall"})  # fmt: skip
    assert (outcome["schema_version"], outcome["dataset"], outcome["space"]) == (1, "tiny", "tiny_space")
    assert (outcome["variant"], outcome["epochs"], outcome["seed"], outcome["stopped"]) == ("baseline", 3, 1, "")
    assert outcome["reported"] == [{"split": "validation", "accuracy": 0.8765}]

    run = workplace.client.get_run(outcome["run_id"])
    assert (run.info.run_name, run.info.status) == ("tiny_space baseline", "FINISHED")
    tags = {name: run.data.tags[f"sweeper.{name}"] for name in ("kind", "variant", "state")}
    assert tags == {"kind": "training", "variant": "baseline", "state": "complete"}
    assert not {"sweeper.study", "sweeper.study_id"} & set(run.data.tags)
    assert run.data.params["seed"] == "1"
    assert {"data_sha256", "split_sha256", "epochs", "folds", "n_train", "device", "threads"} <= set(run.data.params)
    assert set(Configuration.from_values({}).values()) <= set(run.data.params)
    assert [step for step, _ in workplace.history(outcome["run_id"])] == [1, 2, 3]
    assert run.data.metrics["validation_accuracy"] == outcome["validation_accuracy"]
    assert run.data.metrics["n_parameters"] == outcome["n_parameters"]
    assert "macro_recall" in run.data.metrics
    assert {"sweeper.best_epoch", "sweeper.best_validation_accuracy", "sweeper.seconds"} <= set(run.data.tags)
    assert workplace.artifacts(outcome["run_id"]) == SINGLE
    assert workplace.children(outcome) == {}

    assert "No studies" in workplace.run("studies").stdout
    assert not (workplace.store.root / "optuna.db").exists()
    left = {path.name for path in (workplace.store.root / "trainings").rglob("*") if path.is_file()}
    assert left == {"trained.json", "processor.txt"}
    assert not list(workplace.store.outboxes.iterdir())


def test_same_command_after_the_end_shows_the_result_again_and_trains_nothing(workplace):
    first = workplace.trained("--epochs", 1, "--seed", 11)
    run = workplace.client.get_run(first["run_id"])
    assert len(InlinePool.made) == 1
    assert workplace.trained("--epochs", 1, "--seed", 11) == first
    shown = workplace.train("--epochs", 1, "--seed", 11)
    assert "0 of 1" not in shown.stderr
    assert len(InlinePool.made) == 1
    again = workplace.client.get_run(first["run_id"])
    assert (again.info.status, again.info.end_time) == ("FINISHED", run.info.end_time)
    # What it prints for people is the variant's row beside what was reported, and where the run is.
    assert "tiny_space baseline on tiny, last epoch" in shown.stdout
    assert f"{100 * first['validation_accuracy']:.2f}" in shown.stdout
    assert "87.65" in shown.stdout
    assert f"MLflow run {first['run_id']}, experiment tiny" in shown.stdout
    assert f"sweeper ui --store {workplace.store.root}" in shown.stdout


@pytest.mark.parametrize("change", [("--seed", 5), ("--set", "hidden=[6]"), ("--subset", 200), ("--set", "confirm=0")])
def test_command_that_changes_the_figures_is_another_run(workplace, change):
    first = workplace.trained("--epochs", 1)
    assert workplace.trained("--epochs", 1, *change)["run_id"] != first["run_id"]


def test_run_that_was_deleted_in_mlflow_is_made_anew(workplace):
    first = workplace.trained("--epochs", 1, "--seed", 2)
    workplace.client.delete_run(first["run_id"])
    second = workplace.trained("--epochs", 1, "--seed", 2)
    assert second["run_id"] != first["run_id"]
    assert second["validation_loss"] == first["validation_loss"]
    assert len(workplace.history(second["run_id"])) == 1


def test_each_fold_and_repeat_is_a_run_under_it_and_it_has_the_means(workplace):
    outcome = workplace.trained("--set", "folds=2", "--repeats", 2, "--epochs", 2)
    children = workplace.children(outcome)
    names = [f"fold {fold}, repeat {repeat}" for repeat in (1, 2) for fold in (1, 2)]
    assert sorted(children) == sorted(f"tiny_space baseline, {name}" for name in names)
    seeds = [child.data.params["seed"] for child in children.values()]
    assert (seeds.count("0"), len(set(seeds))) == (2, 2)
    accuracies = []
    for child in children.values():
        assert (child.info.status, child.data.tags["sweeper.state"]) == ("FINISHED", "complete")
        assert workplace.artifacts(child.info.run_id) == SINGLE - {"space.toml", "environment.json"}
        assert {"macro_recall", "validation_loss"} <= set(child.data.metrics)
        accuracies.append(child.data.metrics["validation_accuracy"])
    assert outcome["n_trainings"] == 4
    assert outcome["validation_accuracy"] == pytest.approx(sum(accuracies) / 4)
    run = workplace.client.get_run(outcome["run_id"])
    assert run.data.metrics["validation_accuracy_sd"] == outcome["validation_accuracy_sd"]
    assert [step for step, _ in workplace.history(outcome["run_id"], "validation_accuracy")] == [1, 2]
    assert workplace.artifacts(outcome["run_id"]) == {name for name in SINGLE if not name.startswith("weights")}
    assert workplace.trained("--set", "folds=2", "--repeats", 2, "--epochs", 2) == outcome
    assert len(InlinePool.made) == 1


def test_heads_are_logged_by_epoch_and_drawn(workplace):
    outcome = workplace.trained("--variant", "headed", "--epochs", 2)
    assert [step for step, _ in workplace.history(outcome["run_id"], "aux_conv1_validation_accuracy")] == [1, 2]
    assert "curves/head_accuracies.png" in workplace.artifacts(outcome["run_id"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_and_the_same_command_goes_on_bitwise(workplace, monkeypatch, number, code):
    arguments = ("--seed", code)
    with monkeypatch.context() as patch:
        signal_at(patch, 2, number)
        stopped_early = workplace.train(*arguments, "--json", code=code)
    assert "To resume: sweeper" in stopped_early.stderr
    stopped = json.loads(stopped_early.stdout)
    assert stopped["stopped"] == signal.Signals(number).name
    assert "validation_accuracy" not in stopped
    run = workplace.client.get_run(stopped["run_id"])
    assert (run.info.status, run.data.tags["sweeper.state"]) == ("KILLED", "interrupted")
    assert run.data.tags["sweeper.reason"] == signal.Signals(number).name

    resumed = workplace.train(*arguments, "--json", "-v")
    assert "resumes after epoch 2" in resumed.stderr
    gone_on = json.loads(resumed.stdout)
    assert gone_on["run_id"] == stopped["run_id"]
    twin = workplace.trained(*arguments, "--variant", "twin")
    for metric in ("train_loss", "validation_loss", "gradient_norm"):
        histories = [workplace.history(outcome["run_id"], metric) for outcome in (gone_on, twin)]
        assert histories[0] == histories[1]
        assert len(histories[0]) == 3
    same = ("validation_accuracy", "validation_loss", "train_loss", "macro_recall")
    assert {name: gone_on[name] for name in same} == {name: twin[name] for name in same}
    assert workplace.artifacts(gone_on["run_id"]) == SINGLE


def test_fold_that_was_complete_when_the_command_was_stopped_is_not_trained_again(workplace, monkeypatch):
    arguments = ("--folds", 2, "--seed", 3)
    with monkeypatch.context() as patch:
        signal_at(patch, 5)
        workplace.train(*arguments, code=130)
    resumed = workplace.train(*arguments, "--json")
    assert "1 of 2 trainings done" in resumed.stderr
    assert "fold 2 resumes after epoch 2" in resumed.stderr
    assert "fold 1" not in resumed.stderr
    outcome = json.loads(resumed.stdout)
    twin = workplace.trained(*arguments, "--variant", "twin")
    assert outcome["validation_loss"] == twin["validation_loss"]
    assert outcome["validation_loss_sd"] == twin["validation_loss_sd"]
    assert {run.info.status for run in workplace.children(outcome).values()} == {"FINISHED"}


def test_training_that_diverges_is_one_line_and_a_failed_run(workplace):
    failed = workplace.train("--variant", "hopeless", code=1)
    assert re.fullmatch(r"Error: tiny_space hopeless diverged: .+", failed.stderr.splitlines()[-1])
    [run] = workplace.runs("hopeless")
    assert run.info.status == "FAILED"


def test_second_process_with_the_same_command_is_refused_and_the_owner_named(workplace):
    workplace.trained("--epochs", 1, "--seed", 7)
    folders = {path.name for path in (workplace.store.root / "trainings").iterdir()}
    workplace.trained("--epochs", 1, "--seed", 8)
    [name] = {path.name for path in (workplace.store.root / "trainings").iterdir()} - folders
    with workplace.store.owning(name):
        refused = workplace.train("--epochs", 1, "--seed", 8, code=1)
        assert f"is being run by process {os.getpid()} on {socket.gethostname()}" in refused.stderr
        workplace.train("--epochs", 1, "--seed", 7)


def test_what_mlflow_would_not_take_is_told_of_and_sync_delivers_it(workplace, monkeypatch):
    def away(*arguments, **named):
        raise MlflowException("server away", error_code=TEMPORARILY_UNAVAILABLE)

    with monkeypatch.context() as patch:
        patch.setattr(outbox_worker, "CLOSING_SECONDS", 0.0)
        patch.setattr(mlflow.MlflowClient, "log_figure", away)
        lacking = workplace.train("--epochs", 1, "--seed", 9, "--json", code=1)
    assert "writes wait for MLflow, the first because: server away" in lacking.stderr
    outcome = json.loads(lacking.stdout)
    assert workplace.client.get_run(outcome["run_id"]).info.status == "RUNNING"
    [outbox] = json.loads(workplace.run("sync", "--json").stdout)["spools"]
    assert (outbox["kind"], outbox["undelivered"], outbox["error"]) == ("training", [], "")
    assert workplace.client.get_run(outcome["run_id"]).info.status == "FINISHED"
    assert workplace.artifacts(outcome["run_id"]) == SINGLE
    assert workplace.trained("--epochs", 1, "--seed", 9) == outcome


def test_deletion_of_a_study_leaves_trainings_alone(workplace):
    outcome = workplace.trained("--epochs", 1)
    places = ("--space", workplace.space, "--data-dir", workplace.folder / "data", "--jobs", 1)
    workplace.run("search", "tiny", *places, "--study", "doomed", "--trials", 1, "--epochs", 1, "--quiet")
    workplace.run("delete", "doomed", "--yes")
    assert workplace.client.get_run(outcome["run_id"]).info.lifecycle_stage == "active"
    n_made = len(InlinePool.made)
    assert workplace.trained("--epochs", 1) == outcome
    assert len(InlinePool.made) == n_made
    # So that the test above, of a store without studies, does not depend on the order.
    (workplace.store.root / "optuna.db").unlink()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--variant", "basline"],
            "no variant 'basline' in tiny_space, which has baseline, twin, headed, ",
        ),
        (["--set", "dropout=1.5"], "dropout must be in [0, 1), got 1.5 (--set dropout=1.5)"),
        (["--set", "lr=1e-4:1e-2"], "lr must be a single value, because nothing is searched here (--set lr=1e-4:1e-2)"),
        (["--set", "folds=1"], "folds must be"),
        (["--epochs", "0"], "--epochs"),
        (["--subset", "100000"], "100000"),
        (["--device", "tpu"], "device must be auto, cpu, cuda, cuda:N, cuda:N,cuda:M or mps, got 'tpu'"),
        (["--quiet", "--verbose"], "contradict"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(workplace, arguments, message):
    workplace.store.prepare()
    before = len(workplace.runs("baseline"))
    refused = workplace.train(*arguments, code=2)
    assert message in refused.stderr
    assert refused.stdout == ""
    assert len(workplace.runs("baseline")) == before


def test_real_workers_train_the_folds_to_the_same_figures(workplace, monkeypatch):
    arguments = ("--folds", 2, "--epochs", 1, "--seed", 11)
    inline = workplace.trained(*arguments, "--variant", "twin")
    monkeypatch.setattr("sweeper.engine.local.pool.WorkerPool", WorkerPool)
    real = workplace.trained(*arguments)
    assert real["validation_loss"] == pytest.approx(inline["validation_loss"], rel=1e-4)
    assert real["n_trainings"] == 2


@pytest.fixture(scope="module")
def source(shared):
    """A training whose weights the others start from: the run's id."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
        return shared.trained("--epochs", 1, "--seed", 21)["run_id"]


def weights(place, run_id):
    return load_file(place.client.download_artifacts(run_id, "weights/model.safetensors"))


LEFT = {"classifier.hidden1.weight", "classifier.hidden1.bias", "classifier.output.weight"}


def test_tensors_that_match_are_taken_and_all_is_told_and_logged(workplace, source):
    arguments = ("--epochs", 1, "--set", "hidden=[6]", "--init", source)
    shown = workplace.train(*arguments)
    outcome = workplace.trained(*arguments)
    init = outcome["init"]
    assert set(init) == {"source", "run_id", "sha256", "freeze", "taken", "left"}
    assert (init["source"], init["run_id"], init["freeze"]) == (f"run {source}", source, False)
    assert {entry["name"] for entry in init["left"]} == LEFT
    assert {"name": "classifier.output.weight", "reason": "10x6 here, 10x8 in the weights"} in init["left"]
    # The bias of the output has the shape of the classes alone.
    assert len(init["taken"]) == 7
    assert f"Initial weights from run {source}, SHA-256 {init['sha256'][:12]}" in shown.stderr
    assert f"taken (7): {', '.join(init['taken'])}" in shown.stderr
    assert "not taken (3): classifier.hidden1.weight (6x8 here, 8x8 in the weights), " in shown.stderr

    run = workplace.client.get_run(outcome["run_id"])
    assert run.info.run_name == f"tiny_space baseline from run {source[:8]}"
    assert (run.data.params["init_sha256"], run.data.params["freeze"]) == (init["sha256"], "false")
    assert run.data.tags["sweeper.init"] == f"run {source}"
    logged = {name: json.loads(Path(path(workplace, run, name)).read_text()) for name in ("init.json", "config.json")}
    assert logged["init.json"] == init
    assert logged["config.json"]["init"] == {"sha256": init["sha256"], "freeze": False}
    assert len(InlinePool.made) == 1
    scratch = workplace.trained(*arguments[:4])
    assert "init" not in scratch
    # Without weights, with others, and with the same but frozen, it is another training.
    others = [scratch, workplace.trained(*arguments[:4], "--init", scratch["run_id"])]
    others.append(workplace.trained(*arguments, "--freeze"))
    assert len({result["run_id"] for result in (outcome, *others)}) == 4
    assert len({result["train_loss"] for result in (outcome, *others)}) == 4


def path(place, run, name):
    return place.client.download_artifacts(run.info.run_id, name)


def test_frozen_tensors_are_the_source_s_in_every_fold_and_the_others_are_trained(workplace, source):
    arguments = ("--epochs", 1, "--set", "hidden=[6]", "--folds", 2, "--init", source)
    outcome = workplace.trained(*arguments, "--freeze")
    theirs = weights(workplace, source)
    found = [weights(workplace, child.info.run_id) for child in workplace.children(outcome).values()]
    assert len(found) == 2
    for own in found:
        alike = {name for name in theirs if torch.equal(theirs[name], own[name])}
        assert alike == set(theirs) - LEFT
    assert not torch.equal(found[0]["classifier.output.weight"], found[1]["classifier.output.weight"])
    assert {child.data.tags["sweeper.init"] for child in workplace.children(outcome).values()} == {f"run {source}"}
    # The parent's own weights are nobody's: it is told whose there are.
    refused = workplace.train("--init", outcome["run_id"], code=2)
    for name, child in workplace.children(outcome).items():
        assert f"{child.info.run_id} ({name[-6:]})" in refused.stderr


def test_training_goes_on_bitwise_when_its_source_is_gone(workplace, source, monkeypatch):
    gone = workplace.trained("--epochs", 1, "--seed", 22)["run_id"]
    arguments = ("--init", gone, "--freeze", "--set", "hidden=[6]", "--epochs", 2)
    twin = workplace.trained(*arguments, "--variant", "twin")
    with monkeypatch.context() as patch:
        signal_at(patch, 1)
        workplace.train(*arguments, code=130)
    uri = workplace.client.get_run(gone).info.artifact_uri
    shutil.rmtree(uri.removeprefix("file://"))
    workplace.client.delete_run(gone)
    resumed = workplace.train(*arguments, "--json", "-v")
    assert "resumes after epoch 1" in resumed.stderr
    outcome = json.loads(resumed.stdout)
    for metric in ("train_loss", "validation_loss", "gradient_norm"):
        assert workplace.history(outcome["run_id"], metric) == workplace.history(twin["run_id"], metric)


def test_curves_are_drawn_beside_those_of_others_after_the_end_too(workplace, source, monkeypatch):
    drawn = []
    overlaid = plots.FUNCTIONS["overlaid_curves"]
    functions = {**plots.FUNCTIONS, "overlaid_curves": lambda **given: drawn.append(given) or overlaid(**given)}
    monkeypatch.setattr(plots, "FUNCTIONS", functions)
    other = workplace.trained("--epochs", 1, "--folds", 2, "--seed", 23)
    arguments = ("--epochs", 1, "--seed", 24, "--set", "hidden=[6]", "--init", source)
    outcome = workplace.trained(*arguments)
    assert "curves/comparison.png" not in workplace.artifacts(outcome["run_id"])
    n_made = len(InlinePool.made)
    shown = workplace.train(*arguments, "--compare", source, "--compare", other["run_id"])
    assert f"beside those of {source}, {other['run_id']}: curves/comparison.png" in shown.stdout
    assert len(InlinePool.made) == n_made
    assert "curves/comparison.png" in workplace.artifacts(outcome["run_id"])
    [lines] = [given["variants"] for given in drawn]
    assert [line["name"] for line in lines] == [
        f"tiny_space baseline from run {source[:8]} (this run)",
        f"tiny_space baseline, from scratch (run {source[:8]})",
        f"tiny_space baseline, from scratch (run {other['run_id'][:8]})",
    ]
    assert [[len(epochs) for epochs in line["trainings"]] for line in lines] == [[1], [1], [1, 1]]
    assert lines[0]["trainings"][0][0]["validation_accuracy"] == outcome["validation_accuracy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--freeze"], "--freeze needs --init: it freezes the weights that --init loads"),
        (["--init", ""], "weights must be named by a run's id (32 hexadecimal digits)"),
        (["--init", "nosuch@champion"], "MLflow has no registered model nosuch@champion (--init)"),
        (["--init", "0" * 32], f"MLflow has no run {'0' * 32} (--init)"),
        (["--init", "SOURCE", "--freeze"], "all 10 parameters of this network are in the weights of run SOURCE"),
        (
            ["--init", "SOURCE", "--freeze", "--set", "filters=[3,4,8]", "--set", "freeze_epochs=1"],
            "freeze_epochs trains the classifier alone, which is in the weights and so frozen: nothing is left",
        ),
        (
            ["--init", "SOURCE", "--variant", "perceptron"],
            "no weights of run SOURCE match a parameter of this network in name and shape",
        ),
        (["--compare", "nosuch"], "a run must be named by its id, 32 hexadecimal digits, got 'nosuch' (--compare)"),
        (["--compare", "0" * 32], f"MLflow has no run {'0' * 32} (--compare)"),
    ],
)
def test_weights_and_runs_that_are_of_no_use_are_one_line_and_exit_code_2(workplace, source, arguments, message):
    before = len(workplace.runs("baseline"))
    refused = workplace.train(*(word.replace("SOURCE", source) for word in arguments), code=2)
    assert message.replace("SOURCE", source) in refused.stderr
    assert refused.stdout == ""
    assert len(workplace.runs("baseline")) == before


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04K\x01.", b"\x10" + bytes(7) + b"{}"], ids=["empty", "pickle", "header"]
)
def test_weights_that_cannot_be_read_are_one_line_and_not_kept(workplace, source, content):
    run = workplace.client.get_run(source)
    file = Path(run.info.artifact_uri.removeprefix("file://"), "weights", "model.safetensors")
    kept = workplace.store.initial_weights(source)
    kept.unlink(missing_ok=True)
    whole = file.read_bytes()
    file.write_bytes(content)
    refused = workplace.train("--init", source, code=1)
    file.write_bytes(whole)
    [line] = [line for line in refused.stderr.splitlines() if line.startswith("Error")]
    assert f"the weights of run {source} cannot be used: it is not a complete safetensors file" in line
    assert not kept.exists()
    assert not [path for path in kept.parent.iterdir() if path.name.startswith(".")]
    kept.write_bytes(content)
    assert f"cannot be read from {kept}" in workplace.train("--init", source, code=1).stderr
    kept.unlink()


def test_variant_has_epochs_of_its_own_unless_the_command_says_otherwise(workplace):
    outcome = workplace.trained("--variant", "perceptron")
    assert outcome["epochs"] == 2
    assert len(workplace.history(outcome["run_id"])) == 2
    outcome = workplace.trained("--variant", "perceptron", "--epochs", 1)
    assert outcome["epochs"] == 1
    assert len(workplace.history(outcome["run_id"])) == 1


def test_resumed_training_requires_the_kind_of_processor_that_it_began_on(workplace, monkeypatch):
    required = required_processors(monkeypatch)
    arguments = ("--variant", "baseline", "--seed", 77)
    monkeypatch.setattr(processor, "of", lambda devices: "x")
    with monkeypatch.context() as patch:
        signal_at(patch, 1)
        workplace.train(*arguments, code=130)
    monkeypatch.setattr(processor, "of", lambda devices: "y")
    assert "Trained on x so far, and on y from now on" in workplace.train(*arguments).stderr
    assert required == ["", "x"]
