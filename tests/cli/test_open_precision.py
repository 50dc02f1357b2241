"""precision = "auto" from the command line to what is recorded, on processors of a script."""

import json
from dataclasses import replace

import mlflow
import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.data.known import catalog
from sweeper.engine.local import pool
from sweeper.models import precision as rules
from sweeper.models.precision import PrecisionRule
from sweeper.process import processor
from sweeper.runs import precision
from tests.cli.test_train import signal_at
from tests.engine.inline import InlinePool, required_processors
from tests.fake_data import write_fake_dataset
from tests.tracking import stand_ins

ZEN, OLD = "x86_64 AuthenticAMD avx512_bf16", "x86_64 avx2"
SPACE = """
[protocol]
epochs = 1

[model]
filters = { choices = [[2, 4, 8], [4, 8, 16]] }
padding = [2, 0, 0]
hidden = [8]

[train]
PRECISION

[variants.baseline]
filters = [2, 4, 8]
"""
NAMED = """
[variants.named]
precision = "float32"
"""
BOUND = 150_000  # multiply-adds, between the two networks


@pytest.fixture
def place(tmp_path, monkeypatch):
    dataset = write_fake_dataset(tmp_path / "data", training=300)
    monkeypatch.setitem(catalog.DATASETS, dataset.name, dataset)
    monkeypatch.setattr("sweeper.engine.local.pool.WorkerPool", InlinePool)
    monkeypatch.setattr(rules, "RULES", (PrecisionRule("avx512_bf16", BOUND),))
    stand_ins.use(monkeypatch)
    return Place(tmp_path, monkeypatch)


class Place:
    """A store, a space, and a machine whose processor the test chooses."""

    def __init__(self, folder, monkeypatch):
        self.folder, self._monkeypatch = folder, monkeypatch
        self.write('precision = "auto"')
        self.on(ZEN)

    def on(self, kind):
        self._monkeypatch.setattr(processor, "of", lambda devices: kind)

    def write(self, precision):
        text = SPACE.replace("PRECISION", precision) + NAMED * ("auto" in precision)
        (self.folder / "s.toml").write_text(text)

    def call(self, command, *more, code=0):
        options = ["--space", self.folder / "s.toml", "--data-dir", self.folder / "data", "--jobs", 1]
        arguments = [command, "tiny", *options, "--store", self.folder / "store", *more]
        done = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done

    def search(self, *more, code=0):
        return self.call("search", "--sampler", "grid", "--epochs", 1, *more, code=code)

    def trials(self):
        shown = CliRunner().invoke(main, ["trials", "--json", "--store", str(self.folder / "store")])
        return json.loads(shown.stdout)["trials"]

    def logged(self):
        """The filters, the precision and the variant of the trials' runs in MLflow."""
        client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{self.folder}/store/mlflow.db")
        runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
        tried = [run for run in runs if "sweeper.trial" in run.data.tags]
        return {(run.data.params["filters"], run.data.params["precision"]) for run in tried}


def test_trials_are_logged_with_the_precision_that_their_network_gets(place):
    said = place.search("--trials", 3).stderr
    assert 'Precision "auto": bfloat16 from 150,000 multiply-adds an image (avx512_bf16)' in said
    assert place.logged() == {("[2, 4, 8]", "float32"), ("[4, 8, 16]", "bfloat16")}


def test_variant_that_names_what_auto_gives_is_a_duplicate(place):
    place.search("--trials", 2)
    named = [trial for trial in place.trials() if trial["variant"] == "named"]
    assert [trial["state"] for trial in named] == ["duplicate"]


def test_search_on_a_processor_that_would_decide_otherwise_is_refused(place):
    place.search("--trials", 1)
    place.on(OLD)
    refused = place.search("--trials", 2, code=2).stderr
    assert "cannot go on here" in refused
    assert "it would be float32" in refused
    assert "--new --set precision=float32" in refused
    place.search("--trials", 1, "--new", "--set", "precision=float32")
    place.on(ZEN)
    assert "cannot go on" not in place.search("--trials", 2).stderr


def test_finished_study_is_shown_on_every_processor_and_trains_nothing_there(place, monkeypatch):
    place.search("--trials", 2)
    place.on(OLD)
    before = place.trials()
    monkeypatch.setattr("sweeper.engine.local.pool.WorkerPool", None)  # no worker starts
    assert "Next:" in place.search("--trials", 2).output
    place.search("--trials", 2, "--dry-run")
    place.search("--trials", 3, "--target", 0)  # reached
    assert place.trials() == before
    assert "cannot go on here" in place.search("--trials", 3, "--dry-run", code=2).stderr


def test_study_for_any_machine_is_gone_on_with_on_any(place):
    """The remedy that the refusal names, also where a variant leaves the precision open itself."""
    (place.folder / "s.toml").write_text(SPACE.replace("PRECISION", "") + 'precision = "auto"\n')
    place.search("--trials", 1)
    place.on(OLD)
    assert "--new --set precision=float32" in place.search("--trials", 2, code=2).stderr
    place.search("--trials", 1, "--new", "--set", "precision=float32", "--study", "any")
    place.on(ZEN)
    place.search("--trials", 2, "--study", "any", "--set", "precision=float32")


def test_study_in_a_cluster_requires_its_processor_even_if_it_was_killed_before_its_first_training(place, monkeypatch):
    required, settle = required_processors(monkeypatch), precision.of_study

    def in_a_cluster(*arguments):
        found = settle(*arguments)
        return replace(found, execution=replace(found.execution, required_processor=ZEN))

    def killed(workload, execution):
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr(precision, "of_study", in_a_cluster)
        patch.setattr(pool, "start_workers", killed)
        place.search("--trials", 1, code=9)
    place.search("--trials", 1)
    assert required == [ZEN]


def test_study_begun_before_its_space_said_auto_goes_on_as_it_began(place):
    place.write("")
    place.search("--trials", 1)
    (place.folder / "s.toml").write_text(SPACE.replace("PRECISION", 'precision = "auto"'))
    said = place.search("--trials", 2).stderr
    assert "Precision: float32, as the study began" in said
    assert {precision for _, precision in place.logged()} == {"float32"}


def test_other_precision_than_that_of_the_study_is_named_in_the_refusal(place):
    place.search("--trials", 1)
    refused = place.search("--trials", 2, "--set", "precision=bfloat16", code=2).stderr
    assert "space.fixed.precision 'auto', this command has 'bfloat16'" in refused


def test_training_by_itself_is_logged_with_the_precision_that_its_network_gets(place):
    outcome = json.loads(place.call("train", "--set", "filters=[4,8,16]", "--json").stdout)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{place.folder}/store/mlflow.db")
    assert client.get_run(outcome["run_id"]).data.params["precision"] == "bfloat16"


def test_training_interrupted_before_its_space_said_auto_goes_on_as_it_began(place, monkeypatch):
    place.write("")
    arguments = ("train", "--set", "filters=[4,8,16]", "--epochs", 2, "--json")
    with monkeypatch.context() as patch:
        signal_at(patch, 1)
        begun = json.loads(place.call(*arguments, code=130).stdout)
    place.write('precision = "auto"')
    done = place.call(*arguments)
    assert "Precision: float32, as this training began; --set precision=bfloat16 trains it anew" in done.stderr
    assert json.loads(done.stdout)["run_id"] == begun["run_id"]
    anew = json.loads(place.call(*arguments, "--set", "precision=bfloat16").stdout)
    assert anew["run_id"] != begun["run_id"]
    assert "Precision" not in place.call("train", "--set", "filters=[4,8,16]", "--set", "precision=float32").stderr


def test_exported_trial_has_the_precision_that_it_was_trained_with(place):
    place.search("--trials", 3)
    number = next(t["number"] for t in place.trials() if t["params"].get("filters") == [4, 8, 16])
    arguments = ["spaces", "export", f"tiny-s:{number}", "--store", str(place.folder / "store")]
    assert 'precision = "bfloat16"' in CliRunner().invoke(main, arguments).stdout


def test_space_around_the_best_leaves_the_precision_open(place):
    place.search("--trials", 3)
    text = CliRunner().invoke(main, ["spaces", "around", "--store", str(place.folder / "store")]).stdout
    assert 'precision = "auto"' in text
    assert "float32" not in text


def test_dry_run_says_what_auto_stands_for(place):
    assert 'Precision "auto": bfloat16 from' in place.search("--dry-run").stderr
