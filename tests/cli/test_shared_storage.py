"""Commands of two stores that share Optuna's storage."""

import json
import os
import socket
import time
from dataclasses import asdict, replace
from types import SimpleNamespace

import mlflow
import optuna
import pytest

from sweeper.errors import SweeperError
from sweeper.promotion.owned import owned
from sweeper.runs.stop import StopRequest
from sweeper.store.options import StoreOptions
from sweeper.studies import ownership
from sweeper.studies.ownership import OWNER, Owner, claimed
from sweeper.studies.queries import find_study
from tests.commands.processes import wait_for
from tests.engine.inline import InlinePool
from tests.promotion.conftest import workplace  # noqa: F401


@pytest.fixture(scope="module")
def other(workplace):  # noqa: F811
    """The options of another store that has the first one's storage."""
    workplace.search("shared", "--trials", 1, "--epochs", 1)
    return ["--store", workplace.folder / "other", "--storage", f"sqlite:///{workplace.store}/optuna.db"]


@pytest.fixture
def running(workplace, other):  # noqa: F811
    """The words in a refusal, while a process runs the study from the first store."""
    store = StoreOptions(workplace.store).resolve({})
    with store.owning("shared"), claimed(store, find_study(store, "shared")) as ownership:
        owner = str(ownership.owner)
        yield owner, f"shared is being run by {owner}: `sweeper stop shared --store {workplace.store}` on "


def test_study_that_runs_from_another_store_is_running_and_names_that_store(workplace, other, running):  # noqa: F811
    assert workplace.run("status", "shared", *other).stdout.startswith(f"shared: running, {running[0]}\n")
    status = json.loads(workplace.run("status", "shared", "--json", *other).stdout)
    assert (status["state"], status["owner"]) == ("running", running[0])
    listed = json.loads(workplace.run("studies", "--json", *other).stdout)["studies"]
    assert {study["study_name"]: study["state"] for study in listed}["shared"] == "running"


def test_promotion_that_runs_from_another_store_is_told_from_a_search(workplace, other):  # noqa: F811
    store = StoreOptions(workplace.store).resolve({})
    with owned(store, find_study(store, "shared"), "promotion", print, StopRequest()):
        said = (
            f"shared: promotion running, process {os.getpid()} on {socket.gethostname()}, with the store {store.root}"
        )
        assert workplace.run("status", "shared", *other).stdout.startswith(f"{said}\n")
        line = f"{said}; what it finds is shown here once it has ended\n"
        assert workplace.run("promotions", "shared", *other).stdout == line
        assert workplace.run("promotions", *other).stdout.endswith(line)
    assert "running" not in workplace.run("promotions", *other).stdout


@pytest.mark.parametrize(
    "words",
    [
        ["search", "tiny", "--study", "shared", "--trials", 2, "--epochs", 1, "--pruner", "none", "--seed", 2],
        ["retry", "shared", "--failed"],
        ["delete", "shared", "--yes"],
        ["stop", "shared"],
        ["promote", "shared"],
    ],
    ids=lambda words: words[0],
)
def test_study_that_runs_from_another_store_is_not_changed(workplace, other, running, words):  # noqa: F811
    if words[0] == "search":
        words = [*words, "--space", workplace.space, "--jobs", 1, "--device", "cpu"]
    if words[0] in ("search", "promote"):
        words = [*words, "--data-dir", workplace.folder / "data"]
    url = f"sqlite:///{workplace.store}/optuna.db"
    study = optuna.load_study(study_name="shared", storage=url)
    before = study.get_trials(), {name: value for name, value in study.user_attrs.items() if name != "owner"}
    new = [*other, "--store", workplace.folder / f"new {words[0]}"]  # no folder yet
    refused = workplace.run(*words, *new, code=1).stderr.splitlines()[-1]
    assert refused.startswith(f"Error: {running[1]}")
    after = optuna.load_study(study_name="shared", storage=url)
    assert (after.get_trials(), {n: v for n, v in after.user_attrs.items() if n != "owner"}) == before


def test_study_of_another_store_goes_on_from_here_once_nobody_runs_it(workplace, other):  # noqa: F811
    words = ["--study", "shared", "--trials", 2, "--epochs", 1, "--pruner", "none", "--seed", 2, "--keep", 0]
    places = ["--space", workplace.space, "--data-dir", workplace.folder / "data", *other]
    found = json.loads(workplace.run("search", "tiny", *words, "--jobs", 1, *places, "--json", "-q").stdout)
    assert found["n_trials"]["complete"] == 2
    assert workplace.run("status", "shared", *other).stdout.startswith("shared: finished\n")


def test_study_that_is_not_sweepers_is_refused_unchanged(workplace, other):  # noqa: F811
    url = f"sqlite:///{workplace.store}/optuna.db"
    foreign = optuna.create_study(study_name="foreign", storage=url)
    foreign.add_trial(optuna.create_trial(value=1.0))
    workplace.run(
        "search", "tiny", "--study", "foreign", "--space", workplace.space, *workplace.places, "--device", "cpu", code=2
    )
    assert optuna.load_study(study_name="foreign", storage=url).user_attrs == {}


def steal(url, name):
    """Makes a process with another store the owner of the study."""
    study = optuna.load_study(study_name=name, storage=url)
    owner = replace(Owner.from_text(json.dumps(study.user_attrs[OWNER])), token="another", store="/far")
    study.set_user_attr(OWNER, asdict(owner))
    return owner


def everything(workplace, name):  # noqa: F811
    """What Optuna and MLflow hold of the study: trials, attributes, and the states of the runs."""
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{workplace.store}/optuna.db")
    client = mlflow.MlflowClient(f"sqlite:///{workplace.store}/mlflow.db")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(ids, f"tags.`sweeper.study` = '{name}'")
    return (
        study.get_trials(),
        study.user_attrs,
        {run.data.tags["mlflow.runName"]: (run.info.status, run.data.tags.get("sweeper.state")) for run in runs},
    )


@pytest.mark.parametrize("moment", ["an epoch", "a signal", "an error", "the end"])
def test_search_that_lost_its_study_leaves_trials_and_runs_to_the_new_owner(workplace, monkeypatch, moment):  # noqa: F811
    url, name, seen = f"sqlite:///{workplace.store}/optuna.db", f"stolen-by-{moment.split()[-1]}", []

    class StolenPool(InlinePool):
        """Its study is stolen while its second trial trains."""

        def train(self, index, job):
            super().train(index, job)
            if job.number == 1 and moment != "the end":
                wait_for("the run of trial 1", lambda: "trial 1" in everything(workplace, name)[2])
                seen[:] = [steal(url, name), everything(workplace, name)]
                if moment == "a signal":
                    stops[-1].reason = "SIGTERM"
                if moment == "an error":
                    raise SweeperError("nothing works")

    def log_end(*arguments):
        wait_for("its end", lambda: everything(workplace, name)[2].get("trial 1") == ("FINISHED", "complete"))
        seen[:] = [steal(url, name), everything(workplace, name)]

    stops, init = [], StopRequest.__init__
    monkeypatch.setattr(StopRequest, "__init__", lambda self, *rest: stops.append(self) or init(self, *rest))
    monkeypatch.setattr("sweeper.engine.local.pool.WorkerPool", StolenPool)
    monkeypatch.setattr(ownership, "STALE_SECONDS", 0.0)  # whether the study is lost is looked up at every write
    if moment == "the end":
        monkeypatch.setattr("sweeper.sweep.study_report.log_end", log_end)
    words = ["--study", name, "--trials", 2, "--epochs", 2, "--pruner", "none", "--seed", 2, "--keep", 0]
    places = ["--space", workplace.space, *workplace.places, "--jobs", 1, "--device", "cpu", "-q"]
    refused = workplace.run("search", "tiny", *words, *places, code=1).stderr
    assert seen, refused
    owner, before = seen
    assert everything(workplace, name) == before
    assert before[2][name] == ("RUNNING", "running")
    told = f"study {name} was taken over by {owner}, while this process gave no sign of life\n"
    assert refused.endswith("Error: nothing works\n" if moment == "an error" else f"Error: {told}")


@pytest.fixture(scope="module")
def lost(workplace):  # noqa: F811
    """Two studies."""
    names = ("lost-1", "lost-2")
    for name in names:
        workplace.search(name, "--trials", 1, "--epochs", 1)
    return names


@pytest.fixture
def waits(workplace, lost, monkeypatch):  # noqa: F811
    """The studies' last owners, on another machine, give no sign of life; how long a command has waited."""
    url, waited = f"sqlite:///{workplace.store}/optuna.db", []
    here = ownership.this_process()
    for name in lost:
        owner = Owner(replace(here, host="far", machine="another boot"), "/far", name)
        optuna.load_study(study_name=name, storage=url).set_user_attr(OWNER, asdict(owner))
    clock = SimpleNamespace(sleep=waited.append, monotonic=lambda: sum(waited), time=time.time)
    monkeypatch.setattr(ownership, "time", clock)
    yield waited
    for name in lost:
        optuna.load_study(study_name=name, storage=url).set_user_attr(OWNER, None)


@pytest.mark.parametrize("words", [["studies"], ["status", "lost-1"], ["stop", "lost-1"]], ids=lambda words: words[0])
def test_command_waits_once_for_signs_of_life_from_other_machines(workplace, waits, words):  # noqa: F811
    workplace.run(*words, "--store", workplace.store, code=1 if words[0] == "stop" else 0)
    assert sum(waits) == ownership.SEEN_SECONDS


def test_search_takes_a_study_over_from_a_machine_that_is_gone(workplace, waits):  # noqa: F811
    places = ["--space", workplace.space, *workplace.places, "--jobs", 1, "--device", "cpu"]
    words = ["--study", "lost-1", "--trials", 1, "--epochs", 1, "--pruner", "none", "--seed", 2, "--keep", 0]
    told = workplace.run("search", "tiny", *words, *places, "--take-over").stderr
    assert "waiting 20 s for a sign of life from the last owner, process " in told
    assert sum(waits) == ownership.SEEN_SECONDS


def test_help_of_taking_over_says_how_long_is_waited(workplace):  # noqa: F811
    told = " ".join(workplace.run("search", "--help").stdout.split())
    assert f"wait {ownership.SEEN_SECONDS:.0f} s, not {ownership.STALE_SECONDS:.0f} s, for a sign of life" in told


@pytest.mark.parametrize(("command", "code"), [("studies", 0), ("status", 1), ("trials", 1), ("stop", 1)])
def test_command_that_only_reads_makes_no_storage(workplace, tmp_path, command, code):  # noqa: F811
    workplace.run(command, "--store", tmp_path, "--storage", f"sqlite:///{tmp_path}/none.db", code=code)
    assert list(tmp_path.iterdir()) == []
