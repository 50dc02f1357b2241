"""An MLflow server that fails during a search and returns in time, after the search's death, or too late."""

import time

import pytest

from tests.commands.processes import STUDY, wait_for
from tests.faults import outcomes
from tests.faults.servers import SECRET, Server

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def running_server(empty_store, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server") / "mlflow", empty_store / "mlflow.db")
    yield server
    server.kill()


@pytest.fixture
def server(running_server, workplace):
    """A running server; fails afterwards if its password is in any file that was written."""
    running_server.start()
    yield running_server
    commands = list(workplace.driver.folder.glob("command-*"))
    written = [path for place in (workplace.store, running_server.folder, *commands) for path in place.rglob("*")]
    assert len(written) > 20
    assert [path for path in written if path.is_file() and SECRET in outcomes.text_of(path)] == []


def assert_delivered(trials):
    """Asserts that MLflow has each trial once, and each epoch once, in order, with the time at which it ended."""
    for trial in trials:
        [_] = trial.runs
        steps = list(trial.values)
        assert trial.histories["validation_accuracy"] == list(trial.values.items())
        assert {name: len(h) for name, h in trial.histories.items() if name in ("train_loss", "lr")} == {
            "train_loss": len(steps),
            "lr": len(steps),
        }
        assert len(set(trial.times)) == len(steps)
        assert trial.times == sorted(trial.times)


def test_training_goes_on_while_the_server_is_gone_for_long_and_its_metrics_follow(
    workplace, server, long_wait, thorough
):
    search = workplace.search("--trials", 1, "--epochs", 100_000, "--tracking-uri", server.uri)
    search.says("trial 0 (baseline) epoch 3")
    server.kill()
    gone = time.time()
    search.says("MLflow does not accept a write")
    trained = workplace.epochs()
    workplace.trains(search)
    wait_for("the wait's end", lambda: time.time() > gone + (2 * long_wait if thorough else long_wait))
    wait_for("20 epochs", lambda: workplace.epochs() >= trained + 20)
    server.start()
    back = time.time()
    search.says("MLflow accepts writes again")
    workplace.run("stop", STUDY)
    search.ended()
    [trial] = workplace.trials(tracking_uri=server.plain_uri)
    assert_delivered([trial])
    assert len(trial.values) == workplace.epochs()
    # Metrics have the times of their epochs, not of their delivery.
    during = [moment / 1000 for moment in trial.times if gone < moment / 1000 < back]
    assert len(during) >= 20
    assert [run.info.status for run in trial.runs] == ["KILLED"]


def test_search_that_is_killed_while_the_server_is_gone_loses_nothing_of_what_it_was_to_tell(
    workplace, server, undisturbed
):
    arguments = ("--trials", 3, "--tracking-uri", server.uri)
    search = workplace.search(*arguments)
    search.says("trial 0 (baseline) epoch 3")
    server.kill()
    gone = time.time()
    search.says("trial 1 complete")
    search.kill()
    back = time.time()
    refused = workplace.search(*arguments).ended(1)
    assert "MLflow at http://sweeper:***@127.0.0.1" in refused.stderr
    server.start()
    workplace.search(*arguments).ended()
    trials = workplace.trials(tracking_uri=server.plain_uri)
    assert_delivered(trials)
    assert outcomes.differences(trials, undisturbed.trials()[:3]) == []
    assert [[run.info.status for run in trial.runs] for trial in trials] == [["FINISHED"]] * 3
    assert all(gone < moment / 1000 < back for moment in trials[1].times)


def test_what_a_server_missed_that_did_not_come_back_is_delivered_by_sync(workplace, server, undisturbed):
    # How long the command waits at its end for a server that is gone, is not what is looked at here.
    shorter = {"sweeper.tracking.outbox_worker:CLOSING_SECONDS": 3.0}
    search = workplace.search("--trials", 2, "--tracking-uri", server.uri, constants=shorter)
    search.says("trial 0 (baseline) epoch 3")
    server.kill()
    search.wait()
    assert search.exit_code == 1
    assert "Ranking" in search.stdout
    assert "2 complete" in search.stdout
    assert "sweeper sync" in search.stderr + search.stdout
    ended = time.time()
    assert workplace.status()["state"] == "finished"
    places = ("sync", "--tracking-uri", server.uri)
    refused = workplace.run(*places, code=1)
    assert "MLflow at http://sweeper:***@127.0.0.1" in refused.stderr

    server.start()
    assert f"{STUDY}: " in workplace.run(*places).stdout
    assert workplace.run(*places).stdout == "Nothing waits for MLflow.\n"
    trials = workplace.trials(tracking_uri=server.plain_uri)
    assert_delivered(trials)
    assert outcomes.differences(trials, undisturbed.trials()[:2]) == []
    assert all(moment / 1000 < ended for trial in trials for moment in trial.times)
    assert list((workplace.store / "spool").glob("*")) == []
