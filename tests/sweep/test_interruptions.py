"""With one worker, an interrupted study proposes and prunes what an undisturbed one does, trial by trial."""

import random
from functools import partial

import optuna
import pytest

from sweeper.events import EpochEnded
from sweeper.runs.stop import StopRequest
from sweeper.studies.owned_storage import OwnedStorage
from sweeper.studies.storage import open_storage
from tests.sweep.sweeps import TWO_POINTS, Sweep

N_TRIALS = 12
STUDIES = {
    "tpe and halving": {"sampler": "tpe", "pruner": "halving", "epochs": 4},
    "random and median": {"sampler": "random", "pruner": "median", "epochs": 4},
    "tpe and hyperband": {"sampler": "tpe", "pruner": "hyperband", "epochs": 4},
    "folds": {"pruner": "halving", "epochs": 1, "folds": 4, "fold_scalings": [[[0.0], [1.0]]] * 4},
    "duplicates": {"sampler": "random", "epochs": 1, "overrides": TWO_POINTS},
}
# The methods with which a sweep writes to Optuna's storage.
WRITES = (
    "create_new_trial", "set_trial_param", "set_trial_intermediate_value", "set_trial_state_values",
    "set_trial_system_attr", "set_trial_user_attr",
)  # fmt: skip


class Killed(BaseException):
    pass


def accuracy(job, epoch):
    """Differs from configuration to configuration, and rises with the epochs."""
    return 0.3 + 0.5 * random.Random(f"{job.configuration.key()} {job.fold}").random() + 0.02 * epoch


def decisions(study):
    """All that the sampler and the pruner have decided, and what they decide by."""
    return [
        (t.number, t.state, t.params, t.intermediate_values, t.values, t.user_attrs.get("duplicate_of"),
         {name: value for name, value in t.system_attrs.items() if name.startswith("completed_rung")})
        for t in study.get_trials(deepcopy=False)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A function that gives the decisions of a study in one go."""
    found = {}

    def decide(name):
        if name not in found:
            sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), **STUDIES[name])
            sweep.run(accuracy, trials=N_TRIALS)
            found[name] = decisions(sweep.study)
            if name in ("tpe and halving", "random and median", "folds"):
                assert any(state == optuna.trial.TrialState.PRUNED for _, state, *_ in found[name])
        return found[name]

    return decide


@pytest.mark.parametrize("name", STUDIES)
def test_study_that_is_interrupted_after_every_epoch_decides_alike(tmp_path, undisturbed, name):
    sweep, n_commands, stopped = Sweep(tmp_path, **STUDIES[name]), 0, True
    while stopped:
        stop = StopRequest()

        def interrupt(event, stop=stop):
            if isinstance(event, EpochEnded):
                stop.reason = "SIGTERM"

        sweep.run(accuracy, trials=N_TRIALS, stop=stop, listener=interrupt)
        n_commands, stopped = n_commands + 1, bool(stop.reason)
    assert n_commands > 2
    assert decisions(sweep.study) == undisturbed(name)


class Kills:
    """Kills a command at one of its writes, before the write or, if `done`, after it."""

    def __init__(self, done: bool) -> None:
        self._done, self._left = done, 0

    def write(self, write, *arguments, **options):
        self._left -= 1
        if self._left < 0 and not self._done:
            raise Killed
        result = write(*arguments, **options)
        if self._left < 0:
            raise Killed
        return result

    def run(self, sweep, n_writes, begin=lambda: None):
        """Runs the study, each time from `begin` on, until no kill comes; returns how many came."""
        n_kills = 0
        while True:
            self._left = n_writes + n_kills % 7  # at another write each time
            begin()
            try:
                sweep.run(accuracy, trials=N_TRIALS)
                return n_kills
            except Killed:
                n_kills += 1
                assert n_kills < 200


@pytest.mark.parametrize("done", [False, True], ids=["before the write", "after it"])
@pytest.mark.parametrize("name", STUDIES)
def test_study_that_is_killed_at_every_kind_of_write_decides_alike(tmp_path, monkeypatch, undisturbed, name, done):
    sweep, kills = Sweep(tmp_path, **STUDIES[name]), Kills(done)

    def killing(original):
        def write(storage, *arguments, **options):
            if storage is not sweep.storage:  # the copy of a study in which a decision is repeated
                return original(storage, *arguments, **options)
            return kills.write(original, storage, *arguments, **options)

        return write

    undisturbed(name)
    for method in WRITES:
        original = getattr(optuna.storages.InMemoryStorage, method)
        monkeypatch.setattr(optuna.storages.InMemoryStorage, method, killing(original))
    assert kills.run(sweep, 17) > 2
    assert decisions(sweep.study) == undisturbed(name)


@pytest.mark.parametrize("done", [False, True], ids=["before the write", "after it"])
@pytest.mark.parametrize("name", ["tpe and halving", "folds", "duplicates"])
def test_study_that_is_killed_at_writes_of_what_belongs_together_decides_alike(
    tmp_path, monkeypatch, undisturbed, name, done
):
    sweep, kills = Sweep(tmp_path, **STUDIES[name]), Kills(done)
    database = open_storage(sweep.store)

    def begin():
        sweep.storage = OwnedStorage(database)  # the next process knows only what is stored

    expected = undisturbed(name)
    for method in ("_create_new_trial", "write_changes", "set_trial_state_values"):
        monkeypatch.setattr(database, method, partial(kills.write, getattr(database, method)))
    assert kills.run(sweep, 5, begin) > 2
    assert decisions(sweep.study) == expected
