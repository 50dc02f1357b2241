"""Trials that change while they are read. What is read of trials that stand still, test_owned_storage.py compares."""

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import event

from sweeper.studies.bulk_storage import BulkStorage


def test_trial_that_ends_while_it_is_read_has_its_parameters(tmp_path):
    storage, other = (kind(f"sqlite:///{tmp_path}/optuna.db") for kind in (BulkStorage, RDBStorage))
    study = optuna.create_study(storage=other, sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    trial.suggest_float("lr", 0.0, 1.0)
    ended = []

    def end(connection, cursor, statement, *_):
        if "FROM trial_params" in statement and not ended:
            ended.append(other.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [0.5]))

    event.listen(storage.engine, "before_cursor_execute", end)
    [found] = storage.get_all_trials(study._study_id, states=(TrialState.RUNNING,))
    assert ended == [True]
    assert (found.state, found.params) == (TrialState.RUNNING, trial.params)
    assert storage.get_all_trials(study._study_id, states=(TrialState.RUNNING,)) == []
    for each in (storage, other):
        each.engine.dispose()
