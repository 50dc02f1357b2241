"""The commands on a folder or file that a person brings: exit codes and lines."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sweeper.cli import main
from tests.data.pictures import picture, write_folder, write_npz
from tests.fake_data import isolate
from tests.hostile import error_line, listing, refused


@pytest.fixture(autouse=True)
def _isolated(monkeypatch, tmp_path):
    isolate(monkeypatch, tmp_path)


def pets(root, size=(28, 28), mode="L", val=False):
    """A folder with 20 images of each of two classes for training and 2 for the test."""
    parts = {"train": 20, "test": 2} | ({"val": 5} if val else {})
    contents = {
        f"{part}/{name}/{number}.png": picture(
            1 + number + 60 * label if mode == "L" else (6 * number, 200 * label, 9), size, mode
        )
        for part, count in parts.items()
        for label, name in enumerate(("cat", "dog"))
        for number in range(count)
    }
    return write_folder(root, contents)


def dry_run(path, *more):
    result = CliRunner().invoke(main, ["search", str(path), "--dry-run", "--json", *map(str, more)])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), result.stderr


@pytest.mark.parametrize(
    ("size", "mode", "space", "line"),
    [
        ((28, 28), "L", "lenet5", "Space: lenet5, the default for grey images of 28x28"),
        ((32, 40), "RGB", "vgg_small", "Space: vgg_small, the default for colour images of 40x32"),
    ],
)
def test_search_says_which_space_it_picks_and_why(tmp_path, size, mode, space, line):
    root = pets(tmp_path / "pets", size, mode)
    before = listing(tmp_path / "work")
    shown, said = dry_run(root)
    assert shown["space"] == space
    assert line in said.splitlines()
    assert listing(tmp_path / "work") == before
    assert "Space:" not in dry_run(root, "--space", "vgg_small")[1]


def test_options_decide_the_space_and_the_images(tmp_path):
    root = pets(tmp_path / "pets", (40, 30), "RGB")
    shown, said = dry_run(root, "--grayscale", "--resize", "28", "--classes", "dog,cat")
    assert "Space: lenet5, the default for grey images of 28x28" in said.splitlines()
    assert shown["images"] == {"train": 32, "validation": 4, "confirm": 4}


def test_map_and_least_number_of_images_are_read_and_told(tmp_path):
    root = pets(tmp_path / "pets")
    (tmp_path / "map.toml").write_text('"dogs, all" = "dog"\ncats = ["cat"]\n')
    shown, said = dry_run(root, "--map", tmp_path / "map.toml", "--include", '"dogs, all", cats', "--min-per-class", 20)
    assert sum(shown["images"].values()) == 40
    assert "leaves out" not in said
    message = "at least two classes must have 21 training images (--min-per-class), got 0; the largest are cat with 20"
    assert message in refused("search", root, "--dry-run", "--min-per-class", 21, codes=(2,))
    assert "unknown class cat" in refused(
        "search", root, "--map", tmp_path / "map.toml", "--classes", "cat,x", codes=(2,)
    )
    assert "--map must be a file" in refused("search", root, "--map", tmp_path / "none.toml", codes=(2,))


def test_own_validation_is_used_and_said(tmp_path):
    shown, said = dry_run(pets(tmp_path / "pets", val=True))
    assert shown["images"]["validation"] == 10
    assert "pets has its own validation part of 10 images: the scores are measured on it" in said
    assert "one image is 10.0 points; --resplit" in said


def test_what_is_converted_is_told_by_info_and_search(tmp_path):
    root = pets(tmp_path / "pets", (28, 28), "RGBA")
    for place in root.rglob("*.png"):
        with Image.open(place) as image:
            image.putalpha(100)
            image.save(place)
    result = CliRunner().invoke(main, ["data", "info", str(root)])
    assert "  converted transparency on white\n" in result.stdout
    assert "converted:" not in result.stdout  # the test part likewise
    assert "Converted while reading: transparency on white" in dry_run(root)[1].splitlines()
    told = json.loads(CliRunner().invoke(main, ["data", "info", str(root), "--json", "--background", "black"]).stdout)
    assert told["conversions"] == told["test"]["conversions"] == ["transparency on black"]
    assert told["options"]["background"] == "black"


def test_search_takes_an_npz_file(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    path = write_npz(tmp_path / "pets.npz", {"train_images": images, "train_labels": np.arange(40) % 2})
    shown, said = dry_run(path)
    assert "Space: lenet5" in said
    assert sum(shown["images"].values()) == 40


@pytest.mark.parametrize("command", [("search",), ("train",), ("data", "info")])
@pytest.mark.parametrize(
    ("contents", "arguments", "code", "message"),
    [
        ({}, (), 2, "must hold at least two folders of classes, got none"),
        ({"train/cat/1.png": 1}, (), 2, "at least two folders of classes, got only cat"),
        ({"train/cat/1.png": 1, "train/dog/.x": b""}, (), 2, "at least two folders of classes, got only cat"),
        ({"train/cat/1.png": 1, "train/dog/1.png": 2, "val/ox/1.png": 3}, (), 2, "class ox of "),
        ({"cat/1.png": 1, "dog/1.png": 2, "train/1.png": 3}, (), 2, "train may be a class or the train part"),
        ({"1.png": 1, "labels.csv": b"id,label\n1,x"}, (), 2, "if labels.csv holds the labels: `sweeper data info "),
        (
            {"train/cat/1.png": 1, "train/dog/1.png": b""},
            (),
            1,
            "(train/dog/1.png: empty); without them, there would",
        ),
        (
            {"train/cat/1.png": 1, "train/dog/1.png": 2},
            ("--classes", "cat,dgo"),
            2,
            "unknown class dgo; did you mean dog?",
        ),
        (
            {"train/cat/1.png": 1, "train/dog/1.png": 2},
            ("--classes", "cat"),
            2,
            "must be at least two classes, got only cat",
        ),
        ({"train/cat/1.png": 1, "train/dog/1.png": 2}, ("--resize", "0"), 2, "0 is not in the range 1<=x<=4096"),
        ({"train/cat/1.png": 1, "train/dog/1.png": 2}, ("--fit", "pad"), 2, "--fit needs --resize"),
    ],
)
def test_what_is_no_data_set_is_one_line_and_its_exit_code(tmp_path, command, contents, arguments, code, message):
    (tmp_path / "pets").mkdir()
    root = write_folder(tmp_path / "pets", contents)
    assert message in refused(*command, root, *arguments, codes=(code,))
    assert listing(tmp_path / "work") == []


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        ({"train_labels": np.zeros(4, np.int64)}, 2, "must be at least two classes, got only 0"),
        ({"train_labels": np.array([0, 0, -1, 1])}, 2, "labels must not be negative, got -1 for 1 of 4 images"),
        ({"train_images": np.full((4, 28, 28), 256.5)}, 2, "floats must lie in 0 to 1, or in 0 to 255"),
        ({"train_images": np.zeros((4, 28), np.uint8)}, 2, "rows must be square images, grey or of three channels"),
        ({"train_labels": None}, 2, "got no train labels among train_images (uint8, 4 x 28 x 28)"),
        ({}, 1, "must be readable as .npz data"),  # damaged below, as a picture in a folder would be
    ],
)
def test_npz_file_of_another_layout_ends_as_a_folder_of_another_layout(tmp_path, changed, code, message):
    arrays = {"train_images": np.zeros((4, 28, 28), np.uint8), "train_labels": np.array([0, 0, 1, 1])} | changed
    path = write_npz(tmp_path / "pets.npz", {name: array for name, array in arrays.items() if array is not None})
    if not changed:
        path.write_bytes(path.read_bytes()[:-100])
    assert message in refused("search", path, codes=(code,))


def test_too_few_images_to_cut_are_one_line(tmp_path):
    root = write_folder(
        tmp_path / "pets", {"train/cat/1.png": picture(1, (28, 28)), "train/dog/1.png": picture(2, (28, 28))}
    )
    line = refused("search", root, "--dry-run", codes=(2,))
    assert (
        line
        == "Error: validation must come to at least one image, got 0.1 of 2 images; --set validation=1 asks for one"
    )


def test_parts_that_are_larger_than_their_shares_are_told(tmp_path):
    contents = {
        f"train/{label}/{number}.png": picture(1 + 3 * label + number, (28, 28))
        for label in range(20)
        for number in range(3)
    }
    _, said = dry_run(write_folder(tmp_path / "many", contents))
    assert "The validation part has 20 images, one of each class, where 10 % of all would be 6" in said
    assert "The confirm part has 20 images, one of each class, where 10 % of all would be 6" in said


def test_bad_files_that_are_left_out_are_told_each_time(tmp_path):
    root = write_folder(pets(tmp_path / "pets"), {"train/cat/x.png": b"junk", "test/dog/y.png": b"junk"})
    for _ in range(2):
        result = CliRunner().invoke(main, ["data", "info", str(root), "--skip-bad", "--json"])
        assert json.loads(result.stdout)["training"]["images"] == 40
        assert result.stderr.splitlines() == [
            f"left out files, since all must be images: 1 is not ({name}: text, not an image); kept {kept}"
            for name, kept in (
                ("train/cat/x.png", "cat 20 of 21, dog 20 of 20"),
                ("test/dog/y.png", "cat 2 of 2, dog 2 of 3"),
            )
        ]
    failed = CliRunner().invoke(main, ["data", "info", str(root)])
    assert failed.exit_code == 1
    assert (
        "1 is not (train/cat/x.png: text, not an image); --skip-bad leaves them out and keeps at most cat 20 of 21,"
        in error_line(failed)
    )


def test_test_images_of_another_size_hinder_no_look_at_the_training_images(tmp_path):
    root = pets(tmp_path / "pets")
    write_folder(root, {"test/dog/y.png": picture(7, (32, 28))})
    result = CliRunner().invoke(main, ["data", "info", str(root), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["test"] is None
    assert "test images must be 28x28 like the training images, got 28x32 (1 image), height x width" in result.stderr
    assert "a search with --resize 28 makes all alike" in result.stderr
