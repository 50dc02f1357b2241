import json

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from sweeper.studies import bulk_storage
from sweeper.studies.bulk_storage import BulkStorage
from sweeper.studies.owned_storage import OwnedStorage, together

N_RUNNING = 8
UNORDERED = ("_user_attrs", "_system_attrs", "intermediate_values")


class Database(BulkStorage):
    """A database that notes which trials are read and which writes are made, and can lose the answer to a write."""

    def __init__(self, url):
        super().__init__(url)
        self.read, self.written, self.n_reads, self.loses_answer = [], [], 0, False

    def _get_trials(self, *arguments, **options):
        found = super()._get_trials(*arguments, **options)
        self.n_reads += 1
        self.read += [trial.number for trial in found]
        return found

    def write_changes(self, trial_id, changes):
        super().write_changes(trial_id, changes)
        self.written.append(changes)
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
    found = []
    for storage in (RDBStorage(database.url), BulkStorage(database.url)):
        found.append(known(optuna.load_study(study_name=study.study_name, storage=storage)))
        storage.engine.dispose()
    assert found[0] == found[1], "read table by table as Optuna reads it"
    return found[0]


def known(study):
    """All that a study holds, as text: NaN is not equal to itself. The order of attributes means nothing."""
    return repr([content(trial) for trial in study.trials]), json.dumps(study.user_attrs, sort_keys=True)


def content(trial):
    return vars(trial) | {name: sorted(getattr(trial, name).items()) for name in UNORDERED}


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
        assert known(study) == stored(database, study)


def test_only_trials_whose_state_has_changed_are_read_again(database, study):
    trials = study.get_trials(deepcopy=False)
    optuna.trial.Trial(study, trials[2]._trial_id).report(0.5, 1)
    study.tell(5, 0.5)
    again = study.get_trials(deepcopy=False)
    study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    assert database.read == [5], "of the first, all is known but when it ends"
    assert [trial.number for trial, before in zip(again, trials, strict=True) if trial is not before] == [2, 5]
    assert study.ask().number == N_RUNNING
    assert study.get_trials(deepcopy=False)[-1].number == N_RUNNING
    assert database.read == [5]


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


def test_changes_that_belong_together_are_seen_at_once_and_written_at_the_end(database, study):
    trial = optuna.trial.Trial(study, study.get_trials()[3]._trial_id)
    database.written.clear()
    before = stored(database, study)
    with together(study):
        trial.report(0.25, 1)
        trial.suggest_categorical("optimizer", ("adam", "sgd"))
        trial.set_user_attr("trial", {"values": (1, 2)})
        trial.set_constraint("out_of_memory", 1.0)
        assert stored(database, study) == before
        seen = known(study)
        assert study.get_trials()[3].user_attrs == {"trial": {"values": [1, 2]}}
    assert seen == known(study) == stored(database, study)
    [changes] = database.written
    assert list(changes.params) == ["optimizer"]


def test_what_an_ended_trial_has_is_stored_before_its_end(database, study):
    class Killed(BaseException):
        pass

    def die(*arguments, **options):
        raise Killed

    trial = optuna.trial.Trial(study, study.get_trials()[3]._trial_id)
    database.set_trial_state_values = die

    def end():
        with together(study):
            trial.set_user_attr("result", {"value": 0.5})
            study.tell(trial, 0.5)

    with pytest.raises(Killed):
        end()
    assert known(study) == stored(database, study)
    assert study.get_trials()[3].user_attrs == {"result": {"value": 0.5}}
    assert study.get_trials()[3].state == TrialState.RUNNING


def test_after_an_error_nothing_of_what_belongs_together_is_written_or_seen(database, study):
    trial = optuna.trial.Trial(study, study.get_trials()[3]._trial_id)

    def fail():
        with together(study):
            trial.set_user_attr("trial", 1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert study.get_trials()[3].user_attrs == {}
    study._storage.set_trial_user_attr(study.get_trials()[4]._trial_id, "trial", 2)
    assert known(study) == stored(database, study)


def test_deleted_trial_takes_no_changes(database, study):
    trial = optuna.trial.Trial(study, study.get_trials()[3]._trial_id)
    optuna.delete_study(study_name=study.study_name, storage=RDBStorage(database.url))
    with pytest.raises(KeyError):
        trial.set_user_attr("trial", 1)


def test_parameter_keeps_its_distribution(study):
    trial = study.ask()
    with pytest.raises(ValueError, match="different distribution kind"):
        trial.suggest_categorical("lr", (0.1, 0.2))


def test_many_stale_trials_are_read_without_naming_each(database, study, monkeypatch):
    monkeypatch.setattr(bulk_storage, "MOST_NAMED", 2)
    trials = study.get_trials(deepcopy=False)
    study._storage._distrust(*(trials[number]._trial_id for number in (1, 4, 6)))
    study.get_trials(deepcopy=False)
    assert database.read == [1, 4, 6]
