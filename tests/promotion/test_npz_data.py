"""A search and a promotion of an .npz file as people store them, compared with the same images as plain bytes."""

import json

import numpy as np

from tests.engine.inline import InlinePool
from tests.fake_data import fake_images
from tests.promotion.conftest import SPACE

NAMES = np.array(["ant", "bee", "cow"])
TRAIN, TEST = fake_images(120, 3, 28, seed=0), fake_images(30, 3, 28, seed=1)


def search(workplace, name, **arrays):
    """Searches in these arrays; returns their file."""
    path = workplace.folder / f"{name}.npz"
    np.savez(path, **arrays)
    workplace.space.write_text(SPACE.format(confirm=0.2))
    options = f"--space {workplace.space} --variants-only --epochs 1 --keep 0 --jobs 1 --seed 3 -q".split()
    workplace.run("search", path, *options, "--study", name, "--store", workplace.store)
    return path


def promote(workplace, name, code=0):
    options = ["--top", "1", "--test", "--seeds", "1", "--jobs", "1", "--json", "-q"]
    return workplace.run("promote", name, *options, "--store", workplace.store, code=code)


def test_floats_with_channels_first_and_text_labels_give_the_results_of_plain_bytes(workplace, tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_CACHE_DIR", str(tmp_path))  # no earlier run has decoded these images
    (x, y), (x_test, y_test) = TRAIN, TEST
    plain = {"train_images": x, "train_labels": y, "test_images": x_test, "test_labels": y_test, "classes": NAMES}
    search(workplace, "plain", **plain)
    usual = {"x_train": np.float32(x[:, None]) / 255, "y_train": NAMES[y], "x_test": np.float32(x_test[:, None]) / 255}
    path = search(workplace, "usual", **usual, y_test=np.where(y_test == 2, "dog", NAMES[y_test]))
    InlinePool.made.clear()
    refused = promote(workplace, "usual", code=1).stderr.splitlines()[-1]
    assert refused == (
        f"Error: test images must be of classes that have training images, got dog ({path}, y_test); --classes names "
        "those to use; see docs/how-to/own-images.md"
    )
    assert InlinePool.made == []  # it was said before anything was trained
    np.savez(path, **usual, y_test=NAMES[y_test])
    of_bytes, of_floats = (json.loads(promote(workplace, name).stdout)["finalists"] for name in ("plain", "usual"))
    assert of_floats[0]["test"] == of_bytes[0]["test"]
    assert of_floats[0]["test"]["n"] == 30
