"""`sweeper sync` after a search for which MLflow was away."""

import json

import pytest

from sweeper.errors import SweeperError
from sweeper.studies import trial_records
from sweeper.tracking import outbox_worker
from sweeper.tracking.run_writer import RunWriter
from tests.promotion.conftest import client, workplace  # noqa: F401


@pytest.fixture
def run_ids_of_late(workplace):  # noqa: F811
    """Reads the runs, in the order of trials, of the study `late`, for whose trials MLflow was away in its search."""
    original = RunWriter.write

    def write(writer, writes):
        if writes[0].action == "start":
            raise OSError("the server is away")
        return original(writer, writes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunWriter, "write", write)
        patch.setattr(outbox_worker, "CLOSING_SECONDS", 0.1)
        patch.setattr(outbox_worker, "RETRY_SECONDS", 0.1)
        words = ["search", "tiny", "--space", workplace.space, "--study", "late", "--trials", 2, "--jobs", 1]
        workplace.run(*words, *workplace.places, code=1)

    def run_ids():
        shown = json.loads(workplace.run("trials", "late", "--store", workplace.store, "--json").stdout)["trials"]
        return [trial["run_id"] for trial in shown]

    assert run_ids() == [None, None]
    return run_ids


def test_runs_that_sync_makes_are_recorded_in_their_study(workplace, client, run_ids_of_late):  # noqa: F811
    assert "late: " in workplace.run("sync", "--store", workplace.store).stdout
    assert [client.get_run(run_id).data.tags["sweeper.trial"] for run_id in run_ids_of_late()] == ["0", "1"]


def test_sync_delivers_and_says_why_the_study_was_not_updated(workplace, monkeypatch, run_ids_of_late):  # noqa: F811
    def locked(*arguments):
        raise SweeperError("the storage is locked")

    with monkeypatch.context() as patch:
        patch.setattr(trial_records, "set_run_ids", locked)
        done = workplace.run("sync", "late", "--store", workplace.store)
    assert "writes delivered" in done.stdout
    assert "late: its new runs in MLflow were not recorded in the study (the storage is locked); " in done.stderr
    assert workplace.run("sync", "late", "--store", workplace.store).stdout == "Nothing waits for MLflow.\n"
