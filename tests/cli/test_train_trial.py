"""`sweeper train --from` and `sweeper spaces export`: a study's trial as an object of its own."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

from sweeper.cli import main
from sweeper.data.known import catalog
from sweeper.images.options import DataOptions
from sweeper.spaces import reader
from sweeper.studies.seeds import trial_seed
from tests.cli.test_train import SPACE
from tests.engine.inline import InlinePool
from tests.fake_data import write_fake_dataset
from tests.tracking import stand_ins


class Studies:
    """Two small studies in one store: `plain`, and `folded` with folds and repeats."""

    def __init__(self, folder):
        self.folder, self.store = folder, folder / "store"
        self.space = folder / "tiny_space.toml"
        self.space.write_text(SPACE)
        rng = np.random.default_rng(0)
        labels = np.arange(200) % 2
        images = rng.integers(0, 128, (200, 28, 28)) + 64 * labels[:, None, None]
        np.savez(folder / "own.npz", train_images=images.astype(np.uint8), train_labels=labels)
        self.search("tiny", "--study", "plain", "--trials", 3, "--seed", 5, "--split-seed", 9)
        self.search("tiny", "--study", "folded", "--trials", 2, "--folds", 2, "--repeats", 2, "--epochs", 1)
        self.search(folder / "own.npz", "--study", "own", "--trials", 1, "--epochs", 1, "--resize", 28)

    def run(self, *arguments, code=0):
        result = CliRunner().invoke(main, [*map(str, arguments), "--store", str(self.store)])
        assert result.exit_code == code, result.output
        return result

    def search(self, dataset, *options):
        variants = ("--set", "lr=1e-4:1e-1", "--pruner", "none", "--jobs", 1, "-q")
        self.run("search", dataset, "--space", self.space, "--data-dir", self.folder / "data", *variants, *options)

    def trials(self, study):
        return json.loads(self.run("trials", study, "--json").stdout)["trials"]

    def train(self, reference, *options, code=0):
        places = ("--data-dir", self.folder / "data", "--jobs", 1)
        return self.run("train", "--from", reference, *places, *options, code=code)

    def trained(self, reference, *options):
        return json.loads(self.train(reference, "--json", "-q", *options).stdout)

    @property
    def client(self):
        uri = f"sqlite:///{self.store}/mlflow.db"
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)

    def trainings(self, run_id):
        """Each training's metrics by epoch, without its speed, and its weights, by fold and repeat."""
        run = self.client.get_run(run_id)
        children = self.client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
        found = {}
        for one in children or [run]:
            history = {
                name: [(point.step, point.value) for point in self.client.get_metric_history(one.info.run_id, name)]
                for name in one.data.metrics
                if name not in ("epoch_seconds", "images_per_second")
            }
            weights = Path(self.client.download_artifacts(one.info.run_id, "weights/model.safetensors"))
            label = one.info.run_name.partition(", ")[2] if children else ""
            found[label] = history, load_file(weights)
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial")
    dataset = write_fake_dataset(folder / "data", training=300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.DATASETS, dataset.name, dataset)
        patch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
        stand_ins.use(patch)
        yield Studies(folder)


@pytest.mark.parametrize("reference", ["plain:0", "plain:2", "folded:1", "own:0"])
def test_trial_is_repeated_to_the_last_bit(made, reference):
    study, number = reference.split(":")
    trial = made.trials(study)[int(number)]

    again = made.trained(reference)

    assert again["repeats"] == {"trial": reference, "value": trial["value"], "changes": [], "equal": True}
    assert again["validation_accuracy"] == trial["value"]
    assert again["validation_loss"] == trial["metrics"]["validation_loss"]
    assert again["seed"] == trial["seed"]


@pytest.mark.parametrize("reference", ["plain:1", "folded:1"])
def test_all_trainings_of_a_trial_have_the_same_epochs_and_weights_again(made, reference):
    study, number = reference.split(":")
    before = made.trainings(made.trials(study)[int(number)]["run_id"])
    told = made.train(reference)
    again = made.trainings(made.trained(reference)["run_id"])

    assert set(again) == set(before)
    assert len(before) == (4 if study == "folded" else 1)
    for label, (history, weights) in before.items():
        assert again[label][0] == history
        assert {name: again[label][1][name].tobytes() for name in weights} == {
            name: tensor.tobytes() for name, tensor in weights.items()
        }
    said = f"Trains 4 networks, as trial {reference} did: 2 folds of 2 repeats"
    assert (said in told.stderr) == (study == "folded")


@pytest.mark.parametrize(("reference", "n_networks"), [("plain:1", 1), ("folded:1", 2), ("own:0", 1)])
def test_all_data_are_trained_on_and_give_no_validation_score(made, reference, n_networks):
    InlinePool.made.clear()
    shown = made.train(reference, "--all-data", "--seed", 3)
    again = made.trained(reference, "--all-data", "--seed", 3)

    n_images = 200 if reference == "own:0" else 300
    [pool] = InlinePool.made
    assert [len(part[1]) for part in (pool.train_part, pool.validation_part)] == [n_images, 0]
    assert f"Trains on all {n_images} images" in shown.stderr
    assert "(all images), last epoch" in shown.stdout
    assert "nan" not in shown.stdout.lower()
    assert again["all_data"]
    assert again["validation_accuracy"] is None
    assert again["train_accuracy"] > 0
    assert again["n_trainings"] == n_networks
    assert "seed" in again["repeats"]["changes"]
    assert again["repeats"]["equal"] is None
    run = made.client.get_run(again["run_id"])
    assert (run.info.status, run.data.params["n_train"]) == ("FINISHED", str(n_images))
    assert not [name for name in run.data.metrics if name.startswith("validation")]
    assert "sweeper.best_epoch" not in run.data.tags


def test_fold_cannot_be_scored_with_all_data(made):
    assert (
        "--all-data leaves no images to score a fold on"
        in made.train("plain:0", "--all-data", "--folds", 2, code=2).stderr
    )


def test_score_that_is_repeated_is_said(made):
    shown = made.train("plain:1").stdout
    assert re.search(r"The score equals that of trial plain:1 to the last bit: \d+\.\d{4} %", shown)


def test_another_score_is_said_to_be_another_machine_s(made, monkeypatch):
    monkeypatch.setattr("sweeper.runs.repetition.Repetition.is_equal", lambda repetition, metrics: False)

    assert "The score is not that of trial plain:1" in made.train("plain:1").stdout
    assert made.trained("plain:1")["repeats"]["equal"] is False


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (["--seed", 1], ["seed"]),
        (["--split-seed", 1], ["splits"]),
        (["--epochs", 1], ["epochs"]),
        (["--set", "activation=gelu"], ["activation"]),
    ],
)
def test_one_thing_is_changed_and_nothing_else(made, options, changes):
    done = made.train("plain:0", "--json", *options)
    outcome = json.loads(done.stdout)

    assert outcome["repeats"]["changes"] == changes
    assert outcome["repeats"]["equal"] is None
    assert f"Unlike trial plain:0 in {changes[0]}" in done.stderr
    assert (outcome["split_seed"] == 9) == (changes != ["splits"])
    assert (outcome["seed"] == trial_seed(5, 0)) == (changes != ["seed"])


def test_each_trial_has_its_seed_in_json(made):
    trials = made.trials("plain")
    assert [trial["seed"] for trial in trials] == [trial_seed(5, number) for number in range(len(trials))]


def test_one_trial_is_shown_whole(made):
    def shown(study, *options):
        return made.run("trials", study, "--trial", 1, *options).stdout

    trial = json.loads(shown("plain", "--json"))["trial"]
    assert {name: trial[name] for name in made.trials("plain")[1]} == made.trials("plain")[1]
    baseline = json.loads(made.run("trials", "plain", "--trial", 0, "--json").stdout)["trial"]["configuration"]
    differs = {name: value for name, value in trial["configuration"].items() if value != baseline[name]}
    assert trial["differs_from_baseline"] == differs != {}
    assert [score["epoch"] for score in trial["scores"]] == list(range(1, trial["of_epochs"] + 1))
    assert trial["scores"][-1]["value"] == trial["value"]
    assert trial["n_multiply_adds"] > trial["n_parameters"] > 0
    [run] = trial["runs"]
    assert (run["run_id"], run["seed"], run["value"]) == (trial["run_id"], str(trial["seed"]), trial["value"])
    assert {"config.json", "curves/learning_curves.png", "weights/model.safetensors"} <= set(run["artifacts"])
    assert trial["weights"]
    assert trial["started"] <= trial["ended"]

    text = shown("plain")
    assert all(f"  {name}  " in text for name in trial["configuration"])
    assert text.count("(baseline ") == len(differs)
    for words in (str(trial["seed"]), trial["run_id"], f"{trial['n_multiply_adds']:,}", "Weights: kept", "Accuracy by"):
        assert words in text
    assert f"sweeper train --from plain:1 --store {made.store}" in text


def test_trial_with_folds_and_repeats_is_shown_with_each_of_its_trainings(made):
    shown = made.run("trials", "folded", "--trial", 1, "--json").stdout
    trial = json.loads(shown)["trial"]
    own, *trainings = trial["runs"]
    assert own["run_id"] == trial["run_id"]
    assert [run["training"] for run in trainings] == [
        f"fold {fold}, repeat {repeat}" for repeat in (1, 2) for fold in (1, 2)
    ]
    assert np.mean([run["value"] for run in trainings]) == pytest.approx(trial["value"])
    assert [score["training"] for score in trial["scores"]] == [1, 2, 3, 4]
    text = made.run("trials", "folded", "--trial", 1).stdout
    assert all(run["run_id"] in text for run in trainings)


def test_trial_is_shown_without_mlflow_too(made, tmp_path):
    shutil.copytree(made.store, tmp_path / "store")
    (tmp_path / "store" / "mlflow.db").unlink()
    shown = CliRunner().invoke(main, ["trials", "plain", "--trial", "1", "--store", str(tmp_path / "store")])
    assert shown.exit_code == 0, shown.output
    assert "Weights and artifacts are not known: MLflow has no run" in shown.stdout
    assert "Differs from the baseline in" in shown.stdout


def test_one_trial_takes_no_options_of_the_list_and_an_unknown_one_is_named(made):
    for option in (["--top", 2], ["--sort", "lr"], ["--csv", "-"]):
        assert "--trial shows one trial: leave out" in made.run("trials", "plain", "--trial", 1, *option, code=2).stderr
    assert "study plain has no trial 9 (--trial)" in made.run("trials", "plain", "--trial", 9, code=2).stderr


def test_other_data_under_the_same_name_are_refused(made, tmp_path):
    moved = tmp_path / "own.npz"
    shutil.move(made.folder / "own.npz", moved)
    try:
        assert "--data-dir" in made.run("train", "--from", "own:0", code=1).stderr
        with np.load(moved) as content:
            np.savez(made.folder / "own.npz", **dict(content) | {"train_images": 255 - content["train_images"]})

        assert "have changed since the search" in made.run("train", "--from", "own:0", code=1).stderr
    finally:
        shutil.move(moved, made.folder / "own.npz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "plain"], "a trial must be named as STUDY:TRIAL, such as fashion_mnist-lenet5:17, got 'plain'"),
        (["--from", "plain:x"], "a trial must be named as STUDY:TRIAL, such as fashion_mnist-lenet5:17, got 'plain:x'"),
        (["--from", "plain:9"], "study plain has no trial 9"),
        (["--from", "nosuch:0"], "no study 'nosuch'"),
        (["tiny", "--from", "plain:0"], "leave out DATASET"),
        (["--from", "plain:0", "--space", "lenet5"], "leave out --space"),
        (["--from", "plain:0", "--resize", "28"], "leave out --resize"),
        (["--from", "plain:0", "--set", "dropout=0:0.5"], "dropout must be a single value"),
        ([], "give DATASET, or the trial of a study (--from STUDY:TRIAL)"),
    ],
)
def test_what_cannot_be_repeated_is_one_line_and_exit_code_2(made, arguments, message):
    assert message in made.run("train", *arguments, code=2).stderr


def test_unknown_trial_s_error_names_the_command_that_finds_the_store(made):
    refused = made.run("train", "--from", "plain:9", code=2).stderr
    assert f"`sweeper trials plain --store {made.store}` lists its trials" in refused


def test_exported_file_trains_to_the_same_score_with_the_seeds_in_its_first_line(made, tmp_path):
    text = made.run("spaces", "export", "plain:2").stdout
    file = tmp_path / "exported.toml"
    file.write_text(text)
    words = text.splitlines()[0].split()
    seeds = [words[words.index(option) + 1] for option in ("--seed", "--split-seed")]

    space = reader.load(str(file))
    options = ("--seed", seeds[0], "--split-seed", seeds[1], "--data-dir", made.folder / "data", "--jobs", 1)
    outcome = json.loads(made.run("train", "tiny", "--space", file, *options, "--json", "-q").stdout)

    assert not space.parameters
    assert outcome["validation_accuracy"] == made.trials("plain")[2]["value"]


@pytest.mark.parametrize("field", dataclasses.fields(DataOptions), ids=lambda field: field.name)
def test_every_option_of_how_images_are_read_is_refused_beside_a_trial(made, tmp_path, field):
    (tmp_path / "map.toml").write_text('"new" = "a"\n"other" = "b"\n')
    (tmp_path / "table.csv").touch()
    values = {
        "labels": [tmp_path / "table.csv"],
        "fit": ["crop", "--resize", "28"], "map": [tmp_path / "map.toml"], "value_range": ["0,1"], "depth": ["1"],
        "background": ["black"], "channels": ["first"], "min_per_class": ["2"], "max_pixels": ["9"], "resize": ["28"],
        "classes": ["a,b"], "grayscale": [], "skip_bad": [], "resplit": [], "no_exif": [],
    }  # fmt: skip
    option = f"--{field.name.replace('_', '-')}"
    refused = made.run("train", "--from", "plain:0", option, *values.get(field.name, ["words"]), code=2).stderr
    assert "--from takes data and configuration from the study: leave out --" in refused
