import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sweeper.cli.data import data
from sweeper.data import catalog
from sweeper.errors import SweeperError, UsageError
from tests.fake_data import isolate, write_fake_dataset


@pytest.fixture(autouse=True)
def dataset(monkeypatch, tmp_path):
    """The data set "tiny", known by name, with its plain files in tmp_path/data."""
    isolate(monkeypatch, tmp_path)
    tiny = write_fake_dataset(tmp_path / "data")
    monkeypatch.setitem(catalog.DATASETS, tiny.name, tiny)
    return tiny


def invoke(*arguments: str, **options):
    return CliRunner().invoke(data, list(arguments), **options)


def test_info_json_is_one_object_with_a_schema_version(tmp_path):
    result = invoke("info", "tiny", "--data-dir", str(tmp_path / "data"), "--json")
    assert result.exit_code == 0, result.output
    info = json.loads(result.stdout)
    assert info["schema_version"] == 1
    assert info["input_shape"] == [1, 28, 28]
    assert len(info["classes"]) == 10
    assert len(info["mean"]) == len(info["std"]) == 1
    for part, images in (("training", 60), ("test", 20)):
        assert info[part]["images"] == images
        assert info[part]["class_counts"] == {f"class {n}": images // 10 for n in range(10)}
        assert info[part]["source"] == str(tmp_path / "data")
        assert len(info[part]["sha256"]) == 64
    assert info["training"]["sha256"] != info["test"]["sha256"]


def test_info_shows_a_person_the_same(tmp_path):
    folder = str(tmp_path / "data")
    told = json.loads(invoke("info", "tiny", "--data-dir", folder, "--json").stdout)
    shown = invoke("info", "tiny", "--data-dir", folder).stdout
    for text in ("1 x 28 x 28, 10 classes", "60 images", "20 images", folder, f"{told['mean'][0]:.4f}"):
        assert text in shown
    assert told["training"]["sha256"] in shown
    assert told["test"]["sha256"] in shown
    assert "class 7" in shown


def test_info_says_that_the_test_files_are_absent(tmp_path, dataset):
    for file in dataset.test:
        (tmp_path / "data" / file.name).unlink()
    arguments = ("info", "tiny", "--data-dir", str(tmp_path / "data"))
    assert "test      absent" in invoke(*arguments).stdout
    assert json.loads(invoke(*arguments, "--json").stdout)["test"] is None


def test_data_dir_may_come_from_the_environment(tmp_path):
    result = invoke("info", "tiny", "--json", env={"SWEEPER_DATA_DIR": str(tmp_path / "data")})
    assert json.loads(result.stdout)["training"]["source"] == str(tmp_path / "data")


def test_fetch_prints_where_each_file_is(tmp_path, dataset):
    result = invoke("fetch", "tiny", "--data-dir", str(tmp_path / "data"))
    assert result.exit_code == 0, result.output
    for file in dataset.files:
        assert str(tmp_path / "data" / file.name) in result.stdout


def test_notes_go_to_stderr_and_leave_the_json_whole(tmp_path, dataset):
    (tmp_path / "data").rename(tmp_path / "good")
    dataset_folder = Path(dataset.debian_folder)
    dataset_folder.parent.mkdir(parents=True)
    (tmp_path / "good").rename(dataset_folder)
    (tmp_path / "cache" / "tiny").mkdir()
    (tmp_path / "cache" / "tiny" / "train-images-idx3-ubyte").write_bytes(b"spoilt")
    result = invoke("info", "tiny", "--json")
    assert "skipped a bad file" in result.stderr
    assert json.loads(result.stdout)["training"]["source"] == str(dataset_folder)


@pytest.mark.parametrize("command", ["fetch", "info"])
def test_unknown_name_is_a_usage_error(command):
    result = invoke(command, "tinny")
    assert isinstance(result.exception, UsageError)
    assert "did you mean tiny?" in str(result.exception)


@pytest.mark.parametrize("command", ["fetch", "info"])
def test_offline_without_data_is_an_error_that_names_the_places(command, tmp_path):
    result = invoke(command, "tiny", "--offline")
    assert isinstance(result.exception, SweeperError)
    assert str(tmp_path / "cache" / "tiny") in str(result.exception)
    assert "offline" in str(result.exception)


@pytest.mark.parametrize("command", [data, *data.commands.values()], ids=lambda command: command.name)
def test_every_command_has_help_and_an_example_with_its_own_name(command: click.Command):
    assert command.help is not None
    example = command.help.split("Example:\n")[1].strip()
    words = example.split()
    assert words[:2] == ["sweeper", "data"]
    assert words[2] in data.commands if command is data else words[2] == command.name
    assert words[3] == "fashion_mnist"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from sweeper.cli.data import data; data(['info', '--help'], standalone_mode=False);"
        "heavy = {'numpy', 'torch', 'torchvision', 'sklearn', 'mlflow', 'optuna', 'rich'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout
