import optuna
import pytest
from optuna.trial import TrialState

from sweeper.engine.base import Failure
from sweeper.events import State, TrialEnded
from sweeper.studies import trial_records
from sweeper.studies.attributes import RESULT, RETRY_OF, TRIAL, spec_of
from sweeper.studies.owned_storage import OwnedStorage
from sweeper.studies.storage import open_storage
from sweeper.studies.trial_index import TrialIndex
from tests.sweep.sweeps import TWO_POINTS, Sweep, steady


def ending(job, epoch):
    """Trials that complete, are out of memory, diverge, and fail."""
    kind = {1: "out_of_memory", 2: "error", 4: "diverged"}.get(job.number % 6)
    return Failure(kind, "oops", "trace") if kind else steady(job, epoch)


def expected(study):
    """What the index says, from all records."""
    records, metric = trial_records.records(study), spec_of(study).metric
    counted = [r for r in records if r.state in (State.COMPLETE, State.PRUNED) and not r.retried]
    return (
        records,
        trial_records.n_counted(records),
        [record.number for record in trial_records.ranking(records, metric)],
        [next((c for c in counted if c.configuration == r.configuration), None) for r in records if r.configuration],
    )


def found(index, n_trials):
    records = [index.record(number) for number in range(n_trials)]
    results = [index.result_of(record.configuration) for record in records if record.configuration]
    return records, index.n_counted(), index.best(n_trials), results


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
@pytest.mark.parametrize("overrides", [(), TWO_POINTS], ids=["many points", "two points"])
def test_index_says_at_each_end_what_all_records_say(tmp_path, metric, overrides):
    sweep = Sweep(tmp_path, overrides=overrides, metric=metric)
    indices = []

    def look(event):
        if isinstance(event, TrialEnded):
            indices.append(indices[0] if indices else TrialIndex(sweep.study))
            assert found(indices[0], len(sweep.study.trials)) == expected(sweep.study)

    records = sweep.run(ending, n_workers=3, trials=20, listener=look)
    assert found(indices[0], len(records)) == expected(sweep.study)
    assert len(records) >= 20


@pytest.fixture
def study(tmp_path):
    """A study with its baseline, of which an index is kept from the beginning."""
    sweep = Sweep(tmp_path)
    sweep.storage = OwnedStorage(open_storage(sweep.store))
    sweep.run(trials=1)
    return sweep.study


def add(study, state, **attributes):
    configuration = study.get_trials()[0].user_attrs[TRIAL]["configuration"] | {"lr": 0.01}
    value = 0.5 if state == TrialState.COMPLETE else None
    study.add_trial(
        optuna.create_trial(
            state=state, value=value, user_attrs={TRIAL: {"configuration": configuration}, **attributes}
        )
    )


def test_trial_that_is_tried_again_counts_again_only_if_the_other_fails(study):
    index = TrialIndex(study)
    add(study, TrialState.PRUNED, **{RESULT: {"state": "pruned"}})
    assert index.n_counted() == 2
    first = len(study.trials) - 1
    add(study, TrialState.RUNNING, **{RETRY_OF: first})
    assert (index.n_counted(), index.record(first).retried) == (1, True)
    assert found(index, len(study.trials)) == expected(study)
    study.tell(first + 1, state=TrialState.FAIL)
    assert (index.n_counted(), index.record(first).retried) == (2, False)
    assert found(index, len(study.trials)) == expected(study)


def test_repetition_is_of_the_first_result_that_counts(study):
    index = TrialIndex(study)
    add(study, TrialState.PRUNED, **{RESULT: {"state": "pruned"}})
    first = len(study.trials) - 1
    add(study, TrialState.COMPLETE, **{RETRY_OF: first, RESULT: {"state": "complete", "value": 0.5}})
    add(study, TrialState.COMPLETE, **{"duplicate_of": first + 1, RESULT: {"state": "complete", "value": 0.5}})
    assert index.result_of(index.record(first).configuration).number == first + 1
    assert found(index, len(study.trials)) == expected(study)


def test_run_that_an_ended_trial_gets_later_is_seen(study):
    index = TrialIndex(study)
    assert index.record(0).run_id != "another"
    trial_records.set_run_id(study, 0, "another")
    assert index.record(0).run_id == "another"


def test_latency_is_known_of_each_network_that_was_measured(study):
    index = TrialIndex(study)
    model = index.record(0).configuration.model
    assert index.milliseconds(model) is None
    add(study, TrialState.RUNNING, milliseconds=1.5)
    assert index.milliseconds(model) == 1.5
