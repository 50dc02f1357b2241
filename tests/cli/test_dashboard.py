import socket
import sqlite3
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.studies.storage import open_storage
from tests.sweep.sweeps import Sweep

# Its name in the package is that of the command.
MODULE = sys.modules["sweeper.cli.dashboard"]


class Command:
    """optuna-dashboard as an entry point; notes its arguments, and deletes the studies of what it is given."""

    name = "optuna-dashboard"

    def __init__(self):
        self.argv, self.studies = None, None

    def load(self):
        return self.serve

    def serve(self):
        self.argv = sys.argv
        if self.argv[-1].startswith("sqlite:///"):
            with sqlite3.connect(self.argv[-1].removeprefix("sqlite:///")) as database:
                self.studies = database.execute("SELECT study_name FROM studies").fetchall()
                database.execute("DELETE FROM studies")


@pytest.fixture
def command(monkeypatch):
    made = Command()
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(MODULE, "entry_points", lambda **named: [made])
    return made


@pytest.fixture
def sweep(tmp_path):
    made = Sweep(tmp_path / "store")
    made.store.prepare()
    made.storage = open_storage(made.store)
    made.run(trials=1)
    return made


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(sweep, *arguments, code=0):
    result = CliRunner().invoke(
        main, ["dashboard", "--store", str(sweep.store.root), *map(str, arguments)], catch_exceptions=False
    )
    assert result.exit_code == code, result.output
    return result


def test_the_dashboard_gets_a_copy_and_listens_for_this_machine_only(sweep, command, port):
    result = run(sweep, "--port", port)
    assert command.studies == [("study",)]
    assert command.argv[1:-1] == ["--server", "wsgiref", "--host", "127.0.0.1", "--port", str(port), "--quiet"]
    assert result.stdout.splitlines() == [
        f"http://127.0.0.1:{port}/dashboard/studies/1",
        "The same without sweeper, on the database itself: optuna-dashboard --host 127.0.0.1 --port "
        f"{port} {sweep.store.storage}",
    ]
    copy = Path(command.argv[-1].removeprefix("sqlite:///"))
    assert sweep.store.root not in copy.parents
    assert not copy.parent.exists()
    assert sweep.study.study_name == "study"  # what was deleted was the copy's


def test_the_copy_is_whole_while_a_search_writes(sweep, command, port):
    with sqlite3.connect(sweep.store.root / "optuna.db") as database:
        database.execute("INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, 'new', '1')")
        run(sweep, "--port", port)
        database.rollback()
    assert command.studies == [("study",)]


def test_without_optuna_dashboard_one_line_says_how_to_install_it(sweep, monkeypatch):
    monkeypatch.setattr(MODULE, "entry_points", lambda **named: [])
    refused = run(sweep, code=1)
    assert refused.stderr == ("Error: optuna-dashboard is not installed: `pip install optuna-dashboard` installs it\n")
    assert refused.stdout == ""


def test_a_port_that_is_in_use_is_told_before_anything_is_copied(sweep, command):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        refused = run(sweep, "--port", other.getsockname()[1], code=1)
    assert "Address already in use; choose another --port" in refused.stderr
    assert command.argv is None


def test_a_store_without_studies_is_told(tmp_path, command):
    result = CliRunner().invoke(main, ["dashboard", "--store", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "no studies in" in result.stderr
    assert command.argv is None


def test_the_password_of_a_server_is_not_shown(sweep, command, port, monkeypatch):
    monkeypatch.setattr("sweeper.studies.queries.find_study", lambda *found, **options: sweep.study)
    url = "postgresql+psycopg://me:secret@host/db"
    result = run(sweep, "--port", port, "--storage", url)
    assert "secret" not in result.output
    assert "host/db" in result.stdout
    assert command.argv[-1] == url
    assert "shown itself" in result.stderr
