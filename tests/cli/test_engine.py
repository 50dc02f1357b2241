"""One study on two engines, and the inline engine as a user has it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import sweeper
from sweeper.cli import main
from sweeper.data.known import catalog
from sweeper.engine.inline import InlineEngine
from sweeper.store.options import StoreOptions
from tests import databases
from tests.fake_data import write_fake_dataset
from tests.faults import outcomes
from tests.faults.workplace import FIXED_LIST
from tests.models.own_code import NETS, SPACE
from tests.tracking import stand_ins

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    dataset = write_fake_dataset(folder / "data", training=300)
    (folder / "space.toml").write_text(FIXED_LIST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.DATASETS, dataset.name, dataset)
        stand_ins.use(patch)
        yield folder


def search(place, store, trials, *more, code=0):
    words = ["search", "tiny", "--space", place / "space.toml", "--data-dir", place / "data", "--store", place / store]
    words += ["--sampler", "grid", "--pruner", "none", "--keep", 3, "--epochs", 3, "--study", "study", "--device"]
    words += ["cpu", "--trials", trials, *more]
    done = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


def test_study_goes_on_from_one_engine_to_the_other_and_back_bitwise(place, monkeypatch):
    search(place, "local", 3, "--jobs", 1, "--engine", "local")

    store, answer = StoreOptions(place / "mixed").resolve({}), InlineEngine.answer

    def answered(engine, index, *, proceed):
        if engine._training.job.number == 1:
            store.request_stop("study")  # as `sweeper stop` does
        answer(engine, index, proceed=proceed)

    with monkeypatch.context() as patch:
        patch.setattr(InlineEngine, "answer", answered)
        stopped = search(place, "mixed", 2, "--engine", "inline")
    assert "trial 1 interrupted" in stopped.stderr
    # The lines of --verbose, because a view that redraws itself would overwrite a debugger's prompt.
    assert "trial 1 epoch 2: train loss" in stopped.stderr
    resumed = search(place, "mixed", 2, "--jobs", 1)
    assert "trial 1 resumes after epoch 2" in resumed.stderr
    monkeypatch.setenv("SWEEPER_ENGINE", "inline")
    search(place, "mixed", 3)

    stores = place / "mixed", place / "local"
    mixed, local = (outcomes.trials(folder, "study") for folder in stores)
    assert outcomes.differences(mixed, local) == []
    for trials in zip(mixed, local, strict=True):
        one, other = (outcomes.weights(folder, trial) for folder, trial in zip(stores, trials, strict=True))
        assert one == other
    engines = [run.data.tags["sweeper.engine"] for folder in stores for run in outcomes.parents(folder, "study")]
    assert engines == ["inline", "local"]


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (["--engine", "slurm"], "'slurm' is not one of 'local', 'inline'"),
        (["--engine", "inline", "--jobs", "2"], "the inline engine trains one trial at a time, got 2 (--jobs)\n"),
    ],
)
def test_engine_that_cannot_be_is_refused_before_anything_is_written(place, options, refusal):
    refused = search(place, "refused", 1, *options, code=2)
    assert refusal in refused.output
    assert not (place / "refused").exists()


def test_engine_of_the_environment_holds_for_python_too(monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEPER_ENGINE", "slurm")
    with pytest.raises(sweeper.UsageError, match="engine must be one of local, inline, ray, got 'slurm'"):
        sweeper.search("fashion_mnist", store=tmp_path / "store", progress=False)
    assert not (tmp_path / "store").exists()


STOPPING = NETS.replace(
    "        return",
    "        if self.training and len(images) == 50:\n            breakpoint()\n        return",
)


@pytest.mark.slow
def test_debugger_stops_in_a_network_of_ones_own_and_leaving_it_loses_nothing(tmp_path):
    labels = np.arange(100) % 2
    images = np.random.default_rng(0).integers(0, 128, (100, 8, 8)) + 64 * labels[:, None, None]
    np.savez(tmp_path / "own.npz", train_images=images.astype(np.uint8), train_labels=labels)
    (tmp_path / "own.toml").write_text(SPACE.replace("lr = 0.01", "lr = 0.01\nbatch_size = 50"))
    (tmp_path / "nets.py").write_text(STOPPING)
    words = [sys.executable, "-m", "sweeper", "search", "own.npz", "--space", "own.toml", "--code", "nets.py"]
    words += ["--trials", "1", "--engine", "inline", "--device", "cpu"]
    databases.make_empty(tmp_path / "mlruns")

    def debugged(typed):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(words, input=typed, capture_output=True, text=True, cwd=tmp_path, env=environment)

    left = debugged("p 'it has', len(images)\nq\n")
    assert (left.returncode, "('it has', 50)" in left.stdout) == (1, True), left.stdout + left.stderr
    assert left.stderr.splitlines()[-1] == "Error: ended in the debugger; nothing is lost, the same command resumes"
    again = debugged("c\nc\n" * 9)
    assert again.returncode == 0, again.stderr
    assert "1 complete" in again.stdout + again.stderr


@pytest.mark.parametrize("option", [("--ray-address", "head:6390"), ("--ray-insecure",)])
def test_options_of_a_cluster_need_its_engine(option):
    result = CliRunner().invoke(main, ["search", "tiny", *option])
    assert result.exit_code == 2
    assert f"{option[0]} is for --engine ray, the engine is local" in result.stderr
