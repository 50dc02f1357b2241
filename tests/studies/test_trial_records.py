import optuna
import pytest
from sqlalchemy import event

from sweeper.studies import bulk_storage, trial_records
from sweeper.studies.owned_storage import OwnedStorage
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


@pytest.fixture
def read(monkeypatch):
    """The numbers of the trials of which records were made."""
    read = []
    read_one = trial_records._record

    def recorded(frozen, *rest):
        read.append(frozen.number)
        return read_one(frozen, *rest)

    monkeypatch.setattr(trial_records, "_record", recorded)
    return read


def test_only_trials_that_may_change_are_read_again(sweep, read):
    study = sweep.study
    first = trial_records.records(study)
    running = Proposer(study, sweep.space, sweep.spec).ask().number
    read.clear()

    again = trial_records.records(study)

    assert read == [running]
    assert again[:running] == first


def test_owner_reads_only_trials_that_it_has_changed(sweep, read):
    study = optuna.load_study(study_name="study", storage=OwnedStorage(sweep.storage))
    proposer = Proposer(study, sweep.space, sweep.spec)
    first, second = proposer.ask(), proposer.ask()
    trial_records.records(study)
    read.clear()

    second.trial.report(0.5, 1)
    again = trial_records.records(study)

    assert read == [second.number]
    assert [again[proposal.number].values for proposal in (first, second)] == [{}, {1: 0.5}]


def test_run_of_an_ended_trial_is_read_anew(sweep):
    study = sweep.study
    assert trial_records.records(study)[1].run_id != "another"

    trial_records.set_run_id(study, 1, "another")

    assert trial_records.records(study)[1].run_id == "another"


def test_studies_are_listed_without_reading_their_trials(sweep, monkeypatch):
    monkeypatch.setattr(type(sweep.storage), "get_all_trials", None)

    assert study_names(sweep.storage) == ["study"]


@pytest.mark.parametrize("owned", [False, True])
def test_runs_of_many_trials_are_recorded_in_one_transaction(sweep, owned):
    study = optuna.load_study(study_name="study", storage=OwnedStorage(sweep.storage) if owned else sweep.storage)
    assert [trial.run_id for trial in trial_records.records(study)] == ["run-0", "run-1", "run-2"]
    commits = []
    event.listen(sweep.storage.engine, "commit", commits.append)

    trial_records.set_run_ids(study, {number: f"made-{number}" for number in range(2 * bulk_storage.MOST_NAMED)})

    assert len(commits) == 1
    for each in (study, sweep.study):
        assert [trial.run_id for trial in trial_records.records(each)] == ["made-0", "made-1", "made-2"]
        assert each.user_attrs["spec"]
