import json

import pytest

from sweeper.store.options import StoreOptions
from tests.promotion.conftest import workplace  # noqa: F401


@pytest.fixture(scope="module")
def killed(workplace, driver):  # noqa: F811
    """A study whose process was killed in the first trial; the words that it was started with."""
    words = ["search", "tiny", "--space", "lenet5", "--epochs", "50", "--trials", "2", "--jobs", "1", "-v"]
    words += ["--data-dir", str(driver.folder / "data"), "--study", "killed", "--store", str(workplace.store)]
    search = driver.start(*words)
    search.says(" epoch 1")
    running = workplace.run("status", "killed", "--store", workplace.store)
    search.kill()
    return search.process, words, running.stdout


def test_running_study_names_its_owner(killed):
    pid, _, running = killed
    assert running.startswith(f"killed: running, process {pid} on ")
    assert running.splitlines()[1].startswith("0 complete, 0 pruned, 1 running; 0 of 2 trials done")
    assert "To resume" not in running


def test_dead_study_is_told_from_a_stopped_one_and_comes_with_its_command(workplace, killed):  # noqa: F811
    _, words, _ = killed
    shown = workplace.run("status", "killed", "--store", workplace.store).stdout
    assert shown.startswith("killed: dead: its process was killed, or its machine was lost\n")
    assert shown.splitlines()[1].startswith("0 complete, 0 pruned, 1 interrupted; 0 of 2 trials done")
    assert shown.splitlines()[-1].startswith("To resume: ")
    assert shown.splitlines()[-1].endswith(" ".join(words))
    status = json.loads(workplace.run("status", "killed", "--store", workplace.store, "--json").stdout)
    assert (status["state"], status["owner"], status["ended"]) == ("dead", None, None)
    assert status["command"].endswith(" ".join(words))
    studies = json.loads(workplace.run("studies", "--store", workplace.store, "--json").stdout)["studies"]
    assert next(s["state"] for s in studies if s["study_name"] == "killed") == "dead"


def test_trial_of_a_dead_process_is_interrupted_in_words_and_running_for_programs(workplace, killed):  # noqa: F811
    store = StoreOptions(workplace.store).resolve({})

    def state(*options):
        shown = workplace.run("trials", "killed", "--store", workplace.store, *options).stdout
        return ["interrupted" in shown, "running" in shown]

    assert state() == state("--trial", 0) == [True, False]
    assert state("--json") == state("--trial", 0, "--json") == state("--csv", "-") == [False, True]
    with store.owning("killed"):
        assert state() == state("--trial", 0) == [False, True]
        assert "1 running; " in workplace.run("status", "killed", "--store", workplace.store).stdout


def test_study_that_ended_by_an_error_says_which(workplace, monkeypatch):  # noqa: F811
    def broken(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweeper.sweep.coordinator.Coordinator.run", broken)
    with pytest.raises(AssertionError):
        workplace.search("full")
    status = json.loads(workplace.run("status", "full", "--store", workplace.store, "--json").stdout)
    assert status["state"] == "stopped"
    assert "No space left on device" in status["ended"]


def test_study_of_a_newer_sweeper_is_left_out_of_the_list_with_a_word(workplace):  # noqa: F811
    from sweeper.studies.attributes import CURRENT_SCHEMA
    from sweeper.studies.queries import find_study

    workplace.search("newer", "--trials", 1, "--epochs", 1)
    find_study(StoreOptions(workplace.store).resolve({}), "newer").set_user_attr("schema", CURRENT_SCHEMA + 1)
    listed = workplace.run("studies", "--store", workplace.store)
    assert "newer" not in listed.stdout
    assert "Not shown: study newer was written by a newer sweeper" in listed.stderr
