"""What a trial costs must not grow with the trials before it. Counted, because a time depends on the machine."""

from collections import Counter

import pytest
from sqlalchemy import event

from sweeper.config import Configuration
from sweeper.events import TrialEnded
from sweeper.studies import bulk_storage, trial_records
from sweeper.studies.owned_storage import OwnedStorage
from sweeper.studies.storage import open_storage
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
