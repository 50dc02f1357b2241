import json

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from sweeper.studies.owned_storage import OwnedStorage

N_RUNNING = 8


class Database(RDBStorage):
    """A database that notes which trials are read, and can lose the answer to a write."""

    def __init__(self, url):
        super().__init__(url)
        self.read, self.n_reads, self.loses_answer = [], 0, False

    def _get_trials(self, *arguments, **options):
        found = super()._get_trials(*arguments, **options)
        self.n_reads += 1
        self.read += [trial.number for trial in found]
        return found

    def set_trial_user_attr(self, *arguments, **options):
        super().set_trial_user_attr(*arguments, **options)
        self._may_lose_answer()

    def set_study_user_attr(self, *arguments, **options):
        super().set_study_user_attr(*arguments, **options)
        self._may_lose_answer()

    def _may_lose_answer(self):
        if self.loses_answer:
            raise StorageInternalError("no answer")


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/optuna.db")
    yield database
    database.engine.dispose()


@pytest.fixture
def study(database):
    """A study with running trials, of which all is known."""
    storage = OwnedStorage(database)
    study = optuna.create_study(
        storage=storage, pruner=optuna.pruners.NopPruner(), sampler=optuna.samplers.RandomSampler(seed=0)
    )
    running = [study.ask() for _ in range(N_RUNNING)]
    for trial in running:
        trial.suggest_float("lr", 0.0, 1.0)
    study.get_trials(deepcopy=False)
    database.read.clear()
    return study


def stored(database, study):
    """What another process would read of the study."""
    other = optuna.load_study(study_name=study.study_name, storage=RDBStorage(database.url))
    return known(other)


def known(study):
    return study.trials, dict(sorted(study.user_attrs.items()))


def changes(study):
    """Each change that a search makes to a study, made before the next is asked for."""
    trial = optuna.trial.Trial(study, study.get_trials()[3]._trial_id)
    yield trial.suggest_categorical("optimizer", ("adam", "sgd"))
    yield trial.report(float("nan"), 1)
    yield trial.report(0.25, 2)
    yield trial.set_user_attr("trial", {"values": (1, 2), 3: None})
    yield study._storage.set_trial_system_attr(trial._trial_id, "rung", 0.1)
    yield trial.set_constraint("out_of_memory", 1.0)
    yield study.tell(trial, 0.5)
    yield study.tell(2, state=TrialState.PRUNED)
    yield study.tell(5, state=TrialState.FAIL)
    yield study.enqueue_trial({"lr": 0.5}, user_attrs={"variant": "baseline"})
    enqueued = study.ask()
    yield enqueued.suggest_float("lr", 0.0, 1.0)
    yield study.add_trial(optuna.create_trial(value=0.7, user_attrs={"told": True}))
    yield study.set_user_attr("spec", {"epochs": (1, 2)})
    yield study.set_user_attr("ended", None)


def test_every_change_is_seen_as_it_is_stored(database, study):
    for _ in changes(study):
        assert repr(known(study)) == repr(stored(database, study))  # as text: NaN is not equal to itself


def test_only_changed_trials_are_read_again(database, study):
    trials = study.get_trials(deepcopy=False)
    optuna.trial.Trial(study, trials[2]._trial_id).report(0.5, 1)
    study.tell(5, 0.5)
    again = study.get_trials(deepcopy=False)
    study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    assert database.read == [2, 5]
    assert [trial.number for trial, before in zip(again, trials, strict=True) if trial is not before] == [2, 5]
    assert study.ask().number == N_RUNNING
    study.get_trials(deepcopy=False)
    assert database.read == [2, 5, N_RUNNING]


def test_nothing_is_read_while_nothing_changes(database, study):
    n_reads = database.n_reads
    for _ in range(3):
        study.get_trials(deepcopy=False)
    assert database.n_reads == n_reads


def test_what_was_returned_before_does_not_change(study):
    before, attributes = study.get_trials(deepcopy=False), study._storage.get_study_user_attrs(study._study_id)
    seen = repr(before), json.dumps(attributes)
    list(changes(study))
    study.get_trials(deepcopy=False)
    assert (repr(before), json.dumps(attributes)) == seen


def test_write_whose_answer_is_lost_is_seen(database, study):
    trial = optuna.trial.Trial(study, study.get_trials()[1]._trial_id)
    assert study.user_attrs == {}
    database.loses_answer = True
    with pytest.raises(StorageInternalError):
        trial.set_user_attr("result", 1)
    with pytest.raises(StorageInternalError):
        study.set_user_attr("ended", "sweeper stop")
    assert known(study) == stored(database, study)
    assert study.user_attrs == {"ended": "sweeper stop"}


def test_studies_of_one_storage_are_kept_apart(database, study):
    other = optuna.create_study(storage=study._storage)
    trial = other.ask()
    study.tell(0, 0.5)
    trial.report(0.25, 1)
    other.set_user_attr("ended", "")
    for each in (study, other):
        assert known(each) == stored(database, each)
