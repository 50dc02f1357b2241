"""benchmarks/scale.py makes a study with simulated workers, measures commands on it, and judges their growth."""

import importlib
import json
from pathlib import Path

import pytest

from sweeper.store.options import StoreOptions
from sweeper.studies import trial_records
from sweeper.studies.queries import find_study
from tests import databases


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    return importlib.import_module("scale")


def judged(benchmark, capsys, seconds):
    benchmark.show_growth({}, {"trials": {size: (spent, 0) for size, spent in seconds.items()}})
    return capsys.readouterr().out.splitlines()


def test_growth_is_judged_without_the_command_s_own_start(benchmark, capsys):
    *_, row, _, verdict = judged(benchmark, capsys, {1: 5.0, 100: 6.0, 1000: 15.0})
    assert row == "| trials | 100 | 1,000 | 1.00 | 1.18 |"
    assert verdict == "Faster than n log n: no step"


def test_step_that_grows_faster_than_n_log_n_is_named(benchmark, capsys):
    assert judged(benchmark, capsys, {1: 5.0, 100: 6.0, 1000: 25.0})[-1] == (
        "Faster than n log n: trials from 100 to 1,000"
    )


def test_what_is_shorter_than_the_noise_is_not_judged(benchmark, capsys):
    assert judged(benchmark, capsys, {1: 5.0, 100: 5.1, 1000: 25.0})[-1] == "Faster than n log n: no step"


@pytest.mark.slow
def test_study_is_made_delivered_and_measured(benchmark, tmp_path, monkeypatch, capfd):
    size = 6
    monkeypatch.setattr(
        benchmark,
        "commands",
        lambda folder, n_trials, resumes: [["trials", benchmark.STUDY], benchmark.search(folder, n_trials)],
    )
    for n_trials in (1, size):
        databases.make_empty(tmp_path / f"store-{n_trials}")
    monkeypatch.setattr("sys.argv", ["scale.py", "--trials", str(size), "--rounds", "1", "--keep-in", str(tmp_path)])
    benchmark.main()
    study = find_study(StoreOptions(tmp_path / f"store-{size}").resolve({}), benchmark.STUDY)
    records = trial_records.records(study)
    assert trial_records.n_counted(records) == size
    assert all(record.run_id for record in records[1:])
    cost = json.loads((tmp_path / f"{size}.json").read_text())
    assert all(cost[share] > 0 for share in (*benchmark.SHARES, "tpe"))
    printed = capfd.readouterr().out
    assert {line.split(" | ")[0] for line in printed.splitlines()} >= {"| `trials`", "| `search`", "| `sync`"}
