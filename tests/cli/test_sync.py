"""`sweeper sync` after a search for which MLflow was away."""

import json

import pytest

from sweeper.errors import SweeperError
from sweeper.studies import trial_records
from sweeper.tracking import outbox_worker
from sweeper.tracking.run_writer import RunWriter
from tests.promotion.conftest import client, workplace  # noqa: F401


@pytest.fixture
def late(workplace):  # noqa: F811
    """The runs by trial, as `sweeper trials` has them, of a study of which MLflow took no trial in its search."""
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

    def late():
        shown = json.loads(workplace.run("trials", "late", "--store", workplace.store, "--json").stdout)["trials"]
        return [trial["run_id"] for trial in shown]

    assert late() == [None, None]
    return late


def test_runs_that_sync_makes_are_recorded_in_their_study(workplace, client, late):  # noqa: F811
    assert "late: " in workplace.run("sync", "--store", workplace.store).stdout
    assert [client.get_run(run_id).data.tags["sweeper.trial"] for run_id in late()] == ["0", "1"]


def test_what_keeps_sync_from_the_study_is_told_and_the_writes_are_delivered(workplace, monkeypatch, late):  # noqa: F811
    def locked(*arguments):
        raise SweeperError("the storage is locked")

    with monkeypatch.context() as patch:
        patch.setattr(trial_records, "set_run_ids", locked)
        done = workplace.run("sync", "late", "--store", workplace.store)
    assert "writes delivered" in done.stdout
    assert (
        "late: the writes were delivered, but the new runs were not recorded in the study (the storage is locked); "
        in done.stderr
    )
    assert workplace.run("sync", "late", "--store", workplace.store).stdout == "Nothing waits for MLflow.\n"
