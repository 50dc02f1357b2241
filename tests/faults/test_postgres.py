"""Optuna's storage on a PostgreSQL server that is restarted, stays away, or is shared by two stores."""

import itertools
import shutil
import socket

import pytest
from sqlalchemy import create_engine, event, inspect, text

from sweeper.errors import SweeperError
from sweeper.store.options import StoreOptions
from sweeper.studies import patient_storage
from sweeper.studies.owned_storage import OwnedStorage
from sweeper.studies.patient_storage import PatientStorage
from sweeper.studies.storage import open_storage
from tests.commands.processes import STUDY, wait_for
from tests.faults import outcomes
from tests.faults.servers import SECRET, Postgres
from tests.faults.test_storage import only_error
from tests.faults.workplace import Workplace, assert_same
from tests.studies.test_patient_storage import search as searched

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(not (Postgres.PROGRAMS / "initdb").exists(), reason="PostgreSQL is not installed"),
]
AWAY, BACK = "Optuna's storage does not answer (", "Optuna's storage answers again"


@pytest.fixture(scope="module")
def running_server():
    server = Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def server(running_server, workplace):
    """A running server; fails afterwards if its password is in any file that a command has written."""
    yield running_server
    written = [path for place in workplace.store.parent.iterdir() for path in place.rglob("*")]
    written += [path for folder in workplace.driver.folder.glob("command-*") for path in folder.rglob("*")]
    assert len(written) > 20
    assert [path for path in written if path.is_file() and SECRET in outcomes.text_of(path)] == []


@pytest.mark.parametrize(
    ("name", "owned", "every"),
    [("cut", lambda storage: storage, 25), ("cut_owner", OwnedStorage, 12)],
    ids=["storage", "owner's storage"],
)
def test_study_is_the_same_although_the_server_cuts_connections_again_and_again(
    running_server, tmp_path, monkeypatch, name, owned, every
):
    monkeypatch.setattr(patient_storage, "RETRY_SECONDS", 0.0)
    url, lines, statements, cuts = running_server.url(name), [], itertools.count(1), []
    expected = searched(PatientStorage(f"sqlite:///{tmp_path}/undisturbed.db", lines.append))
    storage, other = PatientStorage(url, lines.append), create_engine(url)

    def cut(connection, *_):
        if next(statements) % every == 0:  # no operation has so many
            with other.begin() as server:
                process = connection.connection.driver_connection.info.backend_pid
                cuts.append(server.execute(text(f"SELECT pg_terminate_backend({process}, 60000)")).scalar())

    event.listen(storage.engine, "before_cursor_execute", cut)
    assert searched(owned(storage)) == expected
    assert len(cuts) > 3
    assert all(cuts)
    assert lines.count(BACK) == len(cuts)
    storage.engine.dispose()
    other.dispose()


def test_database_in_which_mlflow_keeps_its_tables_is_not_taken_for_optunas(running_server):
    url = running_server.url("mlflow")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of MLflow')"))
        connection.execute(text("CREATE TABLE experiments (name TEXT)"))
    told = r"^postgresql\+psycopg://sweeper:\*\*\*@.*/mlflow has the tables of another program \(alembic_version, exper"
    with pytest.raises(SweeperError, match=told):
        open_storage(StoreOptions(storage=url).resolve({}))
    assert inspect(engine).get_table_names() == ["alembic_version", "experiments"]
    engine.dispose()


def test_search_goes_on_as_undisturbed_when_the_server_was_restarted(workplace, server, undisturbed):
    workplace.storage = server.url("restarted")
    search = workplace.search("--trials", 2)
    for number, (how, moment) in enumerate((("fast", "trial 0 (baseline) epoch 2"), ("immediate", "trial 1 epoch 2"))):
        search.says(moment)
        server.stop(how)
        search.says(AWAY, times=number + 1)
        server.start()
        search.says(BACK, times=number + 1)
    search.ended()
    assert_same(workplace, undisturbed, 2)


def test_study_of_a_server_has_one_owner_and_is_resumed_when_the_server_was_away_for_long(
    workplace, server, undisturbed, empty_store
):
    url, gate = server.url("shared"), workplace.store.parent / "gate"
    other = Workplace(workplace.driver, workplace.data, workplace.space, workplace.store.parent / "other", url)
    shutil.copytree(empty_store, other.store)
    workplace.storage = url
    shorter = {"sweeper.studies.patient_storage:PATIENCE_SECONDS": 2.0}
    # Both find a database without tables.
    places = [workplace, other]
    searches = [place.search("--trials", 3, gate=gate, constants=shorter) for place in places]
    gate.touch()
    wait_for("a refusal", lambda: any(search.exit_code is not None for search in searches))
    second = next(number for number in (0, 1) if searches[number].exit_code is not None)
    owner, place = searches[1 - second], places[1 - second]
    by = f"process {owner.process} on {socket.gethostname()}, with the store {place.store}"
    only_error(searches[second].ended(1), f"{STUDY} is being run by {by}: `sweeper stop {STUDY} ")
    owner.says("trial 0 (baseline) epoch 1")
    server.stop("fast")
    only_error(owner.ended(1), "Optuna's storage postgresql+psycopg://sweeper:***@", "the same command resumes once")
    server.start()
    place.search("--trials", 3).ended()
    assert_same(place, undisturbed, 3)
