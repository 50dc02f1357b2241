"""Promotions of a study of a folder that a person brought, with the workers in this process."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest
from PIL import Image

from tests.data.pictures import picture, write_folder
from tests.engine.inline import InlinePool
from tests.promotion.conftest import SPACE


@pytest.fixture(scope="module")
def pets(workplace):
    """Trained as variants, of which one has epochs of its own; the folder, which has no test part, is moved since."""
    contents = {
        f"train/{name}/{number}.png": picture(1 + number + 60 * label, (28, 28))
        for label, name in enumerate(("cat", "dog"))
        for number in range(30)
    }
    (workplace.folder / "here").mkdir()
    contents["train/cat/0.png"] = Image.new("LA", (28, 28), (0, 90))
    root = write_folder(workplace.folder / "here" / "pets", contents)
    space = workplace.folder / "pet_space.toml"
    space.write_text(SPACE.format(confirm=0.2) + "[variants.long]\nepochs = 3\nactivation = 'tanh'\n")
    options = ("--space", space, "--variants-only", "--jobs", 1, "--store", workplace.store)
    workplace.run("search", root, *options, "--study", "pets", "-q")
    (workplace.folder / "there").mkdir()
    return root.rename(workplace.folder / "there" / "pets")


def promote(workplace, *arguments, code=0):
    fixed = ("promote", "pets", "--seeds", 1, "--jobs", 1, "-q", "--store", workplace.store)
    return workplace.run(*fixed, *arguments, code=code)


def test_data_that_were_moved_are_asked_for(workplace, pets):
    refused = promote(workplace, code=1).stderr.splitlines()[-1]
    place = workplace.folder / "here" / "pets"
    assert refused.endswith(f"got nothing at {place}; if they were moved, give their new path with --data-dir")


def test_finalists_are_retrained_for_their_own_epochs_without_a_test_part(workplace, pets):
    outcome = json.loads(promote(workplace, "--data-dir", pets, "--json").stdout)
    assert {f["is_baseline"]: f["epochs"] for f in outcome["finalists"]} == {True: 2, False: 3}
    assert {f["test"] is None for f in outcome["finalists"]} == {True}
    assert "--test" not in promote(workplace, "--data-dir", pets).stdout


def test_study_of_images_that_were_read_otherwise_is_neither_promoted_nor_continued(workplace, pets):
    with closing(sqlite3.connect(workplace.store / "optuna.db")) as database, database:
        query = "SELECT study_user_attribute_id, value_json FROM study_user_attributes WHERE key = 'spec'"
        [(key, stored)] = database.execute(query).fetchall()
        spec = json.loads(stored)
        assert spec.pop("conversions") == ["transparency on white"]
        change = "UPDATE study_user_attributes SET value_json = ? WHERE study_user_attribute_id = ?"
        database.execute(change, (json.dumps(spec), key))
    told = "the same files were read as stored when it began, and are read with transparency on white now"
    try:
        refused = promote(workplace, "--data-dir", pets, "--again", code=1).stderr.splitlines()[-1]
        assert refused.startswith(f"Error: study pets cannot be promoted: {told}")
        options = ("--space", workplace.folder / "pet_space.toml", "--variants-only", "--store", workplace.store)
        refused = workplace.run("search", pets, *options, "--study", "pets", "-q", code=2).stderr.splitlines()[-1]
        assert refused.startswith(f"Error: study pets cannot go on: {told}")
        assert refused.endswith("--new for another study")
    finally:
        with closing(sqlite3.connect(workplace.store / "optuna.db")) as database, database:
            database.execute(change, (stored, key))


def test_test_that_cannot_be_taken_is_refused_before_anything_is_trained(workplace, pets):
    InlinePool.made.clear()
    refused = promote(workplace, "--data-dir", pets, "--test", code=1).stderr.splitlines()[-1]
    assert refused == f"Error: there must be a test part, got none ({pets}); see docs/how-to/own-images.md"
    assert InlinePool.made == []


@pytest.mark.parametrize("files", [["0.png", "1.png"], ["lion/0.png"]], ids=["without labels", "of another class"])
def test_test_part_that_cannot_be_tested_on_hinders_only_a_test(workplace, pets, files):
    for file in files:
        (pets / "test" / file).parent.mkdir(parents=True, exist_ok=True)
        picture(7, (28, 28)).save(pets / "test" / file)
    try:
        options = ("--seeds", 1, "--jobs", 1, "--store", workplace.store, "--data-dir", pets, "--again", "--json")
        promoted = workplace.run("promote", "pets", *options)
        assert json.loads(promoted.stdout)["test_sha256"] is None
        assert "hinders only a test" in promoted.stderr
        InlinePool.made.clear()
        assert "hinders only" not in promote(workplace, "--data-dir", pets, "--again", "--test", code=1).stderr
        assert InlinePool.made == []
    finally:
        shutil.rmtree(pets / "test")


def test_data_folder_may_be_called_as_a_known_data_set(workplace, pets, monkeypatch):
    monkeypatch.chdir(workplace.folder)
    (workplace.folder / "cifar10").symlink_to(pets)
    assert promote(workplace, "--data-dir", "cifar10", "--json").stdout


def test_a_note_on_test_images_is_shown_once_though_they_are_read_twice(workplace):
    contents = {
        f"{part}/{name}/{number}.png": picture(1 + number + 60 * label + shift, (28, 28))
        for part, n, shift in (("train", 30, 0), ("test", 5, 31))
        for label, name in enumerate(("cat", "dog"))
        for number in range(n)
    }
    root = write_folder(workplace.folder / "noted", contents)
    (root / "test" / "cat" / "bad.png").write_bytes(b"no image")
    workplace.space.write_text(SPACE.format(confirm=0.2))
    options = f"--space {workplace.space} --variants-only --epochs 1 --keep 0 --jobs 1 --study noted --skip-bad -q"
    workplace.run("search", root, *options.split(), "--store", workplace.store)
    fixed = ["--top", 1, "--seeds", 1, "--jobs", 1, "--store", workplace.store]
    told = workplace.run("promote", "noted", "--test", *fixed).stderr
    assert told.count("left out files, since all must be images: 1 is not (test/cat/bad.png") == 1
