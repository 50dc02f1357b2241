import pytest

from sweeper.store.options import StoreOptions
from sweeper.tracking import client
from sweeper.tracking.runs_page import runs_page


@pytest.fixture
def store(tmp_path):
    store = StoreOptions(tmp_path / "store").resolve({})
    store.prepare()
    return store


def test_page_is_that_of_the_latest_study_then_of_the_latest_run_of_sweeper(store):
    connected = client.connect(store)
    assert runs_page(store) == "/#/experiments?workflowType=machine_learning"
    first, second, third = (client.experiment_id(connected, name, store) for name in ("first", "second", "third"))
    connected.create_run(first, start_time=4000)  # another program's
    assert runs_page(store) == "/#/experiments?workflowType=machine_learning"
    connected.create_run(third, start_time=3000, tags={"sweeper.kind": "training"})
    assert runs_page(store) == f"/#/experiments/{third}/runs?workflowType=machine_learning"
    connected.create_run(second, start_time=1000, tags={"sweeper.kind": "study"})
    connected.create_run(first, start_time=2000, tags={"sweeper.kind": "study"})
    assert runs_page(store) == f"/#/experiments/{first}/runs?workflowType=machine_learning"
    connected.delete_experiment(first)
    assert runs_page(store) == f"/#/experiments/{second}/runs?workflowType=machine_learning"
