"""benchmarks/search.py counts what all trainings of a search took."""

import importlib
from pathlib import Path

import pytest

from sweeper.store.options import StoreOptions
from sweeper.studies import trial_records
from sweeper.studies.queries import find_study
from tests.promotion.conftest import client, workplace  # noqa: F401


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    return importlib.import_module("search")


@pytest.mark.parametrize("options", [(), ("--folds", 2, "--repeats", 2)], ids=["one training", "four trainings"])
def test_epochs_of_all_trainings_of_a_trial_are_counted(workplace, client, benchmark, monkeypatch, capsys, options):  # noqa: F811
    workplace.search("counted", "--trials", 2, *options)
    n_epochs = 2 * 2 * (4 if options else 1)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    runs = client.search_runs([experiment], "tags.`sweeper.study` = 'counted'")
    trained = [run for run in runs if run.data.tags["sweeper.kind"] == ("training" if options else "trial")]
    epochs = [e.value for run in trained for e in client.get_metric_history(run.info.run_id, "epoch_seconds")]
    assert len(epochs) == n_epochs

    trials = trial_records.records(find_study(StoreOptions(workplace.store).resolve({}), "counted"))
    assert benchmark.training_seconds(trials) == pytest.approx(sum(epochs))

    monkeypatch.setattr("sys.argv", ["search.py", "--store", str(workplace.store), "--study", "counted"])
    benchmark.main()
    assert f"| epochs trained | {n_epochs} of {n_epochs} |" in capsys.readouterr().out
