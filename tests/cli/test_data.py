import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from PIL import Image
from rich.cells import cell_len

from sweeper.cli import main
from sweeper.cli.data import data
from sweeper.data.known import catalog
from tests.data.pictures import write_npz
from tests.fake_data import isolate, write_fake_dataset


@pytest.fixture(autouse=True)
def dataset(monkeypatch, tmp_path):
    """The data set "tiny", known by name, with its plain files in tmp_path/data."""
    isolate(monkeypatch, tmp_path)
    tiny = write_fake_dataset(tmp_path / "data")
    monkeypatch.setitem(catalog.DATASETS, tiny.name, tiny)
    return tiny


def invoke(*arguments: str, **options):
    return CliRunner().invoke(main, ["data", *arguments], **options)


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
    for text in (
        "1 x 28 x 28 (channels, height, width), 10 classes",
        "60 images",
        "20 images",
        folder,
        f"{told['mean'][0]:.4f}",
    ):
        assert text in shown
    assert told["training"]["sha256"] in shown
    assert told["test"]["sha256"] in shown
    assert "class 7" in shown


@pytest.fixture
def folder(tmp_path):
    """A folder of images: grey squares by part and class, with copies between them."""
    greys = {
        "train/cat": [10, 20, 30, 40], "train/dog": [10, 60], "val/cat": [20, 71], "val/dog": [72],
        "test/cat": [30, 81], "test/dog": [40, 82, 82],
    }  # fmt: skip
    for place, values in greys.items():
        (tmp_path / "pets" / place).mkdir(parents=True)
        for number, grey in enumerate(values):
            Image.new("L", (4, 4), grey).save(tmp_path / "pets" / place / f"{number}.png")
    return tmp_path / "pets"


def test_info_of_a_folder_tells_its_parts_and_their_copies(folder):
    told = json.loads(invoke("info", str(folder), "--json").stdout)
    assert told["training"]["class_counts"] == {"cat": 6, "dog": 3}
    assert told["own_validation"] == {"images": 3, "class_counts": {"cat": 2, "dog": 1}}
    assert told["test"]["class_counts"] == {"cat": 2, "dog": 3}
    duplicates = told["duplicates"]
    assert duplicates["training"]["groups"] == 2
    assert duplicates["training"]["groups_of_several_classes"] == 1
    assert duplicates["validation_in_training"]["images"] == 1
    assert duplicates["test"]["images"] == 2
    assert (duplicates["test_in_training"]["images"], duplicates["test_in_training"]["share"]) == (2, 0.4)
    assert duplicates["test_in_training"]["images_of_another_class"] == 1
    assert duplicates["validation_in_training"]["examples"] == [
        {
            "index": 6, "file": "val/cat/0.png", "class": "cat",
            "copies": 1, "first": [{"index": 1, "file": "train/cat/1.png", "class": "cat"}],
        }
    ]  # fmt: skip


def test_info_shows_a_person_the_copies_and_what_is_not_seen(folder):
    shown = " ".join(invoke("info", str(folder)).stdout.split())
    for text in (
        "9 images 3 of them are the data set's own validation part",
        "class training validation test share of training cat 6 2 2 66.7 % ####################",
        "dog 3 1 3 33.3 % ######",
        "The smallest class has 3 training images, the largest 6.",
        "within training: 4 images in 2 groups of equal images (1 with different labels)",
        "train/cat/0.png (cat), train/dog/0.png (dog)",
        "within test: 2 images in 1 group of equal images (0 with different labels)",
        "validation images that are also in training: 1 (33.33 % of validation); it has the same label there",
        "test images that are also in training: 2 (40.00 % of test); 1 of them has another label there",
        "test test/cat/0.png (cat) = training train/cat/2.png (cat)",
        "Only copies that agree in every pixel are found",
        "3.3 % of CIFAR-10's test images have a near-duplicate",
    ):
        assert text in shown


def test_info_keeps_its_columns_whatever_the_classes_are_called(tmp_path):
    for name in ("cat ", "dog", "日本語", "x" * 200):
        (tmp_path / "odd" / "train" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("L", (4, 4), 9 + number).save(tmp_path / "odd" / "train" / name / f"{number}.png")
    lines = [line for line in invoke("info", str(tmp_path / "odd")).stdout.splitlines() if line.endswith("#" * 20)]
    assert [line.split("    ")[0].strip() for line in lines] == ["'cat '", "dog", f"{'x' * 19}...{'x' * 18}", "日本語"]
    assert len({cell_len(line) for line in lines}) == 1


def test_info_follows_the_options_and_says_them(folder):
    arguments = ("info", str(folder), "--classes", "dog,cat", "--resize", "2")
    told = json.loads(invoke(*arguments, "--json").stdout)
    assert (told["classes"], told["input_shape"]) == (["dog", "cat"], [1, 2, 2])
    assert told["options"] == {
        "classes": ["dog", "cat"],
        "resize": 2,
        "fit": "pad",
        "grayscale": False,
        "skip_bad": False,
    }
    assert "options   classes dog, cat; resize 2; fit pad\n" in invoke(*arguments).stdout


def test_pixels_that_never_change_are_told(folder):
    for path in folder.rglob("*.png"):
        image = Image.open(path)
        image.putpixel((0, 0), 5)
        image.save(path)
    assert "1 of 16 is equal in all training images" in invoke("info", str(folder)).stdout


def test_without_a_test_part_nothing_is_said_of_its_copies(folder):
    shutil.rmtree(folder / "test")
    shown = invoke("info", str(folder)).stdout
    assert "test      absent" in shown
    assert "within training" in shown
    assert "within test" not in shown
    assert "test images that" not in shown


def test_logged_data_are_one_run_that_a_second_time_stays_as_it_is(folder, tmp_path):
    arguments = ("info", str(folder), "--log", "--store", str(tmp_path / "store"), "--json")
    first = invoke(*arguments)
    assert first.exit_code == 0, first.output
    told = json.loads(first.stdout)
    artifacts = tmp_path / "store" / "artifacts" / "pets" / told["mlflow_run_id"] / "artifacts"
    pictures = ["class_distribution.png", "pixel_mean_std.png", "samples.png"]
    assert sorted(path.name for path in artifacts.iterdir()) == [*pictures, "summary.json"]
    assert all((artifacts / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    summary = json.loads((artifacts / "summary.json").read_text())
    assert summary == {key: value for key, value in told.items() if key not in ("mlflow_run_id", "schema_version")}

    folder.rename(tmp_path / "elsewhere")
    (tmp_path / "again").mkdir()
    (tmp_path / "elsewhere").rename(tmp_path / "again" / "pets")
    arguments = ("info", str(tmp_path / "again" / "pets"), "--log", "--store", str(tmp_path / "store"))
    assert f"MLflow run {told['mlflow_run_id']}, experiment pets" in invoke(*arguments, "--skip-bad").stdout
    other = invoke(*arguments, "--resize", "2", "--json")
    assert json.loads(other.stdout)["mlflow_run_id"] != told["mlflow_run_id"]
    # Another way to make a file like the others makes another set of images of the same files.
    Image.new("L", (6, 3), 9).save(tmp_path / "again" / "pets" / "train" / "cat" / "wide.png")
    runs = [json.loads(invoke(*arguments, "--resize", "4", "--fit", fit, "--json").stdout) for fit in ("pad", "crop")]
    runs.append(json.loads(invoke(*arguments, "--resize", "4", "--background", "black", "--json").stdout))
    (tmp_path / "map.toml").write_text('"cat" = "cat"\n"dog" = "dog"\n')
    runs.append(json.loads(invoke(*arguments, "--resize", "4", "--map", str(tmp_path / "map.toml"), "--json").stdout))
    assert len({run["training"]["sha256"] for run in runs}) == 1
    assert len({run["mlflow_run_id"] for run in runs}) == 4
    # Two ranges that are told alike.
    values = np.linspace(0, 1000, 64).reshape(4, 4, 4)
    path = write_npz(tmp_path / "pets.npz", {"train_images": values, "train_labels": np.arange(4) % 2})
    ranges = [("--value-range", value) for value in ("0,1234.1", "0,1234.4")]
    logged = [json.loads(invoke("info", str(path), *each, *arguments[2:], "--json").stdout) for each in ranges]
    assert logged[0]["conversions"] == logged[1]["conversions"]
    assert logged[0]["mlflow_run_id"] != logged[1]["mlflow_run_id"]

    # The same numbers as metrics, for whoever compares data sets.
    run = tracked_run(tmp_path / "store", told["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["sweeper.kind"] == "data"
    assert run.data.tags["sweeper.test_sha256"] == told["test"]["sha256"]
    assert run.data.params["input_shape"] == "[1, 4, 4]"
    assert run.data.metrics["mean_0"] == pytest.approx(told["mean"][0])
    assert run.data.metrics["duplicates_test_in_training"] == 2


def tracked_run(store: Path, run_id: str):
    return MlflowClient(tracking_uri=f"sqlite:///{store}/mlflow.db").get_run(run_id)


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


def test_help_of_fetch_names_every_data_set():
    help_text = invoke("fetch", "--help").stdout.replace(",", " ").replace(".", " ").split()
    assert set(catalog.INPUT_SHAPES) <= set(help_text)


@pytest.mark.parametrize("command", ["fetch", "info"])
def test_unknown_name_is_a_usage_error(command):
    result = invoke(command, "tinny")
    assert result.exit_code == 2
    assert "did you mean tiny?" in result.stderr


@pytest.mark.parametrize("command", ["fetch", "info"])
def test_offline_without_data_is_an_error_that_names_the_places(command, tmp_path):
    result = invoke(command, "tiny", "--offline")
    assert result.exit_code == 1
    assert str(tmp_path / "cache" / "tiny") in result.stderr
    assert "offline" in result.stderr


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
