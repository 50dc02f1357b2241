"""Against a real MLflow store in SQLite."""

import json

import mlflow
import pytest
from matplotlib.figure import Figure

from sweeper.errors import SweeperError
from sweeper.tracking.data_sets import log_data_set

DATA = "ab" * 32
WRITTEN = {"summary": {"name": "tiny"}, "tags": {"sweeper.training_sha256": "ab"}, "params": {"n_classes": 2}}


@pytest.fixture
def client(store):
    return mlflow.MlflowClient(tracking_uri=store.tracking_uri)


def break_off() -> Figure:
    raise OSError("no space left")


def test_a_run_that_was_cut_short_is_written_again_and_then_stays(store, client):
    with pytest.raises(SweeperError, match="no space left"):
        log_data_set(store, "tiny", DATA, "content 1", **WRITTEN, metrics={"images": 1.0}, plots={"a.png": break_off})
    run_id = log_data_set(store, "tiny", DATA, "content 1", **WRITTEN, metrics={"images": 2.0}, plots={"a.png": Figure})
    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags["sweeper.state"]) == ("FINISHED", "complete")
    assert (run.data.params, run.data.metrics) == ({"n_classes": "2"}, {"images": 2.0})
    assert {file.path for file in client.list_artifacts(run_id)} == {"a.png", "summary.json"}
    # Neither written nor drawn again.
    assert log_data_set(
        store, "tiny", DATA, "content 1", **WRITTEN, metrics={"images": 3.0}, plots={"a.png": break_off}
    )
    assert client.get_run(run_id).data.metrics == {"images": 2.0}
    experiment = client.get_experiment_by_name("tiny").experiment_id
    assert [run.info.run_id for run in client.search_runs([experiment])] == [run_id]
    with open(client.download_artifacts(run_id, "summary.json")) as file:
        assert json.load(file) == WRITTEN["summary"]


def test_other_content_is_another_run(store, client):
    written = {**WRITTEN, "metrics": {}, "plots": {}}
    runs = {
        log_data_set(store, name, DATA, content, **written) for name in ("one", "two") for content in ("a", "b", "a")
    }
    assert len(runs) == 4
