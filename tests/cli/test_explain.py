import json

import pytest
from click.testing import CliRunner

from sweeper.analysis import explanation
from sweeper.analysis.explanation import Explanation
from sweeper.analysis.view import View
from sweeper.cli import main
from sweeper.plots import Plot

MATRIX = Plot("confusion_matrix", {"matrix": [[1, 0], [0, 1]], "classes": ["a", "b"], "title": "t"})
VIEW = View(
    name="confusions", title="Confusions", how_to_read="h", images_used="2 images", plot=MATRIX, sentences=["s"],
    data={"classes": ["a", "b"], "networks": [{"name": "n", "matrix": [[1, 0], [0, 1]]}]},
)  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """The requests of commands; each gets one view, of a network that no run has trained."""
    requests = []

    class Network:
        name, run_id = "trial 7 of study", None

    def explain(store, request, notify, progress):
        requests.append(request)
        notify("No features: there is no conv layer")
        progress("Embedding 2 images ...")
        return Explanation(Network(), "2 images", [VIEW])

    monkeypatch.setattr(explanation, "explain", explain)
    return requests


def run(*words):
    return CliRunner().invoke(main, ["explain", *map(str, words)])


def test_pictures_go_to_a_folder_named_after_the_model(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("my/model@champion")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "explain" / "my-model-champion" / "confusions.png").is_file()
    assert result.stdout.splitlines()[0] == "trial 7 of study: 2 images"
    assert result.stdout.splitlines()[-2:] == [
        "explain/my-model-champion/confusions.png", "explain/my-model-champion/explain.json",
    ]  # fmt: skip


@pytest.mark.parametrize("quiet", [True, False])
def test_quiet_leaves_out_progress_and_no_note(asked, tmp_path, quiet):
    told = run("study:7", "-o", tmp_path, *["--quiet"] * quiet).stderr
    assert "No features: there is no conv layer\n" in told
    assert ("Embedding 2 images ...\n" in told) == (not quiet)


def test_json_has_the_views_and_the_files(asked, tmp_path):
    found = json.loads(run("study:7", "--json", "-o", tmp_path / "out", "--format", "svg").stdout)
    assert (found["schema_version"], found["model"]) == (1, "trial 7 of study")
    assert found["files"] == [str(tmp_path / "out" / name) for name in ("confusions.svg", "explain.json")]
    assert found["looks"][0]["images_used"] == "2 images"


def test_analyses_are_asked_for_by_name_and_once(asked, tmp_path):
    run("study:7", "mistakes", "classes", "mistakes", "-o", tmp_path)
    run("study:7", "mistakes", "all", "-o", tmp_path)
    assert [request.analyses for request in asked] == [("mistakes", "classes"), ()]


def test_unknown_analysis_is_refused_with_those_that_there_are():
    result = run("study:7", "saliency")
    assert result.exit_code == 2
    assert "'curves', 'confusions'" in result.stderr
