"""Commands of two stores that share Optuna's storage."""

import json

import optuna
import pytest

from sweeper.store.layout import StoreOptions
from sweeper.studies.ownership import claimed
from sweeper.studies.queries import find_study
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
    [listed] = json.loads(workplace.run("studies", "--json", *other).stdout)["studies"]
    assert listed["state"] == "running"


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
