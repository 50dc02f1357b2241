"""Against a real MLflow store in SQLite."""

import mlflow
import pytest

from sweeper.errors import SweeperError, UsageError
from sweeper.store.options import StoreOptions
from sweeper.tracking import weights
from sweeper.tracking.tracker import Tracker
from tests.tracking.conftest import DATA

RUN = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def client(store, run):
    return mlflow.MlflowClient(tracking_uri=store.tracking_uri, registry_uri=store.tracking_uri)


def study(store, name, n_trials, kept=()):
    """A study's run, and its trials' by number; those in `kept` have weights, in which their number stands."""
    tracker = Tracker(store, DATA, print)
    tracker.open(name, f"id-{name}", {}, {})
    for number in range(n_trials):
        tracker.start_child(number, f"trial {number}", {}, {})
        if number in kept:
            path = store.trial_folder(name, f"id-{name}", number) / "model.safetensors"
            path.parent.mkdir(parents=True)
            path.write_text(str(number))
            tracker.log_weights(number, path)
        tracker.finish(number, "complete")
    tracker.finish(None, "complete")
    assert tracker.close() == []
    return tracker.run_id, [tracker.child_run_id(number) for number in range(n_trials)]


@pytest.fixture(scope="module")
def run(store):
    """A trial's run that has weights."""
    return study(store, "first", 1, kept=(0,))[1][0]


@pytest.fixture(scope="module")
def versions(client, run):
    """Two versions of a model, the first the champion's, and one that no run has made."""
    client.create_registered_model("lenet net")
    for _ in range(2):
        client.create_model_version("lenet net", "file:///nowhere", run)
    client.create_model_version("lenet net", "file:///nowhere")
    client.set_registered_model_alias("lenet net", "champion", "1")


def fetched(store, reference, folder):
    return weights.download(store, weights.resolve(store, reference, "--init"), folder, "--init").read_text()


def test_run_is_named_by_its_id_and_its_weights_come_to_the_folder(store, run, tmp_path):
    source = weights.resolve(store, run, "--init")
    assert source == weights.Source(f"run {run}", run)
    assert weights.download(store, source, tmp_path, "--init").is_relative_to(tmp_path)
    assert fetched(store, run, tmp_path) == "0"


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("models:/lenet net@champion", 1),
        ("lenet net@champion", 1),
        ("models:/lenet net/2", 2),
        ("lenet net/2", 2),
    ],
)
def test_model_is_named_by_alias_or_version_and_its_weights_are_its_run_s(
    store, run, versions, tmp_path, reference, version
):
    assert weights.resolve(store, reference, "--init") == weights.Source(f"models:/lenet net/{version}", run)
    assert fetched(store, reference, tmp_path) == "0"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("", "weights must be named by"),
        ("lenet net", "weights must be named by"),
        (RUN[:-1], "weights must be named by"),
        ("models:/a/b/3", "weights must be named by"),
        ("../x/3", "weights must be named by"),
        ("a\nb/3", "weights must be named by"),
        (f"x/{'9' * 30}", "weights must be named by"),
        ("x" * 5000, "weights must be named by"),
        ("nosuch@champion", "MLflow has no registered model nosuch@champion"),
        ("lenet net@nosuch", "MLflow has no registered model lenet net@nosuch"),
        ("lenet net/9", "MLflow has no registered model lenet net/9"),
        ("lenet net/3", "was not made by a run"),
        (RUN, f"MLflow has no run {RUN}"),
    ],
)
def test_what_names_no_weights_is_refused_in_one_line(store, versions, tmp_path, reference, message):
    with pytest.raises(UsageError) as refused:
        fetched(store, reference, tmp_path)
    assert message in str(refused.value)
    assert str(refused.value).endswith("(--init)")
    assert str(refused.value).isprintable()


def test_of_a_run_without_weights_those_below_it_that_have_are_named(store, client, tmp_path):
    parent, children = study(store, "many", 9, kept=range(1, 8))
    with pytest.raises(UsageError) as refused:
        fetched(store, parent, tmp_path)
    named = ", ".join(f"{children[number]} (trial {number})" for number in range(1, 6))
    assert str(refused.value) == f"run {parent} has no weights: give a run below it: {named}, ... (--init)"
    with pytest.raises(UsageError, match="only the best trials of a search keep theirs"):
        fetched(store, children[0], tmp_path)
    client.update_run(children[0], "RUNNING")
    with pytest.raises(UsageError, match="not ended in MLflow: it trains, was interrupted, or has writes that wait"):
        fetched(store, children[0], tmp_path)
    client.set_tag(children[8], "sweeper.weights", "dropped")
    with pytest.raises(UsageError, match=r"were dropped .* --keep"):
        fetched(store, children[8], tmp_path)


def test_run_that_was_deleted_is_refused(store, client, tmp_path):
    _, [child] = study(store, "deleted", 1, kept=(0,))
    client.delete_run(child)
    with pytest.raises(UsageError, match="was deleted"):
        fetched(store, child, tmp_path)


def test_store_without_runs_is_refused_and_nothing_made_in_it(tmp_path):
    empty = StoreOptions(tmp_path / "none").resolve({})
    for reference in (RUN, "x@champion"):
        with pytest.raises(UsageError, match="has no runs yet"):
            fetched(empty, reference, tmp_path)
    assert not list(tmp_path.iterdir())


def test_store_that_was_moved_is_told_of(store, run, tmp_path):
    moved = StoreOptions(tmp_path / "moved").resolve({})
    moved.prepare()
    (moved.root / "mlflow.db").write_bytes((store.root / "mlflow.db").read_bytes())
    with pytest.raises(SweeperError, match="was moved or copied"):
        fetched(moved, run, tmp_path)
