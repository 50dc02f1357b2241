import inspect
import re
from types import SimpleNamespace

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import _cached_storage
from optuna.trial import TrialState
from sqlalchemy import event

from sweeper.errors import SweeperError, said, system_fault
from sweeper.store.options import StoreOptions
from sweeper.store.servers import ServerAway
from sweeper.studies import patient_storage as module
from sweeper.studies import storage_errors
from sweeper.studies.owned_storage import OwnedStorage, together
from sweeper.studies.patient_storage import PatientStorage

# Each commit of a search is lost in one of so many searches.
EVERY = 5
AWAY = "Optuna's storage does not answer (server closed the connection unexpectedly); trying again for 60 s"


class Server:
    """Stands for a server: a SQLite file whose connection is lost at chosen commits."""

    def __init__(self, path):
        self.lines, self.commits, self.lost_at, self.is_done = [], 0, set(), False
        self.storage = PatientStorage(f"sqlite:///{path}", self.lines.append)
        event.listen(self.storage.engine, "connect", lambda file, _: file.execute("PRAGMA synchronous = OFF"))
        self.storage.engine.dispose()
        event.listen(self.storage.engine, "commit", self._commit)

    def lose(self, *commits, done):
        """The connection is lost at these commits: after the server has done them, or before."""
        self.lost_at, self.is_done = set(commits), done

    def _commit(self, connection):
        self.commits += 1
        if self.commits in self.lost_at:
            if self.is_done:
                connection.connection.driver_connection.commit()
            raise ServerAway(ConnectionError("server closed the connection unexpectedly"))


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes servers, which are asked again at once."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    servers = []

    def make():
        servers.append(Server(tmp_path / f"{len(servers)}.db"))
        return servers[-1]

    yield make
    for server in servers:
        server.storage.engine.dispose()


def search(storage):
    """What a small search writes to a study; returns all that the study then holds."""
    study = optuna.create_study(study_name="study", storage=storage, load_if_exists=True)
    study.set_user_attr("spec", {"epochs": 1})
    study.enqueue_trial({"lr": 0.25}, user_attrs={"variant": "baseline"})
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    for state in (TrialState.COMPLETE, TrialState.PRUNED):
        with together(study):
            trial = study.ask()
            trial.suggest_float("lr", 0.0, 1.0)
            trial.report(0.5, 1)
        trial.set_user_attr("result", {"value": 0.5})
        study.tell(trial, 0.5 if state == TrialState.COMPLETE else None, state)
    study.add_trial(optuna.create_trial(value=0.7, params={}, distributions={}))
    study.set_user_attr("spec", {"epochs": 2})
    return content(study)


def content(study):
    left_out = ("_datetime_start", "datetime_complete", "_trial_id")
    return study.user_attrs, [{k: v for k, v in vars(trial).items() if k not in left_out} for trial in study.trials]


@pytest.mark.parametrize("owned", [lambda storage: storage, OwnedStorage], ids=["storage", "owner's storage"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_study_is_the_same_at_whichever_commit_the_connection_is_lost(made, done, owned):
    expected = search(made().storage)
    assert len(expected[1]) == 3
    for first in range(1, EVERY + 1):
        server = made()
        server.lose(*range(first, 200, EVERY), done=done)
        assert search(owned(server.storage)) == expected, first
        stored = optuna.load_study(study_name="study", storage=optuna.storages.RDBStorage(server.storage.url))
        assert content(stored) == expected, first
        assert len(server.lines) >= 6
        assert set(server.lines) == {AWAY, "Optuna's storage answers again"}


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_study_is_deleted_once(made, done):
    server = made()
    search(server.storage)
    server.lose(*range(server.commits + 1, server.commits + 6, 2), done=done)
    optuna.delete_study(study_name="study", storage=server.storage)
    assert server.storage.get_all_studies() == []


def test_server_that_stays_away_is_waited_for_once(made, monkeypatch):
    now, waits = [0.0], []
    server = made()
    study = optuna.create_study(study_name="study", storage=server.storage)

    def sleep(seconds):
        waits.append(seconds)
        now[0] += 1.0

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    server.lose(*range(server.commits + 1, server.commits + 1000), done=False)
    with pytest.raises(StorageInternalError, match="server closed the connection"):
        study.set_user_attr("x", 1)
    assert len(waits) == module.PATIENCE_SECONDS
    with pytest.raises(StorageInternalError):
        study.set_user_attr("x", 1)  # what the command does while it ends does not wait again
    assert len(waits) == module.PATIENCE_SECONDS
    server.lose(done=False)
    study.set_user_attr("x", 2)
    assert server.lines == [AWAY, "Optuna's storage answers again"]


def test_server_that_stays_away_is_one_line_for_the_user(made, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0)
    server = made()
    server.lose(1, done=False)
    store = StoreOptions(tmp_path, "postgresql+psycopg://me:secret@host/db").resolve({})
    with (
        pytest.raises(
            SweeperError,
            match=r"^Optuna's storage postgresql\+psycopg://me:\*\*\*@host/db does not answer: server closed the "
            r"connection unexpectedly; nothing is lost, the same command resumes once it does$",
        ) as told,
        storage_errors.translated(store),
    ):
        optuna.create_study(study_name="study", storage=server.storage)
    assert said(told.value.__cause__) == "server closed the connection unexpectedly"
    assert "a database cannot be used" in system_fault(told.value.__cause__)


def test_other_errors_are_raised_at_once(made):
    server = made()
    with pytest.raises(KeyError):
        server.storage.get_trial(5)
    assert server.lines == []


def test_all_that_optunas_cache_asks_of_a_storage_is_repeated():
    asked = set(re.findall(r"self\._backend\.(\w+)", inspect.getsource(_cached_storage)))
    heartbeats = {name for name in asked if "heartbeat" in name or "stale" in name}  # which sweeper does not use
    repeated = {*module.REPEATABLE, *vars(PatientStorage)}
    assert asked - heartbeats <= repeated
