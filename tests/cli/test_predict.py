import csv
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from sweeper.analysis import network
from sweeper.analysis.network import TrainedNetwork
from sweeper.analysis.prediction import probabilities
from sweeper.cli import main
from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.images.preprocessing import Preprocessing
from sweeper.models.families import build
from sweeper.models.predictor import RawPixels
from tests.data.pictures import picture

CLASSES = ("cat", "dog", "cow", "hen")


@pytest.fixture
def known(monkeypatch):
    """The network that MODEL names: an untrained one."""
    torch.manual_seed(0)
    config, shape = ConvNetConfig(filters=(4,), kernel_size=3, pool_after=(1,)), (1, 8, 8)
    found = TrainedNetwork(
        name="trial 7 of farm",
        run_id="a" * 32,
        network=RawPixels(build(config, shape, len(CLASSES)), [0.3], [0.3]).eval(),
        configuration=Configuration(config, TrainConfig()),
        classes=CLASSES,
        input_shape=shape,
        study="farm",
        study_id="b" * 32,
        trial=7,
        trained_on="train",
        seed=0,
        preprocessing=Preprocessing(),
        preprocessing_from="run",
    )
    monkeypatch.setattr(network, "find", lambda store, reference, option: found)
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a picture of the network's size, a photograph, and a file that is no image."""
    monkeypatch.chdir(tmp_path)
    Path("farm").mkdir()
    picture(90, (8, 8)).save("farm/a.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)).save("farm/b.png")
    Path("bad.jpg").write_bytes(b"no image")
    return tmp_path


def run(*words, stdin=None):
    return CliRunner().invoke(main, ["predict", "farm:7", *map(str, words)], input=stdin)


def expected(known, path):
    [row] = probabilities(known, np.asarray(Image.open(path)))
    order = np.argsort(-row)
    return [CLASSES[place] for place in order], row[order]


def test_images_are_shown_with_their_most_probable_classes_and_what_was_changed(known, folder):
    result = run("farm", "--top", 2)
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    (one, two, *_), shares = expected(known, "farm/a.png")
    assert first == f"farm/a.png: {one} {100 * shares[0]:.1f} %, {two} {100 * shares[1]:.1f} %"
    assert second.startswith("farm/b.png: ")
    assert second.endswith(" (48x64 to 8x8, padded with white, colour to grey)")


def test_json_has_all_predictions_and_what_could_not_be_read(known, folder):
    result = run("farm/a.png", "bad.jpg", "--json", "--top", 99)
    found = json.loads(result.stdout)
    [prediction], [unreadable] = found.pop("predictions"), found.pop("unreadable")
    assert found == {"schema_version": 1, "model": "trial 7 of farm", "run_id": "a" * 32, "classes": list(CLASSES)}
    classes, shares = expected(known, "farm/a.png")
    assert prediction == {
        "file": "farm/a.png", "classes": classes, "probabilities": pytest.approx(list(shares)), "changed": "",
    }  # fmt: skip
    assert unreadable["file"] == "bad.jpg"
    assert unreadable["reason"]
    assert result.exit_code == 1
    assert f"bad.jpg: {unreadable['reason']}" in result.stderr
    assert result.stderr.endswith("Error: 1 path could not be read (named above); all others were predicted\n")


def test_csv_file_has_a_row_for_each_image_and_names_files_as_they_are(known, folder):
    name = os.fsdecode(b"caf\xe9.png") if sys.platform == "linux" else "café.png"
    picture(80, (8, 8)).save(name)
    result = run(name, "farm", "bad.jpg", "--csv", "found.csv", "--top", 2)
    assert result.exit_code == 1
    assert "3 rows in found.csv\n" in result.stderr
    rows = list(csv.DictReader(io.StringIO(Path("found.csv").read_text("utf-8", "surrogateescape"))))
    assert [row["file"] for row in rows] == [name, "farm/a.png", "farm/b.png"]
    assert list(rows[0]) == ["file", "class", "probability", "class_2", "probability_2", "changed"]
    classes, shares = expected(known, "farm/a.png")
    assert [rows[1]["class"], rows[1]["class_2"]] == classes[:2]
    assert float(rows[1]["probability"]) == pytest.approx(shares[0])
    assert rows[2]["changed"] == "48x64 to 8x8, padded with white, colour to grey"


def test_name_that_stdout_cannot_encode_is_escaped_there(known, folder):
    picture(80, (8, 8)).save(os.fsdecode(b"caf\xe9.png"))
    result = run(os.fsdecode(b"caf\xe9.png"), "--csv", "-")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].startswith(r"caf\udce9.png,")
    assert "1 row" not in result.stderr


def test_csv_file_that_cannot_be_written_is_named_and_csv_excludes_json(known, folder):
    result = run("farm", "--csv", "nowhere/found.csv")
    assert result.exit_code == 1
    assert "nowhere/found.csv cannot be written: No such file or directory (--csv)" in result.stderr
    assert run("farm", "--csv", "-", "--json").exit_code == 2


def test_csv_takes_the_place_of_nothing_but_such_a_table(known, folder):
    before = Path("farm/a.png").read_bytes()
    refused = run("farm", "--csv", "farm/a.png")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "farm/a.png exists and is no such table: give another name (--csv)" in refused.stderr
    assert Path("farm/a.png").read_bytes() == before
    Path("found.csv").touch()
    for _ in range(2):
        again = run("farm", "--csv", "found.csv", "--quiet")
        assert (again.exit_code, again.stderr) == (0, "")


def test_paths_that_no_file_can_have_hinder_no_other(known, folder):
    result = run("-", stdin=f"farm/a.png\0farm/b.png\0\n{'x' * 300}\nfarm/b.png")
    assert result.exit_code == 1
    assert [line.partition(": ")[0] for line in result.stdout.splitlines()] == ["farm/b.png"]
    assert "a path has no NUL character: in a list, each has a line" in result.stderr
    assert f"{'x' * 300}: File name too long" in result.stderr
    assert "2 paths could not be read" in result.stderr


def test_list_of_paths_is_read_from_stdin(known, folder):
    result = run("-", stdin="farm/a.png\n\nfarm\r\nfarm/b.png")
    assert [line.partition(": ")[0] for line in result.stdout.splitlines()] == [
        "farm/a.png", "farm/a.png", "farm/b.png", "farm/b.png",
    ]  # fmt: skip
    nothing = run("-", stdin="")
    assert nothing.exit_code == 2
    assert "there must be at least one file or folder of images, got none" in nothing.stderr


def test_names_that_a_terminal_would_obey_stand_on_one_line(known, folder):
    picture(80, (8, 8)).save("a\nb\x1b[31m.png")
    result = run("a\nb\x1b[31m.png")
    [line] = result.stdout.splitlines()
    assert line.startswith("'a\\nb\\x1b[31m.png': ")
