"""benchmarks/gpu_smoke.py keeps what it has found, whatever happens to a section; no GPU runs it here."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.commands.processes import DEADLINE

ROOT = Path(__file__).parent.parent
# A section that adds a row and then goes on as its test says.
SECTION = "import json, sys, time; open(sys.argv[-1], 'a').write(json.dumps({row}) + chr(10)); {then}"
ROW = {"section": "a", "what": "speed", "found": "1"}


@pytest.fixture
def smoke(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    return importlib.import_module("gpu_smoke")


def section(smoke, then, seconds=DEADLINE, **environment):
    command = [sys.executable, "-c", SECTION.format(row=ROW, then=then)]
    return smoke.Section("a", seconds, command, environment)


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_section_that_ends_well_has_its_rows_alone(smoke, tmp_path):
    smoke.run(section(smoke, "pass"), tmp_path / "results", time.monotonic() + DEADLINE)
    assert rows(tmp_path / "results") == [ROW]


def test_section_that_fails_keeps_its_rows_and_gives_its_last_line(smoke, tmp_path):
    smoke.run(section(smoke, "print('why', file=sys.stderr); sys.exit(3)"), tmp_path / "results", time.monotonic() + 99)
    assert rows(tmp_path / "results")[1]["found"] == "failed with exit code 3: why"


def test_section_that_hangs_is_ended(smoke, tmp_path):
    results = tmp_path / "results"
    for seconds, end in ((2, DEADLINE), (DEADLINE, 2)):
        results.unlink(missing_ok=True)
        began = time.monotonic()
        smoke.run(section(smoke, f"time.sleep({DEADLINE})", seconds), results, time.monotonic() + end)
        assert time.monotonic() - began < DEADLINE
        assert rows(results)[-1]["found"].startswith("cut off after ")


def test_nothing_begins_once_the_time_is_over(smoke, tmp_path):
    smoke.run(section(smoke, "pass"), tmp_path / "results", time.monotonic())
    assert [row["found"] for row in rows(tmp_path / "results")] == ["not run: no time left"]


def test_section_gets_its_environment(smoke, tmp_path):
    wanted = section(smoke, "import os; sys.exit(os.environ['CUDA_DEVICE_MAX_CONNECTIONS'] != '8')")
    wanted = smoke.Section("a", DEADLINE, wanted.command, {"CUDA_DEVICE_MAX_CONNECTIONS": "8"})
    smoke.run(wanted, tmp_path / "results", time.monotonic() + DEADLINE)
    assert rows(tmp_path / "results") == [ROW]


def test_table_has_the_last_of_each_thing_and_no_line_that_was_cut_off(smoke, tmp_path):
    results = tmp_path / "results"
    for found in ("3 passed", "4 passed"):
        smoke.append(results, "tests", "so far", found)
    smoke.append(results, "a", "b | c", "two\nlines")
    with open(results, "a", encoding="utf-8") as file:
        file.write('{"section": "cut')
    assert smoke.table(results).splitlines() == [
        "| section | what | found |",
        "|---|---|---|",
        "| tests | so far | 4 passed |",
        "| a | b / c | two lines |",
    ]
    assert smoke.table(tmp_path / "none").count("\n") == 1


def test_every_section_has_its_part_and_the_most_telling_is_first(smoke):
    parts = importlib.import_module("gpu_smoke_sections").PARTS
    found = smoke.sections()
    assert [each.command[2] for each in found][:2] == ["graph_tests", "turnover"]
    assert {each.command[2] for each in found} == set(parts)
    assert all(each.command[3] == each.name for each in found)
    assert (ROOT / smoke.TESTS).exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_smoke.py"), "--results", str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "gpu_smoke.py: torch sees no CUDA device\n"
    assert not (tmp_path / "results").exists()


def test_benchmarks_use_the_sweeper_of_their_own_checkout_and_so_do_the_processes_that_they_start(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "sweeper").mkdir()
    (tmp_path / "sweeper" / "__init__.py").touch()
    shutil.copy(ROOT / "benchmarks" / "in_checkout.py", tmp_path / "benchmarks")
    script = tmp_path / "benchmarks" / "script.py"
    script.write_text(
        "import in_checkout, subprocess, sys, sweeper\nprint(sweeper.__file__, flush=True)\n"
        "subprocess.run([sys.executable, '-c', 'import sweeper; print(sweeper.__file__)'], check=True)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=script.parent)
    assert done.stdout.split() == [str(tmp_path / "sweeper" / "__init__.py")] * 2


@pytest.mark.slow
def test_tests_of_graphs_are_collected_without_hypothesis(smoke, tmp_path):
    (tmp_path / "hypothesis.py").write_text("raise ImportError('not installed')")
    command = [sys.executable, "-m", "pytest", smoke.TESTS, "--collect-only", "-q", "--noconftest", "-o", "addopts="]
    command += ["--import-mode=importlib", "-p", "no:hypothesispytest"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout
    assert "test_neighbours_do_not_change_a_training" in done.stdout


@pytest.mark.slow
def test_sections_need_neither_the_command_line_nor_optuna_and_mlflow_and_say_what_is_missing():
    program = (
        "import sys; sys.path.insert(0, 'benchmarks')\n"
        "for name in ('mlflow', 'optuna', 'sqlalchemy', 'rich', 'click', 'hypothesis'): sys.modules[name] = None\n"
        "import gpu_smoke_sections; gpu_smoke_sections.search(print, None)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "- not run: optuna and mlflow missing\n"


def test_lock_adds_up_what_threads_wait_for_it(smoke, monkeypatch):
    ways = importlib.import_module("gpu_ways")
    clock = iter([1.0, 3.0, 10.0, 10.5])
    monkeypatch.setattr(ways.time, "perf_counter", lambda: next(clock))
    lock = ways.TimedLock(ways.threading.Lock())
    for _ in range(2):
        with lock:
            assert lock._lock.locked()
    assert (lock.waited, lock.longest, lock.n_taken) == (2.5, 2.0, 2)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_trials_in_turn_train_as_a_worker_does(smoke, tmp_path, n_threads):
    ways = importlib.import_module("gpu_ways")
    case = ways.cases(60)["LeNet-5, all on"]
    assert ways.in_turn(case, torch.device("cpu"), n_threads, 1, tmp_path, graphs=False, n_trials=2) > 0
    assert len(list(tmp_path.glob("*/model.safetensors"))) == len(list(tmp_path.glob("*/checkpoint*"))) == 2 * n_threads
