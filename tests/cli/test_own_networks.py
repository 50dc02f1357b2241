"""Networks of one's own with all commands that build them, on a real store with the worker in this process."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.models import code_files
from tests.engine.inline import InlinePool
from tests.models.own_code import NETS, SPACE, forget_code
from tests.tracking import stand_ins


class Place:
    """A folder with a file of code, a space that names it, data, and a store."""

    def __init__(self, folder):
        self.folder, self.store, self.nets = folder, folder / "store", folder / "nets.py"
        self.nets.write_text(NETS)
        (folder / "own.toml").write_text(SPACE)
        labels = np.arange(240) % 2
        images = np.random.default_rng(0).integers(0, 128, (240, 8, 8)) + 64 * labels[:, None, None]
        arrays = {"train_images": images[:200], "test_images": images[200:]}
        arrays = {name: pixels.astype(np.uint8) for name, pixels in arrays.items()}
        np.savez(folder / "own.npz", **arrays, train_labels=labels[:200], test_labels=labels[200:])

    def run(self, *words, code=0, nets=True):
        """Runs a command as a process of its own would: what an earlier one has loaded is forgotten."""
        with pytest.MonkeyPatch.context() as patch:
            forget_code(patch)
            given = ["--code", self.nets] if nets else []
            done = CliRunner().invoke(main, [str(word) for word in (*words, *given, "--store", self.store)])
        assert done.exit_code == code, done.output
        return done

    def search(self, *more, code=0, nets=True, trials=3):
        words = ("search", self.folder / "own.npz", "--space", self.folder / "own.toml", "--trials", trials)
        return self.run(*words, "--jobs", 1, "--pruner", "none", *more, code=code, nets=nets)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
        stand_ins.use(patch)
        yield Place(tmp_path_factory.mktemp("own-networks"))


@pytest.fixture(scope="module")
def searched(place):
    refused = place.search(code=2, nets=False)
    assert "no installed package has a module nets: if it is a file, name it with --code nets.py" in refused.stderr
    assert not place.store.exists()
    found = place.search("--quiet", "--json")
    return json.loads(found.stdout)


@pytest.fixture(scope="module")
def promoted(place, searched):
    return json.loads(place.run("promote", "--top", 1, "--seeds", 1, "--jobs", 1, "--quiet", "--json").stdout)


def artifact(place, run_id, path):
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{place.store}/mlflow.db")
    return Path(client.download_artifacts(run_id, path)).read_text()


def test_search_records_the_code_and_its_hash(place, searched):
    assert searched["n_trials"]["complete"] == 3
    assert artifact(place, searched["run_id"], "code/nets.py") == NETS
    config = json.loads(artifact(place, searched["best_trial"]["run_id"], "config.json"))
    assert config["model"]["code_sha256"] == code_files.read(place.nets).sha256
    assert {"width", "depth", "dropout"} <= config["model"].keys()


def test_changed_code_is_refused_with_both_hashes(place, searched):
    before = code_files.read(place.nets).sha256
    place.nets.write_text(f"{NETS}\n# changed\n")
    try:
        now = code_files.read(place.nets).sha256
        refused = place.search(code=2, trials=4).stderr
    finally:
        place.nets.write_text(NETS)
    assert f"code_sha256 '{before}', this command has '{now}': the code of the network has changed" in refused
    assert "1 of" not in place.search("--quiet", trials=3).stderr


def test_commands_that_print_what_comes_next_name_the_code(place, searched, tmp_path):
    assert f" --code {place.nets} " in place.search("--quiet").stdout
    narrowed = place.run("spaces", "around", "own-own", "--output", tmp_path / "narrow.toml").stdout
    assert f"narrow.toml --code {place.nets}" in narrowed
    report = place.run("report", "own-own", "--json").stdout
    assert f"sweeper report own-own --store {place.store} --code {place.nets}" in report


@pytest.mark.parametrize(
    "words",
    [
        ("promote", "--top", 1, "--seeds", 1, "--again", "--jobs", 1, "--quiet"),
        ("train", "--from", "own-own:0", "--jobs", 1),
        ("explain", "own-own:0", "mistakes"),
        ("evaluate", "own-own:0", "own.npz", "--part", "train"),
        ("frontier", "own-own", "--cost", "latency"),
    ],
    ids=lambda words: words[0],
)
def test_command_without_the_code_is_one_line_that_names_it(place, searched, words, monkeypatch):
    monkeypatch.chdir(place.folder)
    refused = place.run(*words, code=2, nets=False).stderr
    assert "name it with --code nets.py" in refused
    assert "bug in sweeper" not in refused


def test_network_that_cannot_be_registered_is_not_trained_for_promotion(place, searched, monkeypatch):
    def refuse(*arguments):
        raise ValueError("it looks at pixels")

    monkeypatch.setattr("sweeper.models.families.check_export", refuse)
    refused = place.run("promote", "--top", 1, "--seeds", 1, "--again", "--jobs", 1, code=1).stderr
    assert "cannot be promoted: it looks at pixels" in refused
    assert "complete" not in refused


def test_promotion_is_shown_without_the_code(place, promoted):
    assert promoted["finalists"][0]["alias"] == "champion"
    assert "Champion" in place.run("promote", nets=False).stdout


def test_networks_are_evaluated_explained_and_compared_by_cost(place, searched, monkeypatch, tmp_path):
    monkeypatch.chdir(place.folder)
    outcome = json.loads(place.run("evaluate", "own-own:0", "own.npz", "--part", "train", "--json", "--quiet").stdout)
    assert sum(row["images"] for row in outcome["classes"]) == 200
    looks = json.loads(
        place.run("explain", "own-own:0", "mistakes", "features", "--output", tmp_path / "looks", "--json").stdout
    )
    assert len(looks["looks"]) == 2
    assert json.loads(place.run("frontier", "own-own", "--cost", "multiply-adds", "--json").stdout)["points"]


def test_trial_is_trained_again_to_the_last_bit(place, searched):
    again = json.loads(place.run("train", "--from", "own-own:1", "--jobs", 1, "--quiet", "--json").stdout)
    assert again["repeats"]["equal"]


def test_report_has_the_study(place, searched):
    assert json.loads(place.run("report", "own-own", "--json").stdout)


@pytest.mark.parametrize("command", ["show", "check"])
def test_space_is_shown_and_checked_with_its_code(place, command):
    words = ("spaces", command, str(place.folder / "own.toml"))
    with pytest.MonkeyPatch.context() as patch:
        forget_code(patch)
        assert CliRunner().invoke(main, words).exit_code == 2
        shown = CliRunner().invoke(main, [*words, "--code", str(place.nets)])
    assert shown.exit_code == 0, shown.output
    assert ("depth" if command == "show" else "2 parameters, 1 variant, no mistakes") in shown.stdout
