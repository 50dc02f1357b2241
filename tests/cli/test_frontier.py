import json
import re

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.models.latency import DESCRIBED
from sweeper.studies import network_input
from sweeper.studies.network_input import NetworkInput
from sweeper.studies.storage import open_storage
from tests.sweep.sweeps import Sweep


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A store with a study of eight complete trials."""
    root = tmp_path_factory.mktemp("frontier")
    sweep = Sweep(root)
    sweep.storage = open_storage(sweep.store)
    sweep.run(trials=8)
    network_input.record(sweep.study, NetworkInput((1, 28, 28), 2, 600))
    return root


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """Every network takes as many milliseconds as it has filters in the last conv."""
    measure = lambda network, input_shape, n_classes: float(network.filters[-1])  # noqa: E731
    monkeypatch.setattr("sweeper.models.latency.milliseconds", measure)
    monkeypatch.setattr("sweeper.studies.frontier.milliseconds", measure)


def run(root, *arguments, code=0):
    result = CliRunner().invoke(main, ["frontier", "--store", str(root), *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_the_front_is_named_trial_by_trial_with_a_sentence_on_the_noise(root):
    shown = run(root).stdout
    assert shown.startswith("study: ")
    assert re.search(r"^study: ([2-8] of 8 networks are|1 of 8 networks is) on the front by parameters$", shown, re.M)
    assert "trial 7" in shown
    assert "on 600 validation images, two scores are told apart from about 5.6 points on" in shown
    assert "each score is of one seed, and another seed changes it, too" in shown


def test_latencies_are_said_to_be_measured_now_and_how(root):
    result = run(root, "--cost", "latency")
    assert f"Latency: {DESCRIBED}, measured now.\n" in result.stdout
    assert "ms an image" in result.stdout
    assert "Measuring the networks one by one" in result.stderr
    assert "Latency" not in run(root).stdout


@pytest.mark.parametrize("cost", ["parameters", "multiply_adds", "latency"])
def test_programs_get_one_object(root, cost):
    found = json.loads(run(root, "--json", "--cost", cost.replace("_", "-")).stdout)
    assert (found["schema_version"], found["study_name"], found["metric"], found["cost"]) == (
        1, "study", "accuracy", cost,
    )  # fmt: skip
    assert len(found["points"]) == 8
    assert {point["milliseconds"] is None for point in found["points"]} == {cost != "latency"}
    assert all(0 <= point["value"] <= 1 for point in found["points"])


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_picture_is_written(root, tmp_path, ending):
    run(root, "--plot", tmp_path / f"f.{ending}")
    assert (tmp_path / f"f.{ending}").stat().st_size > 1000


def test_a_picture_of_another_kind_or_in_a_missing_folder_is_refused_in_one_line(root, tmp_path):
    assert "--plot must end in .png, .svg or .pdf" in run(root, "--plot", tmp_path / "f.txt", code=2).stderr
    refused = run(root, "--plot", tmp_path / "none" / "f.png", "--cost", "latency", code=1)
    assert refused.stderr.count("\n") == 1
    assert "cannot be written: No such file or directory (--plot)" in refused.stderr


def test_a_study_of_which_no_trial_has_completed_has_no_front(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.storage = open_storage(sweep.store)
    sweep.run(trials=0)
    assert "No network that may win has completed yet." in run(tmp_path).stdout
    assert "nothing to draw" in run(tmp_path, "--plot", tmp_path / "f.png", code=1).stderr


def test_a_single_network_is_the_best_and_the_cheapest(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.storage = open_storage(sweep.store)
    sweep.run(trials=1)
    assert "trial 0 (baseline) is the best network and the cheapest" in run(tmp_path).stdout


def test_a_study_of_an_older_version_without_the_size_of_its_images_is_told_so(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.storage = open_storage(sweep.store)
    sweep.run(trials=1)
    run(tmp_path)
    assert "an older sweeper, which did not note the size" in run(tmp_path, "--cost", "multiply-adds", code=1).stderr
