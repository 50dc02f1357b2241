"""benchmarks/gpu.py runs without a GPU, Optuna and MLflow; its numbers there are not measurements."""

import importlib
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sweeper.config import ConvNetConfig
from sweeper.models.families import build
from tests.commands.processes import DEADLINE

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")
WITHOUT = """
import runpy, sys
for name in ("mlflow", "optuna", "sqlalchemy", "alembic", "rich", "click"):
    sys.modules[name] = None
sys.path.insert(0, "benchmarks")
sys.argv = ["gpu.py", "--device", "cpu", "--images", "64", "--minutes", "{minutes}"]
runpy.run_path("benchmarks/gpu.py", run_name="__main__")
"""


def run(minutes):
    program = WITHOUT.format(minutes=minutes)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line.startswith("| ")]


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("gpu")


@pytest.fixture
def ways(gpu):
    return importlib.import_module("gpu_ways")


@pytest.mark.slow
def test_every_way_of_a_cpu_has_its_row():
    head, *rows = run(8)
    assert head.startswith("| way | images/s |")
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [
        "LeNet-5, DataLoader",
        "LeNet-5, eager",
        "LeNet-5, eager, in turn",
        "8 convs, batches of 32, eager",
        "8 convs, batches of 1,024, eager",
        "8 convs, batches of 1,024, bfloat16, eager",
        "ResNet-18 of timm, eager",
    ]
    assert all(float(row.split(" | ")[1].replace(",", "")) > 0 for row in rows), rows


def test_nothing_begins_once_the_time_is_over():
    _, *rows = run(0)
    assert len(rows) == 7
    assert all("not measured: no time left" in row for row in rows)


def test_what_runs_when_the_time_is_over_is_stopped(gpu):
    def way():
        threading.Event().wait(DEADLINE)

    assert gpu.attempt(way, time.monotonic() + 0.1) == "not measured: TimeoutError: no time left"


def test_a_way_that_fails_says_why(gpu):
    def way():
        raise RuntimeError("the reason\nmore")

    assert gpu.attempt(way, time.monotonic() + 60) == "not measured: RuntimeError: the reason"


@pytest.mark.parametrize("name", ["LeNet-5", "8 convs", "ResNet-18"])
def test_the_operations_are_those_that_torch_counts(gpu, ways, name):
    case = ways.cases(64)[name]
    with torch.device("meta"):
        model, images = build(case.configuration.model, case.shape, 10), torch.empty(2, *case.shape)
    with FlopCounterMode(display=False) as counter:
        model(images).sum().backward()
    assert 2 * gpu.work_of(case)[0] == counter.get_total_flops()


def test_a_map_is_moved_five_times_and_takes_half_the_bytes_in_bfloat16(gpu, ways):
    cases = ways.cases(64)
    # The outputs of LeNet-5: three convolutions, each of the first two with its pooling, then two linear layers.
    numbers = 6 * 28 * 28 + 6 * 14 * 14 + 16 * 10 * 10 + 16 * 5 * 5 + 120 + 84 + 10
    assert gpu.work_of(cases["LeNet-5"])[1] == 5 * 4 * numbers
    assert gpu.work_of(cases["8 convs, large"])[1] == 2 * gpu.work_of(cases["8 convs, bfloat16"])[1]


def test_trials_at_once_count_together(ways, monkeypatch):
    clock = iter([10.0, 10.5])
    monkeypatch.setattr(ways, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(ways, "fit", lambda *arguments, epochs, **options: iter(range(epochs)))
    # Three trials train two epochs each, on 64 images, in half a second.
    assert ways.in_threads(ways.cases(64)["LeNet-5"], CPU, 3, 2, graphs=True) == 3 * 2 * 64 / 0.5


def test_what_was_not_captured_is_no_figure_of_graphs(ways, monkeypatch):
    def fit(*arguments, tell, **options):
        tell("its steps cannot be captured")
        yield

    monkeypatch.setattr(ways, "fit", fit)
    with pytest.raises(RuntimeError, match="its steps cannot be captured"):
        ways.in_threads(ways.cases(64)["LeNet-5"], CPU, 3, 2, graphs=True)


def test_a_process_that_fails_says_why(ways):
    case = ways.cases(64)["LeNet-5"]
    misfit = replace(case, configuration=replace(case.configuration, model=ConvNetConfig(kernel_size=99)))
    with pytest.raises(RuntimeError, match="ValueError: conv1: kernel_size 99 is larger"):
        ways.in_processes(misfit, CPU, 1)
