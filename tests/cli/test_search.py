"""`sweeper search`: once end to end on the real Fashion-MNIST, then on tiny data with the worker in this process."""

import json
import os
import re
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from sqlalchemy import create_engine, text

from sweeper.cli import main
from sweeper.config import ConvNetConfig, TrainConfig
from sweeper.data.known import catalog
from sweeper.data.source import DataSource
from sweeper.data.splits import split_once
from sweeper.data.training_set import load_training_set
from sweeper.models.families import build
from sweeper.process import processor
from sweeper.store.options import StoreOptions
from sweeper.studies.queries import studies_in
from sweeper.studies.seeds import derive_seed
from tests.data.pictures import write_npz
from tests.engine.inline import InlinePool, required_processors
from tests.fake_data import write_fake_dataset
from tests.tracking import stand_ins

EPOCH_METRICS = {
    "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "validation_macro_f1",
    "validation_balanced_accuracy", "lr", "images_per_second", "gradient_norm", "epoch_seconds",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory, sweeper):
    """A small search on the real data: its store, its --json object and its stderr."""
    store = tmp_path_factory.mktemp("real") / "store"
    arguments = ("fashion_mnist", "--subset", 1500, "--epochs", 1, "--trials", 3, "--keep", 2, "--store", store)
    done = sweeper("search", *arguments, "--json")
    return store, json.loads(done.stdout), done.stderr, arguments


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A tiny data set known by name, in a folder to be given as --data-dir; the worker is in this process."""
    dataset = write_fake_dataset(tmp_path / "data", training=300)
    monkeypatch.setitem(catalog.DATASETS, dataset.name, dataset)
    monkeypatch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
    return tmp_path / "data"


def tiny_search(folder, store, *more):
    arguments = ["search", "tiny", "--space", "lenet5", "--data-dir", folder, "--store", store, "--jobs", "1", *more]
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def test_json_is_the_only_thing_on_stdout_and_keeps_its_shape(finished):
    _, outcome, progress, _ = finished
    assert set(outcome) == {
        "schema_version", "study_name", "experiment_id", "run_id", "n_trials", "best_trial", "seconds",
        "constant_predictor", "findings",
    }  # fmt: skip
    assert outcome["schema_version"] == 1
    assert outcome["study_name"] == "fashion_mnist-lenet5"
    assert outcome["n_trials"] == {"complete": 3, "pruned": 0, "infeasible": 0, "fail": 0, "running": 0}
    assert set(outcome["best_trial"]) == {"number", "value", "params", "run_id", "constant"}
    assert 0.3 < outcome["best_trial"]["value"] < 1
    assert "[3/3]" in progress


def test_runs_are_in_mlflow_with_all_that_belongs_to_them(finished):
    store, outcome, _, _ = finished
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{store}/mlflow.db")
    parent = client.get_run(outcome["run_id"])
    assert client.get_experiment(outcome["experiment_id"]).name == "fashion_mnist"
    assert parent.info.status == "FINISHED"
    assert parent.data.params["n_train"] == "1200"
    assert parent.data.params["data_sha256"] == load_training_set(DataSource("fashion_mnist")).sha256
    names = {a.path for a in client.list_artifacts(outcome["run_id"])}
    assert names >= {"space.toml", "environment.json", "ranking.csv", "search"}
    assert "search/optimization_history.png" in {a.path for a in client.list_artifacts(outcome["run_id"], "search")}
    # Charts of single numbers would stand before the learning curves.
    assert not parent.data.metrics
    assert "### Ranking" in parent.data.tags["mlflow.note.content"]

    children = client.search_runs(
        [outcome["experiment_id"]], f"tags.`mlflow.parentRunId` = '{outcome['run_id']}'", order_by=["start_time"]
    )
    assert {c.data.tags["sweeper.trial"] for c in children} == {"0", "1", "2"}
    fields = {*ConvNetConfig.__dataclass_fields__, *TrainConfig.__dataclass_fields__, "epochs", "seed"}
    with_weights = 0
    for child in children:
        assert (child.info.status, child.data.tags["sweeper.state"]) == ("FINISHED", "complete")
        assert set(child.data.params) == fields
        assert set(child.data.metrics) >= EPOCH_METRICS
        files = {a.path for a in client.list_artifacts(child.info.run_id)}
        assert files >= {"config.json", "layers.csv", "curves", "confusion"}
        with_weights += "weights" in files
    assert with_weights == 2
    assert not list((store / "checkpoints").rglob("*.safetensors"))


def test_kept_weights_give_the_logged_score_again(finished):
    store, outcome, _, _ = finished
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{store}/mlflow.db")
    best = outcome["best_trial"]
    config = json.loads(Path(client.download_artifacts(best["run_id"], "config.json")).read_text())
    model = build(ConvNetConfig(**config["model"]), tuple(config["input_shape"]), len(config["classes"])).eval()
    model.load_state_dict(load_file(client.download_artifacts(best["run_id"], "weights/model.safetensors")))
    pool = load_training_set(DataSource("fashion_mnist"))
    split = split_once(pool.images, pool.labels, validation=0.1, confirm=0.1, seed=derive_seed(0, "split"), subset=1500)
    mean, std = (np.reshape(config["pixels"][name], (1, -1, 1, 1)) for name in ("mean", "std"))
    images = (pool.images[split.validation] / 255 - mean) / std
    with torch.no_grad():
        predictions = model(torch.tensor(images, dtype=torch.float32)).argmax(1).numpy()
    assert np.mean(predictions == pool.labels[split.validation]) == pytest.approx(best["value"])


def test_study_can_be_looked_at(finished, sweeper):
    store, outcome, _, _ = finished
    name = outcome["study_name"]
    status = json.loads(sweeper("status", "--store", store, "--json").stdout)
    assert (status["study_name"], status["state"], status["n_trials"]) == (name, "finished", outcome["n_trials"])
    trials = json.loads(sweeper("trials", name, "--store", store, "--json").stdout)["trials"]
    assert [t["number"] for t in trials] == [0, 1, 2]
    assert trials[0]["variant"] == "baseline"
    assert trials[0]["n_parameters"] == 61_706
    assert max(t["value"] for t in trials) == outcome["best_trial"]["value"]
    studies_found = json.loads(sweeper("studies", "--store", store, "--json").stdout)["studies"]
    assert [s["study_name"] for s in studies_found] == [name]
    for shown in ("status", "trials", "studies"):
        assert name in sweeper(shown, "--store", store).stdout
    for shown in ("status", "trials"):
        assert "Always saying 'T-shirt/top' would reach accuracy 10.00 %" in sweeper(shown, "--store", store).stdout


def test_same_command_has_nothing_left_to_do_and_prints_the_ranking_and_what_comes_next(finished, sweeper):
    store, outcome, _, arguments = finished
    done = sweeper("search", *arguments)
    assert "Ranking" in done.stdout
    assert f"sweeper ui --store {store}" in done.stdout
    assert "3 complete, 0 pruned" in done.stdout
    assert json.loads(sweeper("trials", "--store", store, "--json").stdout)["study_name"] == outcome["study_name"]


def test_changed_command_is_refused(finished, sweeper):
    store, _, _, arguments = finished
    changed = [*arguments[:-1], store, "--seed", 1]
    refused = sweeper("search", *changed, code=2)
    assert "was started with seed 0, this command has 1" in refused.stderr
    # Of several differences, such as the space and with it the protocol, the one that was asked for is told.
    refused = sweeper("search", *arguments, "--space", "lenet5_steps", "--study", "fashion_mnist-lenet5", code=2)
    assert "was started with space_name 'lenet5', this command has 'lenet5_steps'" in refused.stderr


def test_search_starts_workers_only_if_there_is_something_to_train(tiny, tmp_path):
    places, store = [], tmp_path / "store"
    for trials in ("2", "2", "3"):
        done = tiny_search(tiny, store, "--epochs", "1", "--trials", trials, "--json", "--quiet")
        assert json.loads(done.stdout)["n_trials"]["complete"] == max(2, int(trials))
        places.append(len(InlinePool.made))
    before = places[0]
    assert places == [before, before, before + 1]


def test_new_starts_another_study(tiny, tmp_path):
    names = []
    for more in ([], ["--seed", "1", "--new"]):
        done = tiny_search(tiny, tmp_path / "store", "--epochs", "1", "--trials", "1", "--json", "--quiet", *more)
        names.append(json.loads(done.stdout)["study_name"])
    assert names == ["tiny-lenet5", "tiny-lenet5-2"]


def files_opened():
    """A list that grows by every file that this process opens, the worker's in it."""
    paths = []

    def hook(event, arguments):
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            paths.append(os.fsdecode(arguments[0]))

    sys.addaudithook(hook)
    return paths


def test_search_is_the_same_with_the_test_files_absent(tiny, tmp_path):
    def scores(store):
        assert tiny_search(tiny, store, "--epochs", 2, "--trials", 3).exit_code == 0
        shown = CliRunner().invoke(main, ["trials", "--store", str(store), "--json"])
        return [(t["params"], t["value"], t["state"]) for t in json.loads(shown.stdout)["trials"]]

    opened = files_opened()
    with_test_files = scores(tmp_path / "with")
    assert any("train-images" in path for path in opened)
    assert not any("t10k" in path for path in opened)
    for path in tiny.glob("t10k*"):
        path.unlink()
    assert scores(tmp_path / "without") == with_test_files


def test_quiet_dry_run_and_search_print_nothing_but_the_result(tiny, tmp_path):
    arguments = ["search", "tiny", "--data-dir", tiny, "--store", tmp_path / "store", "--jobs", "1", "--quiet"]
    for more in (["--dry-run"], ["--trials", "1", "--epochs", "1"]):
        result = CliRunner().invoke(main, [str(a) for a in [*arguments, *more]], catch_exceptions=False)
        assert (result.exit_code, result.stderr) == (0, "")


def test_no_complete_trial_is_exit_code_1(tiny, tmp_path):
    result = tiny_search(tiny, tmp_path / "store", "--trials", 2, "--set", "optimizer=sgd", "--set", "lr=1e30")
    assert result.exit_code == 1
    assert "no trial of tiny-lenet5 completed" in result.stderr


def test_timeout_is_exit_code_0_and_says_how_to_go_on(tiny, tmp_path):
    store = tmp_path / "store"
    assert tiny_search(tiny, store, "--epochs", "2", "--pruner", "none", "--trials", "1").exit_code == 0
    result = tiny_search(tiny, store, "--epochs", "2", "--pruner", "none", "--trials", "1000", "--timeout", "2s")
    assert result.exit_code == 0
    assert "stopped by timeout" in result.stdout
    assert "resumes from here" in result.stdout


def test_repeat_with_nothing_to_do_tells_the_time_of_all_commands_and_the_trials_that_were_asked_for(tiny, tmp_path):
    store = tmp_path / "store"
    first = tiny_search(tiny, store, "--epochs", 1, "--trials", 2)
    assert " in all" not in first.stdout
    database = create_engine(f"sqlite:///{store}/optuna.db")
    with database.begin() as connection:
        change = "UPDATE study_user_attributes SET value_json = '3600.0' WHERE key = 'seconds'"
        assert connection.execute(text(change)).rowcount == 1
    database.dispose()
    again = tiny_search(tiny, store, "--epochs", 1, "--trials", 1)
    assert re.search(
        r"^2 complete, 0 pruned, 60 min \d\d s in all, 0 min \d\d s of them by this command$", again.stdout, re.M
    )
    assert "tiny-lenet5: 2 trials (1 asked for) done, nothing left to train" in again.stderr
    status = CliRunner().invoke(main, ["status", "--store", str(store)]).stdout
    assert "2 complete, 0 pruned; 2 trials (1 asked for) done" in status
    assert "2 (1 asked for)" in CliRunner().invoke(main, ["studies", "--store", str(store)]).stdout


def test_networks_that_are_too_large_are_counted_apart(tiny, tmp_path):
    store = tmp_path / "store"
    done = tiny_search(tiny, store, "--epochs", 1, "--trials", 6, "--max-params", 62_000, "--sampler", "random")
    n = json.loads(CliRunner().invoke(main, ["status", "--store", str(store), "--json"]).stdout)["n_trials"]
    assert n["infeasible"] > 0
    assert (n["complete"] + n["infeasible"], n["pruned"]) == (6, 0)
    assert f"{n['infeasible']} of the trials that --trials counts were infeasible" in done.stdout
    shown = CliRunner().invoke(main, ["trials", "--store", str(store)]).stdout
    assert (shown.count("infeasible"), shown.count("pruned")) == (n["infeasible"], 0)


def next_promotion(result):
    """The commands for promotion and ledger among those that a search suggests."""
    assert result.exit_code == 0, result.output
    lines = result.stdout.split("\nNext:\n")[1].splitlines()
    return [
        line.strip().split(" --store ")[0] for line in lines if line.startswith(("  sweeper promote", "  sweeper l"))
    ]


def test_next_is_a_promotion_that_would_be_accepted(tiny, tmp_path, monkeypatch):
    store = tmp_path / "store"
    promotion = f"sweeper promote tiny-lenet5 --top {{}} --data-dir {tiny} --test"
    first = tiny_search(tiny, store, "--epochs", 1, "--trials", 1)
    assert next_promotion(first) == [promotion.format(1)]
    assert next_promotion(tiny_search(tiny, store, "--epochs", 1, "--trials", 2)) == [promotion.format(2)]
    study = json.loads(CliRunner().invoke(main, ["status", "--store", str(store), "--json"]).stdout)["study_name"]
    [study_id] = [
        s.user_attrs["study_id"] for s in studies_in(StoreOptions(store).resolve({})) if s.study_name == study
    ]
    evaluation = SimpleNamespace(complete=True, study_id=study_id)
    monkeypatch.setattr("sweeper.tracking.ledger.Ledger.evaluations", lambda ledger: [evaluation])
    assert next_promotion(tiny_search(tiny, store, "--epochs", 1, "--trials", 2)) == ["sweeper ledger"]


@pytest.mark.parametrize("options", [("--trial", 1), ("--top", 1), ("--seeds", 2)])
def test_next_after_a_promotion_is_accepted_whatever_its_options_were(tiny, tmp_path, monkeypatch, options):
    stand_ins.use(monkeypatch)
    store = tmp_path / "store"
    search = partial(tiny_search, tiny, store, "--epochs", 1)
    places = ["--data-dir", str(tiny), "--store", str(store)]

    def promote(*more):
        arguments = ["promote", *map(str, more), "--jobs", "1", *places]
        return CliRunner().invoke(main, arguments, catch_exceptions=False)

    assert search("--trials", 2).exit_code == 0
    promoted = promote("tiny-lenet5", "--seeds", 1, *options)
    assert promoted.exit_code == 0, promoted.output
    [suggested] = next_promotion(search("--trials", 2))
    assert suggested == f"sweeper promote tiny-lenet5 --data-dir {tiny} --test"
    tested = promote(*suggested.split()[2:])
    assert tested.exit_code == 0, tested.output
    assert "(the first and only test on these images in this store)" in tested.stdout
    assert next_promotion(search("--trials", 2)) == ["sweeper ledger"]


def test_next_is_no_promotion_of_networks_that_are_too_large(tiny, tmp_path):
    # Only the baseline is trained, and it has more parameters than a winner may have.
    smaller = ("--set", "filters={choices=[[6,16,120],[2,4,20]]}", "--max-params", 20_000)
    result = tiny_search(tiny, tmp_path / "store", "--epochs", 1, "--trials", 1, *smaller)
    assert next_promotion(result) == []


def test_next_has_no_test_where_there_is_no_test_part(tiny, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 28, 28), dtype=np.uint8)
    path = write_npz(tmp_path / "own.npz", {"train_images": images, "train_labels": np.arange(60) % 2})
    arguments = ["search", path, "--store", tmp_path / "store", "--epochs", "1", "--trials", "2", "--jobs", "1"]
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert next_promotion(result) == ["sweeper promote own-lenet5 --top 2"]


def test_sweep_that_was_stopped_before_any_trial_completed_has_not_failed(tiny, tmp_path):
    result = tiny_search(tiny, tmp_path / "store", "--timeout", "0.001s")
    assert result.exit_code == 0, result.output
    assert "stopped by timeout" in result.stdout


def test_altered_training_file_is_refused_by_name_before_anything_is_written(tiny, tmp_path):
    path = next(tiny.glob("train-images*"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    result = tiny_search(tiny, tmp_path / "store")
    assert result.exit_code == 1
    assert str(path) in result.stderr
    assert not (tmp_path / "store").exists()


def test_dry_run_writes_nothing(tiny, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    result = tiny_search(tiny, tmp_path / "store", "--dry-run", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["images"] == {"train": 240, "validation": 30, "confirm": 30}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fashion_mnsit"], "fashion_mnist"),
        (["fashion_mnist", "--space", "nosuch"], "no space 'nosuch'"),
        (["fashion_mnist", "--set", "dropout=1.5"], "dropout must be in [0, 1), got 1.5 (--set dropout=1.5)"),
        (["fashion_mnist", "--trials", "0"], "--trials"),
        (["fashion_mnist", "--timeout", "soon"], "must be a duration"),
        (["fashion_mnist", "--jobs", "many"], "must be auto or an integer"),
        (["fashion_mnist", "--study", "../up"], "a study's name must be"),
        (["fashion_mnist", "--device", "tpu"], "cuda:N,cuda:M or mps, got 'tpu'"),
        (["fashion_mnist", "--subset", "100000"], "100000"),
        (["fashion_mnist", "--sampler", "grid"], "dropout has infinitely many values"),
        (["fashion_mnist", "--data-dir", "/nowhere/at/all"], "/nowhere/at/all"),
        (["fashion_mnist", "--quiet", "--verbose"], "contradict"),
        (["fashion_mnist", "--study", ""], "a study's name must be"),
        (["fashion_mnist", "--target", "nan"], "--target must be a finite number, got nan"),
        (["fashion_mnist", "--target", "92"], "--target must be in [0, 1] for accuracy, got 92; did you mean 0.92?"),
        (["fashion_mnist", "--target", "-0.1"], "--target must be in [0, 1] for accuracy, got -0.1"),
        (["fashion_mnist", "--target", "1.01", "--metric", "macro_f1"], "must be in [0, 1] for macro_f1, got 1.01"),
        (["fashion_mnist", "--target", "-1", "--metric", "loss"], "--target must be at least 0 for loss, got -1"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2_and_leaves_nothing(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["search", *arguments], catch_exceptions=False)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stdout == ""
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("address", ["http://me:secret@127.0.0.1:9", "foo://x"])
def test_unusable_mlflow_is_one_line_and_leaves_nothing(tiny, tmp_path, monkeypatch, address):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    result = tiny_search(tiny, tmp_path / "store", "--tracking-uri", address)
    assert result.exit_code == 1
    assert "cannot be used" in result.stderr.splitlines()[-1]
    assert "secret" not in result.output
    assert not (tmp_path / "store").exists()


def test_fault_of_ours_is_one_line_unless_debug_is_asked_for(monkeypatch, tmp_path):
    def broken(*arguments):
        raise RuntimeError("broken")

    monkeypatch.setattr("sweeper.spaces.reader.load", broken)
    result = CliRunner().invoke(main, ["search", "fashion_mnist"])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: RuntimeError: broken")
    assert "Traceback" not in result.stderr
    shown = CliRunner().invoke(main, ["search", "fashion_mnist", "--debug"])
    assert isinstance(shown.exception, RuntimeError)


def test_resumed_search_requires_the_kind_of_processor_that_the_study_began_on(tiny, tmp_path, monkeypatch):
    required = required_processors(monkeypatch)
    for kind, trials in (("x", 1), ("y", 2)):
        monkeypatch.setattr(processor, "of", lambda devices, kind=kind: kind)
        result = tiny_search(tiny, tmp_path / "store", "--trials", trials, "--epochs", 1)
        assert result.exit_code == 0, result.output
    assert required == ["", "x"]
    assert "Trained on x so far, and on y from now on" in result.stderr
