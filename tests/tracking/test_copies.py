"""Copies of a store whose runs are in an MLflow that both use."""

import shutil
from pathlib import Path

import mlflow
import pytest

from sweeper.store import identity
from sweeper.tracking import outbox_worker
from sweeper.tracking.run_writer import RunWriter
from tests.promotion.conftest import workplace  # noqa: F401


@pytest.fixture
def shared(workplace, tmp_path):  # noqa: F811
    """The address of an MLflow beside the stores; artifacts lie beside it."""
    return f"sqlite:///{tmp_path}/shared.db"


@pytest.fixture
def original(workplace, shared, tmp_path):  # noqa: F811
    """A store with a study whose runs are in the shared MLflow."""
    search(workplace, tmp_path / "original", shared, 1)
    return tmp_path / "original"


def search(workplace, store, uri, trials, code=0):  # noqa: F811
    line = f"search tiny --space {workplace.space} --study kept --trials {trials} --epochs 1 --pruner none --keep 0"
    places = ["--data-dir", workplace.folder / "data", "--store", store, "--tracking-uri", uri]
    return workplace.run(*line.split(), "--jobs", 1, "--seed", 2, "-q", *places, code=code)


def runs(uri):
    """All active runs of the data set, with their times of change as MLflow has them."""
    client = mlflow.MlflowClient(uri, uri)
    experiment = client.get_experiment_by_name("tiny")
    found = client.search_runs([experiment.experiment_id])
    return {run.info.run_id: (run.info.status, run.info.end_time, dict(run.data.tags)) for run in found}


def test_copy_leaves_the_runs_of_its_original_alone_and_gets_its_own_elsewhere(workplace, original, shared, tmp_path):  # noqa: F811
    copy, before = Path(shutil.copytree(original, tmp_path / "copy")), runs(shared)
    places = ["--store", copy, "--tracking-uri", shared]
    refused = search(workplace, copy, shared, 2, code=1).stderr
    assert f"the store {copy} was moved or copied: it belonged to {original}; `sweeper store adopt --store" in refused
    assert f"{copy} is a copy of {original}, with" in workplace.run("store", "adopt", *places).stdout
    assert identity.of(copy).id != identity.of(original).id
    refused = search(workplace, copy, shared, 2, code=1).stderr
    assert "the run of study kept in MLflow at" in refused
    assert "belongs to another store, of which this one is a copy" in refused
    own = f"sqlite:///{copy}/mlflow.db"
    search(workplace, copy, own, 2)
    assert not runs(own).keys() & before.keys()
    workplace.run("delete", "kept", "--yes", *places)
    assert runs(shared) == before
    search(workplace, original, shared, 2)
    assert len(runs(shared)) == len(before) + 1


def test_moved_store_goes_on_with_its_runs_also_when_it_is_moved_back(workplace, original, shared, tmp_path):  # noqa: F811
    known, elsewhere = identity.of(original), tmp_path / "elsewhere"
    for number, (old, new) in enumerate([(original, elsewhere), (elsewhere, original)], start=2):
        shutil.copytree(old, new)
        shutil.rmtree(old)
        adopted = workplace.run("store", "adopt", "--store", new, "--tracking-uri", shared).stdout
        assert f"{new} is moved from {old}" in adopted
        assert identity.of(new).id == known.id
        search(workplace, new, shared, number)
    assert len(runs(shared)) == 1 + 3
    assert "Nothing to adopt" in workplace.run("store", "adopt", "--store", original).stdout


def test_place_whose_store_is_gone_may_still_be_that_of_an_original(workplace, original, shared, tmp_path):  # noqa: F811
    known = identity.of(original)
    copy = shutil.copytree(original, tmp_path / "copy")
    workplace.run("store", "adopt", "--moved", "--store", copy, "--tracking-uri", shared)
    assert identity.of(copy).id == known.id
    workplace.run("store", "adopt", "--copied", "--store", copy, "--tracking-uri", shared)
    assert identity.of(copy).id != known.id


def test_writes_that_a_copied_outbox_holds_are_not_delivered_to_the_runs_of_the_original(
    workplace,  # noqa: F811
    original,
    shared,
    tmp_path,
    monkeypatch,
):
    def away(self, writes):
        raise ConnectionError("away")

    with monkeypatch.context() as patch:
        patch.setattr(outbox_worker, "CLOSING_SECONDS", 0.05)
        patch.setattr(RunWriter, "write", away)
        search(workplace, original, shared, 2, code=1)
    copy = shutil.copytree(original, tmp_path / "copy")
    workplace.run("store", "adopt", "--store", copy, "--tracking-uri", shared)
    before = runs(shared)
    refused = workplace.run("sync", "--store", copy, "--tracking-uri", shared, code=1).stderr
    assert "belongs to another store, of which this one is a copy" in refused
    assert runs(shared) == before
