import pytest

from sweeper.studies import trial_records
from sweeper.studies.proposer import Proposer
from sweeper.studies.storage import open_storage, study_names
from tests.sweep.sweeps import Sweep


@pytest.fixture
def sweep(tmp_path):
    """A study of three ended trials in the store's own database."""
    sweep = Sweep(tmp_path)
    sweep.storage = open_storage(sweep.store)
    sweep.run(trials=3)
    return sweep


def test_only_trials_that_may_change_are_read_again(sweep, monkeypatch):
    read = []
    read_one = trial_records._record

    def recorded(frozen, *rest):
        read.append(frozen.number)
        return read_one(frozen, *rest)

    monkeypatch.setattr(trial_records, "_record", recorded)
    study = sweep.study
    first = trial_records.records(study)
    running = Proposer(study, sweep.space, sweep.spec).ask().number
    read.clear()

    again = trial_records.records(study)

    assert read == [running]
    assert again[:running] == first


def test_run_of_an_ended_trial_is_read_anew(sweep):
    study = sweep.study
    assert trial_records.records(study)[1].run_id != "another"

    trial_records.set_run_id(study, 1, "another")

    assert trial_records.records(study)[1].run_id == "another"


def test_studies_are_listed_without_reading_their_trials(sweep, monkeypatch):
    monkeypatch.setattr(type(sweep.storage), "get_all_trials", None)

    assert study_names(sweep.storage) == ["study"]
