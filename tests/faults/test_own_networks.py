"""A search of one's own networks that is killed, and whose file of code is changed meanwhile."""

import json
import os
import signal

import numpy as np
import pytest

from tests.commands.processes import kill
from tests.models.own_code import NETS, SPACE

pytestmark = pytest.mark.fault

EPOCHS = 12
# A batch takes long enough for a test to kill a process within an epoch.
SLOW = NETS.replace("import torch\n", "import time\n\nimport torch\n", 1).replace(
    "        return", "        time.sleep(0.05)\n        return"
)


@pytest.fixture
def folder(tmp_path):
    labels = np.arange(400) % 2
    images = np.random.default_rng(0).integers(0, 128, (400, 12, 12)) + 64 * labels[:, None, None]
    np.savez(tmp_path / "own.npz", train_images=images.astype(np.uint8), train_labels=labels)
    (tmp_path / "own.toml").write_text(SPACE)
    (tmp_path / "nets.py").write_text(SLOW)
    return tmp_path


def start(driver, folder, store):
    words = ("search", folder / "own.npz", "--space", folder / "own.toml", "--code", folder / "nets.py", "--verbose")
    more = ("--trials", 1, "--epochs", EPOCHS, "--jobs", 1, "--pruner", "none", "--json", "--store", folder / store)
    return driver.start(*words, *more, stand_ins=True)


def test_killed_search_goes_on_to_the_same_bit_with_the_code_that_it_began_with(driver, folder):
    undisturbed = json.loads(start(driver, folder, "undisturbed").ended().stdout)
    search = start(driver, folder, "store")
    search.says("trial 0 (baseline) epoch 1")
    (folder / "nets.py").write_text("raise SystemExit('another file')")  # a new worker gets the code as it was
    (worker,) = search.workers()
    kill(worker)
    search.says("trial 0 (baseline) epoch 3")
    os.kill(search.process, signal.SIGKILL)
    search.ended(-signal.SIGKILL)
    refused = start(driver, folder, "store").ended(2)
    assert "nets.py cannot be run: it calls sys.exit('another file')" in refused.stderr
    (folder / "nets.py").write_text(SLOW)
    resumed = start(driver, folder, "store").ended()
    assert "trial 0 (baseline) resumes after epoch" in resumed.stderr
    assert json.loads(resumed.stdout)["best_trial"]["value"] == undisturbed["best_trial"]["value"]
