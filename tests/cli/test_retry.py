import json
import shlex

import pytest

from sweeper.engine.base import Failure
from sweeper.store.options import StoreOptions
from sweeper.studies import lifecycle
from sweeper.studies.queries import find_study
from tests.engine.inline import InlinePool
from tests.promotion.conftest import workplace  # noqa: F401


class FailingPool(InlinePool):
    """Workers on which trial 2 fails."""

    def wait(self, seconds):
        came = super().wait(seconds)
        if came and self.jobs[-1].number == 2:
            self.renew(0)
            return [(0, Failure("error", "oops", "trace"))]
        return came


@pytest.fixture(scope="module")
def failed(workplace):  # noqa: F811
    """A study of three trials in which a fourth one has failed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeper.engine.local.pool.WorkerPool", FailingPool)
        found = workplace.search("failed")
    assert found["n_trials"] == {"complete": 3, "pruned": 0, "infeasible": 0, "fail": 1, "running": 0}
    return "failed"


def test_retry_without_failed_says_what_to_give(workplace):  # noqa: F811
    assert "--failed" in workplace.run("retry", "--store", workplace.store, code=2).stderr


def test_failed_trial_is_put_in_line_and_the_printed_command_runs_it(workplace, failed):  # noqa: F811
    places = ["--store", workplace.store]
    study = find_study(StoreOptions(workplace.store).resolve({}), failed)
    # The command of the test run itself stands there otherwise.
    options = "--study failed --trials 3 --pruner none --keep 0 --jobs 1 --seed 2"
    typed = f"sweeper search tiny --space {workplace.space} {options}"
    lifecycle.mark_running(study, 3, f"{typed} {shlex.join(map(str, workplace.places))}")
    lifecycle.mark_ended(study, "")

    shown = json.loads(workplace.run("retry", failed, "--failed", "--json", *places).stdout)
    assert (shown["schema_version"], shown["study_name"], shown["numbers"], shown["trials"]) == (1, failed, [2], 4)
    assert "no trials to requeue" in workplace.run("retry", failed, "--failed", *places).stdout
    status = workplace.run("status", failed, *places).stdout
    assert f"{failed}: stopped by sweeper retry\n" in status
    assert f"To resume: {shown['command']}\n" in status

    workplace.run(*shlex.split(shown["command"])[1:], "-q")
    trials = json.loads(workplace.run("trials", failed, *places, "--json").stdout)["trials"]
    assert [t["state"] for t in trials] == ["complete", "complete", "failed", "complete", "complete"]
    assert trials[4]["params"] == trials[2]["params"]
    assert f"{failed}: finished\n" in workplace.run("status", failed, *places).stdout
