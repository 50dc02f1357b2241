"""What a trial costs must not grow with the trials before it. Counted, because a time depends on the machine."""

from collections import Counter

import pytest
from sqlalchemy import event

from sweeper.config import Configuration
from sweeper.events import TrialEnded
from sweeper.studies import bulk_storage, trial_records
from sweeper.studies.owned_storage import OwnedStorage
from sweeper.studies.storage import open_storage
from sweeper.sweep import run
from tests.sweep.sweeps import Sweep

# Between these numbers of trials the cost is counted, each time for 10 trials.
EARLY, LATE, SPAN = 20, 90, 10


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """A search's counts of statements, commits, and readings of a trial, by the number of trials that have ended."""
    sweep = Sweep(tmp_path, sampler="random")
    backend = open_storage(sweep.store)
    sweep.storage, counts, seen = OwnedStorage(backend), Counter(), {}
    event.listen(backend.engine, "connect", lambda file, _: file.execute("PRAGMA synchronous = OFF"))
    backend.engine.dispose()
    event.listen(backend.engine, "before_cursor_execute", lambda *_: counts.update(["statements"]))
    event.listen(backend.engine, "commit", lambda *_: counts.update(["commits"]))

    def count(owner, name, what):
        original = getattr(owner, name)

        def counting(*arguments, **options):
            counts[what] += 1
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)

    count(trial_records, "_record", "records")
    count(bulk_storage, "_frozen", "trials read")
    count(Configuration, "__eq__", "comparisons")

    def ended(happened):
        if isinstance(happened, TrialEnded):
            seen[happened.number] = counts.copy()

    sweep.run(trials=LATE + SPAN + 1, listener=ended)
    return seen


def spent(seen, number):
    return {what: seen[number + SPAN][what] - seen[number][what] for what in seen[number]}


def test_a_late_trial_costs_as_many_statements_and_readings_as_an_early_one(counted):
    early, late = spent(counted, EARLY), spent(counted, LATE)
    assert late == early
    assert early["trials read"] == SPAN, "at its end, for the time of it"


def test_a_trial_of_three_epochs_is_written_in_eight_transactions(counted):
    # Its number, its parameters, three epochs, its result, its end, its run; and one more reads it at its end.
    assert spent(counted, LATE)["commits"] == SPAN * 9


def test_runs_that_mlflow_made_after_the_search_are_recorded_in_one_transaction(tmp_path, monkeypatch):
    sweep = Sweep(tmp_path)
    backend = open_storage(sweep.store)
    sweep.storage, commits = OwnedStorage(backend), []
    with monkeypatch.context() as patch:
        patch.setattr(sweep.tracker, "child_run_id", lambda key: None)
        assert [trial.run_id for trial in sweep.run(trials=9)] == [None] * 9
    study = sweep.study
    trial_records.records(study)  # a search has read them by then
    event.listen(backend.engine, "commit", commits.append)
    for _ in range(2):  # of what is recorded already, nothing is written
        trials = run._with_run_ids(study, sweep.tracker)
        assert [trial.run_id for trial in trials] == [f"run-{number}" for number in range(9)]
    assert len(commits) == 1
