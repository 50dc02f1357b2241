"""Whole programs with real workers: scripts that do not ask for `__name__`, and notebooks."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from tests import databases
from tests.commands.processes import DEADLINE, wait_for
from tests.fake_data import fake_images

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "first_search.ipynb"
SEARCH = """
import sweeper
study = sweeper.search(
    "tiny.npz", space="tiny.toml", trials={trials}, epochs={epochs}, jobs={jobs}, pruner="none", store="store"
)
"""
SPACE = """
[space]
title = "tiny"

[model]
filters = [2, 4]
kernel_size = 3
pool_after = [1, 2]
hidden = []

[train]
lr = { type = "float", low = 1e-4, high = 1e-2, log = true }

[variants.baseline]
lr = 1e-3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the data set tiny.npz and the space tiny.toml; programs in it find this sweeper.

    Their stores have empty databases already: MLflow's migrations take each program longer than its trainings.
    """
    images, labels = fake_images(600, 3, 16, seed=0)
    np.savez(tmp_path / "tiny.npz", train_images=images, train_labels=labels)
    (tmp_path / "tiny.toml").write_text(SPACE)
    (tmp_path / "first_search").mkdir()
    for store in ("store", "first_search/mlruns"):
        databases.make_empty(tmp_path / store)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("SWEEPER_STORE", raising=False)
    return tmp_path


# One worker is enough to run a program once more, if it were to.
@pytest.mark.parametrize(("way", "n_trials", "jobs"), [("script", 3, 2), ("command", 1, 1), ("stdin", 1, 1)])
def test_program_searches_with_workers_and_runs_once(folder, way, n_trials, jobs):
    search = SEARCH.format(trials=n_trials, epochs=1, jobs=jobs)
    program = f"print('the program runs'){search}print(len(study.trials))\n"
    (folder / "größe 猫.py").write_text(program, encoding="utf-8")
    arguments = {"script": ["größe 猫.py"], "command": ["-c", program], "stdin": ["-"]}[way]
    done = subprocess.run(
        [sys.executable, *arguments], input=program * (way == "stdin"), capture_output=True, text=True, cwd=folder
    )
    assert (done.returncode, done.stdout) == (0, f"the program runs\n{n_trials}\n"), done.stderr
    logs = [path.read_text() for path in (folder / "store" / "logs").rglob("worker-*.log")]
    begun = [line for log in logs for line in log.splitlines() if "begins, epochs done: 0 of 1," in line]
    # An idle worker may train for a promotion.
    assert len([line for line in begun if "fresh seed" not in line]) == n_trials


def test_kernel_that_is_interrupted_saves_the_study_and_the_same_cell_goes_on(folder):
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(folder), env=dict(os.environ))

    def answer(request):
        # A kernel that started slowly was asked several times whether it is there, and answers that, too.
        while (reply := client.get_shell_msg(timeout=DEADLINE))["parent_header"]["msg_id"] != request:
            pass
        return reply["content"]

    def run(code):
        return answer(client.execute(code))

    def is_training():
        return any("epoch 1:" in path.read_text() for path in folder.glob("store/logs/*/worker-*.log"))

    try:
        search = client.execute(SEARCH.format(trials=2, epochs=100_000, jobs=2))
        wait_for("the first epoch", is_training)
        manager.interrupt_kernel()
        stopped = answer(search)
        assert (stopped["status"], stopped.get("ename")) == ("error", "KeyboardInterrupt")
        assert "is saved; the same call goes on from here" in stopped["evalue"]
        assert (
            run("frame = sweeper.load_study(store='store').trials; assert set(frame.state) == {'running'}; x = 1")[
                "status"
            ]
            == "ok"
        )
        # The kernel's own handler is back: an interrupt now ends the cell.
        assert (
            run("import signal; assert signal.getsignal(signal.SIGINT) is signal.default_int_handler")["status"] == "ok"
        )
        done = run(SEARCH.format(trials=2, epochs=100_000, jobs=2).replace("jobs=2", "jobs=2, timeout=5"))
        assert done["status"] == "ok", done
        assert run("assert study.stopped == 'timeout', study")["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_the_example_notebook_searches_promotes_and_predicts(folder):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    kept = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    for long, short in (('"epochs": 8', '"epochs": 2'), ("promote(study, top=1", "promote(study, top=1, seeds=1")):
        [cell] = [cell for cell in notebook.cells if long in cell.source]
        cell.source = cell.source.replace(long, short)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()  # raises for the error of a cell
    found = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    texts = [str(output) for outputs in found for output in outputs]
    assert any("6 complete" in text for text in texts)
    assert any("on the test set" in text for text in texts)
    # The outputs that are kept are of these cells.
    assert [[each.output_type for each in outputs] for outputs in kept] == [
        [each.output_type for each in outputs] for outputs in found
    ]
