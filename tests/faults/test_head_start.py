"""A search that is killed while a worker without a trial trains for a promotion."""

import os
import re
import signal

import mlflow
import pytest

from tests.commands.processes import is_alive, kill, wait_for
from tests.faults import outcomes
from tests.promotion.test_head_start import begun, curves, result, weights

pytestmark = pytest.mark.fault

# An epoch takes long enough for a test to stop its worker within it, and there are a few.
EPOCHS = 3
SHORT = ("--trials", 2, "--epochs", EPOCHS, "--subset", 2000)
# A worker may stand still, and the disk be as full, as it likes.
PATIENT = {
    "sweeper.engine.watchdog:LEAST_SECONDS": 1e9,
    "sweeper.engine.watchdog:START_SECONDS": 1e9,
    "sweeper.promotion.head_start:LEAST_FREE": 0,
}


def worker_of(workplace, study, training):
    """The process of the worker that has begun the training, by the workers' logs."""
    line = rf"^{training}, seed \d+: begins, .* pid (\d+)$"
    return int(wait_for(training, lambda: re.search(line, "\n".join(workplace.logs(study)), re.M))[1])


def test_promotion_is_bitwise_the_same_after_a_search_that_was_killed_in_the_middle_of_a_head_start(workplace):
    search = workplace.search(*SHORT, study="filled", jobs=2, constants=PATIENT)
    last = worker_of(workplace, "filled", "trial 1")
    os.kill(last, signal.SIGSTOP)  # so that the other worker has nothing left but the head start
    idle = worker_of(workplace, "filled", "trial 0, fresh seed 1")

    def is_in_the_middle():
        """Whether some of a training's epochs are done. If so, its worker stands still."""
        os.kill(idle, signal.SIGSTOP)
        if any(0 < n_epochs < EPOCHS for n_epochs in begun(workplace, "filled").values()):
            return True
        os.kill(idle, signal.SIGCONT)
        return False

    wait_for("the middle of a training", is_in_the_middle)
    search.kill()
    for worker in (last, idle):
        kill(worker)
    wait_for("the workers' end", lambda: not is_alive(last) and not is_alive(idle))
    left = begun(workplace, "filled")
    assert any(0 < n_epochs < EPOCHS for n_epochs in left.values())

    workplace.search(*SHORT, study="filled", jobs=2, constants=PATIENT).ended()
    now = begun(workplace, "filled")
    assert all(now[training] >= n_epochs for training, n_epochs in left.items())
    workplace.search(*SHORT, study="plain").ended()
    assert begun(workplace, "plain") == {}
    assert not (different := outcomes.differences(workplace.trials("filled"), workplace.trials("plain"))), different

    found = []
    for study in ("filled", "plain"):
        how = ("--trial", 0, "--jobs", 1, "--device", "cpu", "--data-dir", workplace.data, "--replace", "--json")
        promoted = workplace.run("promote", study, *how, stand_ins=True)
        assert ("The search has begun" in promoted.stderr) == (study == "filled")
        found.append(result(promoted.json))
    assert found[0] == found[1]
    assert len(weights(workplace, "filled")) == 7
    assert weights(workplace, "filled") == weights(workplace, "plain")
    client = mlflow.MlflowClient(f"sqlite:///{workplace.store}/mlflow.db")
    assert curves(client, "filled") == curves(client, "plain")
