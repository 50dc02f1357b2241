import json

import pytest
from click.testing import CliRunner

from sweeper.analysis import export as analysis
from sweeper.analysis import network
from sweeper.analysis.exported import Exported
from sweeper.cli import main
from sweeper.cli.export import export as command
from sweeper.errors import SweeperError
from sweeper.model_files.checks import Check
from sweeper.model_files.place import FORMATS
from sweeper.tracking import network_files


@pytest.fixture
def asked(monkeypatch):
    """What commands ask for; the file of each is empty, of a network that the run `r` has trained."""
    found = []

    def export(store, network, form, output, *, notify, **options):
        found.append((network, form, str(output), options))
        notify("Exporting")
        output.touch()
        return Exported(
            model=network, run_id="r", format=form, file=str(output), n_bytes=850_120, sha256="5" * 64,
            classes=("a", "b"), input_shape=(1, 28, 28), check=Check(200, (1, 3, 200), 1.9e-6),
            described="200 validation images", int8=None,
        )  # fmt: skip

    monkeypatch.setattr(network, "find", lambda store, reference, option: reference)
    monkeypatch.setattr(analysis, "export", export)
    return found


@pytest.fixture
def logged(monkeypatch):
    kept = []
    monkeypatch.setattr(network_files, "log_files", lambda store, *kept_in: kept.append(kept_in))
    return kept


def run(*words):
    return CliRunner().invoke(main, ["export", *map(str, words)])


def test_formats_are_those_that_there_are():
    [option] = [option for option in command.params if option.name == "form"]
    assert tuple(option.type.choices) == tuple(FORMATS)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ((), "my-model-champion.onnx"),
        (("--int8",), "my-model-champion-int8.onnx"),
        (("--format", "pt2"), "my-model-champion.pt2"),
    ],
)
def test_file_is_named_after_model_and_format_and_kept_with_the_run(
    asked, logged, tmp_path, monkeypatch, options, name
):
    monkeypatch.chdir(tmp_path)
    result = run("my/model@champion", *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == asked[0][2] == name
    [(run_id, [path], folder, _)] = logged
    assert (run_id, str(path), folder) == ("r", name, "export")


def test_sentences_say_what_the_file_takes_and_how_it_was_checked(asked, logged, tmp_path):
    result = run("study:7", "-o", tmp_path / "a.onnx", "--quiet")
    assert result.stdout.splitlines() == [
        "study:7 as ONNX, 850 kB: raw pixels uint8 (batch, 1, 28, 28) in, logits float32 (batch, 2) out.",
        "Checked on 200 validation images, in batches of 1, 3 and 200: all decisions are the network's, the largest "
        "difference of a logit is 1.9e-06.",
        str(tmp_path / "a.onnx"),
    ]
    assert result.stderr == ""


def test_json_has_it_all(asked, logged, tmp_path):
    found = json.loads(run("study:7", "-o", tmp_path / "a.onnx", "--json").stdout)
    assert (found["schema_version"], found["sha256"], found["check"]["max_difference"]) == (1, "5" * 64, 1.9e-6)


def test_mlflow_that_does_not_take_the_file_is_a_warning(asked, tmp_path, monkeypatch):
    def refuse(*_):
        raise SweeperError("the server is gone")

    monkeypatch.setattr(network_files, "log_files", refuse)
    result = run("study:7", "-o", tmp_path / "a.onnx")
    assert result.exit_code == 0
    assert "Warning: MLflow has no copy of the file: the server is gone" in result.stderr
    assert (tmp_path / "a.onnx").exists()
