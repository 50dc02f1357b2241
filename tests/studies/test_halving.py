"""Halving must decide as Optuna's own pruner does, and must not read all trials for each decision."""

import math
import random
from collections import Counter

import optuna
import pytest
from optuna.pruners import SuccessiveHalvingPruner
from optuna.trial import Trial, TrialState
from sqlalchemy import event

from sweeper.studies.bulk_storage import BulkStorage
from sweeper.studies.owned_storage import OwnedStorage, together
from sweeper.studies.pruners import make_pruner

N_REPORTS, N_STEPS, N_RUNNING = 400, 15, 5
# Few different scores, so that many are equal, and some that no training should have.
SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, math.inf, -math.inf)


class Twins:
    """A study as a search keeps it, and beside it one with the same history and Optuna's own pruner."""

    def __init__(self, folder, direction):
        self.backend = BulkStorage(f"sqlite:///{folder}/optuna.db")
        event.listen(self.backend.engine, "connect", lambda file, _: file.execute("PRAGMA synchronous = OFF"))
        self.backend.engine.dispose()
        names = {"study_name": "study", "direction": direction, "sampler": optuna.samplers.RandomSampler(seed=0)}
        optuna.create_study(storage=self.backend, **names)
        self.reference = optuna.create_study(
            pruner=SuccessiveHalvingPruner(min_resource=1, reduction_factor=3), **names
        )
        self.resume()

    def resume(self):
        """As a new process begins."""
        self.study = optuna.load_study(study_name="study", storage=OwnedStorage(self.backend))
        self.study.pruner = make_pruner("halving", N_STEPS)

    def begin(self):
        self.study.ask()
        return self.reference.ask()

    def trial(self, number):
        return Trial(self.study, self.study.get_trials(deepcopy=False)[number]._trial_id)

    def answers(self, trial, step, score, asked):
        """What both say to a score, or None from both if it is only reported."""
        with together(self.study):
            own = self.trial(trial.number)
            own.report(score, step)
            found = own.should_prune() if asked else None
        trial.report(score, step)
        return found, trial.should_prune() if asked else None

    def end(self, trial, state):
        values = [0.5] if state == TrialState.COMPLETE else None
        self.study.tell(trial.number, values, state)
        self.reference.tell(trial.number, values, state)

    def stored(self):
        """What each trial has of the pruner in the database, and in the reference."""
        found = self.backend.get_all_trials(self.study._study_id)
        return [t.system_attrs for t in found], [t.system_attrs for t in self.reference.trials]


@pytest.fixture
def twins(tmp_path):
    made = []

    def make(direction):
        made.append(Twins(tmp_path, direction))
        return made[-1]

    yield make
    for each in made:
        each.backend.engine.dispose()


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("seed", range(3))
def test_each_decision_of_a_random_history_is_that_of_optuna(twins, direction, seed):
    both, draw, running, seen = twins(direction), random.Random(seed), {}, Counter()
    for _ in range(N_REPORTS):
        while len(running) < N_RUNNING:
            begun = both.begin()
            running[begun.number] = begun, 0, draw.random() < 0.1, draw.random() < 0.1
        number = draw.choice([*running])
        trial, step, outside, baseline = running[number]
        score = math.nan if draw.random() < 0.02 else draw.choice(SCORES)
        step += 1
        last = step == N_STEPS
        pruned, as_optuna = both.answers(trial, step, score, asked=not (outside or last))
        assert pruned == as_optuna
        seen[pruned] += 1
        running[number] = trial, step, outside, baseline
        if pruned and not baseline:
            both.end(trial, TrialState.PRUNED)
        elif last:
            both.end(trial, TrialState.COMPLETE)
        elif draw.random() < 0.03:
            both.end(trial, TrialState.FAIL)
        else:
            if draw.random() < 0.03:  # goes on in another process, with the trials that are running
                both.resume()
            continue
        del running[number]
    assert min(seen[True], seen[False], seen[None]) > 10
    ours, reference = both.stored()
    assert ours == reference
    rungs = Counter(name for attributes in ours for name in attributes)
    assert {"completed_rung_0", "completed_rung_1", "completed_rung_2"} <= set(rungs)


def test_a_step_that_skips_rungs_enters_all_of_them_as_in_optuna(twins):
    both = twins("maximize")
    for step, score in ((9, 0.5), (2, 0.4), (9, 0.6), (4, 0.7), (14, 0.65)):
        assert len(set(both.answers(both.begin(), step, score, asked=True))) == 1
    ours, reference = both.stored()
    assert ours == reference


def test_an_answer_in_another_study_changes_none_in_this_one(twins):
    both = twins("maximize")
    for score in (0.3, 0.5, 0.4):
        both.answers(both.begin(), 1, score, asked=True)
    other = optuna.create_study(study_name="study", direction="maximize", pruner=both.study.pruner)
    for score in (0.9, 0.95):  # with the same pruner, as in the repetition of a killed process's question
        trial = other.ask()
        trial.report(score, 1)
        assert not trial.should_prune()
    found = both.answers(both.begin(), 1, 0.6, asked=True)
    assert found == (False, False)


def test_the_trials_are_read_once_for_all_decisions(twins, monkeypatch):
    both = twins("maximize")
    trials = [both.begin() for _ in range(20)]
    own, readings = [both.trial(trial.number) for trial in trials], []
    original = optuna.Study.get_trials
    monkeypatch.setattr(optuna.Study, "get_trials", lambda self, **how: readings.append(self) or original(self, **how))
    for number, trial in enumerate(own):
        trial.report(number / 20, 1)
        trial.should_prune()
    assert readings == [both.study]
