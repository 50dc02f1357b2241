"""Against a real MLflow store in SQLite."""

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import mlflow
import pytest
from matplotlib.figure import Figure

from sweeper.errors import SweeperError
from sweeper.store import chained_log
from sweeper.store.options import StoreOptions
from sweeper.tracking import client as clients
from sweeper.tracking import ledger as ledgers
from sweeper.tracking.ledger import EXPERIMENT, Ledger

ENTRY = {
    "study": "fashion", "study_id": "id-1", "dataset": "tiny", "test_sha256": "ab" * 32,
    "models": {"champion": "m/1", "baseline": "m/2"}, "networks": {"champion": "a", "baseline": "b"},
    "command": "sweeper promote --test",
}  # fmt: skip
RESULT = {"tested": {"m/1": {"accuracy": 0.5}}, "comparisons": []}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """Copied for every test: MLflow takes seconds to make its tables."""
    store = StoreOptions(tmp_path_factory.mktemp("empty")).resolve({})
    mlflow.MlflowClient(tracking_uri=store.tracking_uri).search_experiments()
    return store


@pytest.fixture
def store(empty_store, tmp_path):
    store = StoreOptions(tmp_path / "store").resolve({})
    store.prepare()
    shutil.copyfile(empty_store.root / "mlflow.db", store.root / "mlflow.db")
    return store


@pytest.fixture
def ledger(store):
    return Ledger(store)


@pytest.fixture
def client(store):
    return mlflow.MlflowClient(tracking_uri=store.tracking_uri)


@pytest.fixture
def clock(monkeypatch):
    """Every entry is a minute later than the one before."""

    class Clock(datetime):
        now_is = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

        @classmethod
        def now(cls, zone):
            assert zone is UTC
            cls.now_is += timedelta(minutes=1)
            return cls.now_is

    monkeypatch.setattr(ledgers, "datetime", Clock)


def completed(ledger, result=RESULT, **changes):
    evaluation = ledger.begin(**(ENTRY | changes))
    ledger.complete(evaluation, result, {"champion_accuracy": 0.5}, {"a.csv": "x\n"}, {"m.png": Figure})
    return evaluation


def test_metrics_of_a_look_are_of_its_own_time(ledger, client, clock):
    evaluation = completed(ledger)
    [metric] = client.get_metric_history(evaluation.run_id, "champion_accuracy")
    assert metric.timestamp == int(datetime(2026, 5, 1, 12, 1, tzinfo=UTC).timestamp()) * 1000


def test_entry_is_there_before_the_evaluation(ledger, client):
    evaluation = ledger.begin(**ENTRY)
    assert ledger.evaluations() == [evaluation]
    assert not evaluation.complete
    assert {name: getattr(evaluation, name) for name in ENTRY} == ENTRY
    assert abs(datetime.now(UTC) - datetime.fromisoformat(evaluation.time)) < timedelta(minutes=1)
    assert client.get_run(evaluation.run_id).info.status == "RUNNING"


def test_entry_completed_twice_has_each_metric_once(ledger, client, monkeypatch):
    evaluation = ledger.begin(**ENTRY)
    with monkeypatch.context() as patch:
        patch.setattr(ledger._client, "set_terminated", None)  # as if killed there
        with pytest.raises(TypeError):
            ledger.complete(evaluation, RESULT, {"champion_accuracy": 0.5}, {}, {})
    assert not ledger.evaluations()[0].complete
    ledger.complete(evaluation, RESULT, {"champion_accuracy": 0.5}, {}, {})
    assert ledger.evaluations()[0].complete
    assert len(client.get_metric_history(evaluation.run_id, "champion_accuracy")) == 1


def test_completed_entry_holds_what_was_seen(ledger, client):
    evaluation = completed(ledger)
    [found] = ledger.evaluations()
    assert found.complete
    assert found.run_id == evaluation.run_id
    assert ledger.result(found) == RESULT
    run = client.get_run(evaluation.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"champion_accuracy": 0.5})
    assert sorted(entry.path for entry in client.list_artifacts(evaluation.run_id)) == ["a.csv", "m.png", "result.json"]


def test_another_process_sees_the_same(store, ledger):
    completed(ledger)
    ledger.begin(**ENTRY)
    assert Ledger(store).evaluations() == ledger.evaluations()
    assert sorted(evaluation.complete for evaluation in ledger.evaluations()) == [False, True]


def test_looks_come_in_the_order_they_were_taken(ledger, clock):
    taken = [ledger.begin(**ENTRY | {"study": f"study {number}"}) for number in range(5)]
    ledger.complete(taken[1], RESULT, {}, {}, {})
    evaluations = ledger.evaluations()
    assert [evaluation.study for evaluation in evaluations] == [f"study {number}" for number in range(5)]
    assert [evaluation.complete for evaluation in evaluations] == [False, True, False, False, False]


def test_looks_are_all_found_however_many_pages_they_fill(ledger, monkeypatch):
    monkeypatch.setattr(clients, "PAGE", 2)
    begun = {ledger.begin(**ENTRY).run_id for _ in range(5)}
    assert {evaluation.run_id for evaluation in ledger.evaluations()} == begun


def test_deleted_looks_are_counted_and_can_be_read(ledger, client):
    evaluation = completed(ledger)
    opened = ledger.begin(**ENTRY)
    client.delete_run(evaluation.run_id)
    client.delete_run(opened.run_id)
    assert {(found.run_id, found.complete) for found in ledger.evaluations()} == {
        (evaluation.run_id, True),
        (opened.run_id, False),
    }
    assert ledger.result(evaluation) == RESULT


def test_looks_of_a_deleted_ledger_are_counted_and_no_other_can_be_begun(ledger, client):
    evaluation = completed(ledger)
    client.delete_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id)
    assert [found.run_id for found in ledger.evaluations()] == [evaluation.run_id]
    with pytest.raises(SweeperError, match=f"the MLflow experiment {EXPERIMENT} was deleted; restore it"):
        ledger.begin(**ENTRY)


def test_runs_that_are_no_looks_are_left_out(ledger, client):
    evaluation = ledger.begin(**ENTRY)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    client.create_run(experiment)
    client.create_run(experiment, tags={"sweeper.kind": "study"})
    assert ledger.evaluations() == [evaluation]


def test_completion_that_fails_in_the_middle_leaves_the_entry_open_and_can_be_repeated(ledger):
    evaluation = ledger.begin(**ENTRY)

    def no_space():
        raise OSError(28, "No space left on device")

    with pytest.raises(SweeperError, match="No space left"):
        ledger.complete(
            evaluation, {"tested": {}}, {"champion_accuracy": 0.1}, {"a.csv": "first\n"}, {"m.png": no_space}
        )
    assert ledger.evaluations() == [evaluation]

    ledger.complete(evaluation, RESULT, {"champion_accuracy": 0.5}, {"a.csv": "second\n"}, {"m.png": Figure})
    [found] = ledger.evaluations()
    assert found.complete
    assert ledger.result(found) == RESULT


def test_result_of_an_open_entry_is_an_error(ledger):
    evaluation = ledger.begin(**ENTRY)
    with pytest.raises(SweeperError, match="MLflow at sqlite"):
        ledger.result(evaluation)


def test_result_that_is_gone_or_damaged_in_mlflow_is_taken_from_the_file(store, ledger, client):
    gone, damaged = completed(ledger), completed(ledger)
    [path] = store.artifacts.glob(f"**/{gone.run_id}/**/{ledgers.RESULT}")
    path.unlink()
    client.log_text(damaged.run_id, '{"tested": ', ledgers.RESULT)
    assert [ledger.result(evaluation) for evaluation in (gone, damaged)] == [RESULT, RESULT]


def test_damaged_result_that_only_mlflow_has_is_an_error(store, ledger, client):
    evaluation = completed(ledger)
    store.ledger.unlink()
    client.log_text(evaluation.run_id, '{"tested": ', ledgers.RESULT)
    with pytest.raises(SweeperError, match="MLflow at sqlite"):
        ledger.result(evaluation)


@pytest.mark.parametrize("exists", [True, False])
def test_looking_makes_no_database(tmp_path, exists):
    root = tmp_path / "store"
    if exists:
        root.mkdir()
    assert Ledger(StoreOptions(root).resolve({})).evaluations() == []
    assert root.exists() == exists
    assert os.listdir(tmp_path) == (["store"] if exists else [])
    assert not exists or os.listdir(root) == []


def test_store_without_a_ledger_has_no_looks(ledger, client):
    assert ledger.evaluations() == []
    assert client.get_experiment_by_name(EXPERIMENT) is None


def test_artifacts_are_in_the_store_wherever_the_command_is_started(store, ledger, client, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    evaluation = completed(ledger)
    assert client.get_run(evaluation.run_id).info.artifact_uri.startswith(store.artifacts.as_uri())
    assert os.listdir() == []


def test_unreachable_server_is_one_line_without_its_password(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = Ledger(StoreOptions(store.root, None, "http://me:secret@127.0.0.1:9").resolve({}))
    for ask in (away.evaluations, lambda: away.begin(**ENTRY)):
        with pytest.raises(SweeperError, match=r"MLflow at http://me:.* cannot be used") as refused:
            ask()
        assert "secret" not in str(refused.value)
        assert "\n" not in str(refused.value)


def test_address_that_mlflow_does_not_know_is_an_error_for_the_user(store):
    with pytest.raises(SweeperError, match="MLflow at nonsense://x cannot be used"):
        Ledger(StoreOptions(store.root, None, "nonsense://x").resolve({})).evaluations()


def without_mlflow(store):
    """The ledger after somebody has deleted MLflow's database."""
    (store.root / "mlflow.db").unlink()
    return Ledger(store)


def test_looks_outlive_mlflows_database_and_its_results_can_be_read(store, ledger, clock):
    taken = [completed(ledger), ledger.begin(**ENTRY | {"study_id": "id-2"})]
    left = without_mlflow(store)
    assert [found.run_id for found in left.evaluations()] == [look.run_id for look in taken]
    assert [(found.complete, found.in_mlflow, found.deleted) for found in left.evaluations()] == [
        (True, False, True),
        (False, False, True),
    ]
    assert left.result(left.evaluations()[0]) == RESULT
    assert ledgers.count(left.evaluations(), "id-1", ENTRY["test_sha256"]) == (1, 2)
    [said] = left.differences()
    assert f"MLflow at {store.tracking_uri} has no run of 2 test evaluations in {store.ledger}" in said
    with pytest.raises(SweeperError, match=f"{store.ledger} has no result of the test evaluation"):
        left.result(left.evaluations()[1])


def test_looks_are_the_union_of_both_sides_with_a_look_of_each_once(store, ledger, clock):
    first = completed(ledger)
    lost = (store.root / "mlflow.db").read_bytes()
    second = completed(ledger)
    (store.root / "mlflow.db").write_bytes(lost)
    lines = store.ledger.read_text().splitlines(keepends=True)
    third = completed(Ledger(store))
    kept = store.ledger.read_text().splitlines(keepends=True)
    store.ledger.write_text("".join([*lines, *kept[len(lines) + 2 :]]))
    found = Ledger(store).evaluations()
    assert [look.run_id for look in found] == [first.run_id, second.run_id, third.run_id]
    assert [look.in_mlflow for look in found] == [True, False, True]
    assert len(Ledger(store).differences()) == 2


def test_sides_that_agree_differ_in_nothing(ledger):
    assert ledger.differences() == []
    completed(ledger)
    ledger.begin(**ENTRY)
    assert ledger.differences() == []


def test_store_of_an_older_sweeper_has_no_file_and_gets_one_before_the_next_look(store, ledger, client, clock):
    old = [completed(ledger), ledger.begin(**ENTRY)]
    store.ledger.unlink()
    for look in old:
        client.delete_tag(look.run_id, ledgers.IN_FILE)
    assert ledger.differences() == []
    assert len(ledger.evaluations()) == 2
    assert not store.ledger.exists()

    ledger.prepare()
    ledger.prepare()
    left = without_mlflow(store)
    assert [(look.run_id, look.complete) for look in left.evaluations()] == [
        (old[0].run_id, True),
        (old[1].run_id, False),
    ]
    assert left.result(left.evaluations()[0]) == RESULT
    assert len(store.ledger.read_text().splitlines()) == 3


def test_deleted_file_is_told_of(store, ledger):
    completed(ledger)
    store.ledger.unlink()
    assert len(ledger.evaluations()) == 1
    assert ledger.differences() == [
        f"{store.ledger} lacks 1 test evaluation that MLflow has: removed there, but still counted"
    ]


def test_look_that_was_changed_in_mlflow_is_taken_from_the_file(store, ledger, client):
    look = completed(ledger)
    client.set_tag(look.run_id, "sweeper.test_sha256", "00" * 32)
    assert ledger.evaluations() == [replace(look, complete=True)]
    assert ledger.differences() == [
        f"the test_sha256 of the test evaluation {look.run_id} was changed in MLflow, or in {store.ledger}"
    ]


@pytest.mark.parametrize("tag", ["sweeper.study_id", "sweeper.kind", "sweeper.models"])
def test_look_whose_tags_were_removed_in_mlflow_still_counts(ledger, client, tag):
    look = completed(ledger)
    client.delete_tag(look.run_id, tag)
    [found] = ledger.evaluations()
    assert (found.run_id, found.complete, found.study_id) == (look.run_id, True, "id-1")
    assert len(ledger.differences()) == 1


def test_look_that_only_mlflow_has_and_that_cannot_be_read_is_told_of(store, ledger, client):
    look = completed(ledger)
    store.ledger.unlink()
    client.delete_tag(look.run_id, "sweeper.study_id")
    assert ledger.evaluations() == []
    assert f"the test evaluation {look.run_id} in MLflow cannot be read, and is not counted" in ledger.differences()
    ledger.prepare()


def test_changed_file_is_told_of_and_its_looks_count(store, ledger):
    completed(ledger)
    completed(ledger)
    lines = store.ledger.read_text().splitlines(keepends=True)
    store.ledger.write_text("".join([lines[0].replace("fashion", "fashioN"), *lines[1:]]))
    assert len(ledger.evaluations()) == 2
    assert f"line 1 of {store.ledger} was changed" in ledger.differences()
    assert len(without_mlflow(store).evaluations()) == 2


@pytest.mark.parametrize(
    "change",
    [{"event": "??"}, {"study": 1}, {"models": []}, {"models": {"champion": 1}}, {"time": "soon"}, {"id": None}],
)
def test_line_that_is_no_look_is_named(store, ledger, change):
    completed(ledger)
    [line, *_] = store.ledger.read_text().splitlines()
    chained_log.append(store.ledger, json.loads(line)["record"] | change)
    assert len(ledger.evaluations()) == 1
    assert ledger.differences() == [f"line 3 of {store.ledger} is no test evaluation"]


def test_file_that_cannot_be_written_stops_a_look_before_it_begins(store, ledger):
    store.ledger.mkdir()
    with pytest.raises(SweeperError, match=f"{store.ledger} cannot be written to"):
        ledger.begin(**ENTRY)
    with pytest.raises(SweeperError, match=f"{store.ledger} cannot be written to"):
        ledger.prepare()


def test_file_counts_beside_a_server(store, ledger, tmp_path):
    completed(ledger)
    other = Ledger(StoreOptions(store.root, None, f"sqlite:///{tmp_path}/other.db").resolve({}))
    assert [look.in_mlflow for look in other.evaluations()] == [False]
    assert other.differences() == []
    taken = completed(other)
    assert ledger.differences() == other.differences() == []
    other._client.delete_tag(taken.run_id, "sweeper.kind")
    [said] = other.differences()
    assert "has no run of 1 test evaluation in" in said


def test_look_of_an_older_sweeper_is_looked_for_in_the_mlflow_in_use(store, ledger, tmp_path):
    completed(ledger)
    records = [json.loads(line)["record"] for line in store.ledger.read_text().splitlines()]
    store.ledger.unlink()
    for record in records:
        chained_log.append(store.ledger, {name: value for name, value in record.items() if name != "uri"})
    assert ledger.differences() == []
    other = Ledger(StoreOptions(store.root, None, f"sqlite:///{tmp_path}/other.db").resolve({}))
    [said] = other.differences()
    assert "has no run of 1 test evaluation in" in said
