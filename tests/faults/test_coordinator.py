"""Studies whose coordinator process is killed."""

import os
import random
import signal
import time

import pytest

from tests.commands.processes import STUDY, is_alive, kill, wait_for
from tests.faults import outcomes
from tests.faults.workplace import EPOCHS, N_TRIALS, assert_same

pytestmark = pytest.mark.fault


def test_orphaned_workers_end_in_the_middle_of_an_epoch(workplace):
    # An epoch of these networks takes at least half a minute.
    search = workplace.search("--trials", 2, "--set", "filters=[128,512,16]", jobs=2)
    search.says("trial 1 started")
    workers = search.workers()
    assert len(workers) == 2
    wait_for("both to begin", lambda: all("begins" in log for log in workplace.logs()) and len(workplace.logs()) == 2)
    search.kill()
    killed = time.monotonic()
    wait_for("the orphans' end", lambda: not any(map(is_alive, workers)))
    print(f"the orphans were gone after {time.monotonic() - killed:.1f} s")
    # No epoch was finished, so the workers ended in the middle of one.
    assert workplace.epochs() == 0
    wait_for("the end of all else", lambda: not workplace.driver.survivors())


def test_search_that_was_killed_goes_on_with_its_trials_and_runs(workplace, undisturbed):
    search = workplace.search("--trials", 4, jobs=2)
    search.says("trial 1 epoch 2")
    status = workplace.status()
    assert status["state"] == "running"
    assert str(search.process) in status["owner"]
    workers = search.workers()
    search.kill()
    wait_for("the orphans' end", lambda: not any(map(is_alive, workers)))
    status = workplace.status()
    assert status["state"] == "dead"
    left = {trial["number"]: trial["epochs"] for trial in status["running_trials"]}
    assert left
    assert "To resume: " in workplace.run("status").stdout

    again = workplace.search("--trials", 4, jobs=2).ended()
    for number, epochs in left.items():
        told = f"resumes after epoch {epochs}" if epochs else "started"
        assert f"trial {number}{' (baseline)' * (not number)} {told}" in again.stderr
    assert workplace.status()["state"] == "finished"
    assert_same(workplace, undisturbed, 4)
    [parent] = outcomes.parents(workplace.store, STUDY)
    assert parent.info.status == "FINISHED"
    # Each of the two workers may have finished an epoch that the coordinator never heard of.
    assert 4 * EPOCHS <= workplace.epochs() <= 4 * EPOCHS + 2


def test_what_the_study_knows_and_mlflow_does_not_is_reconciled_at_the_next_start(workplace, undisturbed, thorough):
    # Each command starts from the half-recorded state that the one before has left.
    points = [
        ("after", "sweeper.sweep.trial_end:tell", 1),
        ("before", "mlflow:MlflowClient.set_terminated", 1),
        ("after", "mlflow:MlflowClient.create_run", 1),
        ("before", "mlflow:MlflowClient.log_batch", 6),
    ]
    for point in points + points[:1] * thorough:
        assert workplace.search("--trials", 3, die=point).wait() == -9, point
    workplace.search("--trials", 3).ended()
    assert_same(workplace, undisturbed, 3)
    [parent] = outcomes.parents(workplace.store, STUDY)
    assert parent.info.status == "FINISHED"


def test_kills_at_random_moments_change_nothing_of_the_result(workplace, undisturbed, thorough):
    moments = random.Random(4)
    starts = [trial.times for trial in undisturbed.trials()]
    epoch = min((times[-1] - times[0]) / (len(times) - 1) for times in starts) / 1000

    # Kills a worker and the coordinator in turn: a third death of a trial's worker in one epoch would fail the trial.
    for pair in range(7 if thorough else 3):
        search = workplace.search("--trials", N_TRIALS, jobs=2)
        # Half of the searches die while they start, the others while they train.
        if pair % 2:
            workplace.trains(search)
        worker = moments.choice(wait_for("a worker", search.workers))
        time.sleep(moments.uniform(0, 1.5 * epoch))
        kill(worker)
        time.sleep(moments.uniform(0, 1.5 * epoch))
        search.kill()
    workplace.search("--trials", N_TRIALS, jobs=2).ended()
    assert_same(workplace, undisturbed, N_TRIALS)
    trained = workplace.epochs()
    print(f"{trained} epochs trained, {N_TRIALS * EPOCHS} undisturbed")
    assert trained <= 1.5 * N_TRIALS * EPOCHS
    [parent] = outcomes.parents(workplace.store, STUDY)
    assert parent.info.status == "FINISHED"


def test_study_goes_on_from_another_store_with_the_same_storage_once_its_sweep_was_killed(workplace, tmp_path):
    other = ("--storage", f"sqlite:///{workplace.store}/optuna.db", "--store", tmp_path / "other")
    first = workplace.search("--trials", 2)
    first.says("trial 0 (baseline) epoch 2")
    [worker] = first.workers()
    os.kill(worker, signal.SIGSTOP)  # or the study might be done before the others have begun
    refused = workplace.search("--trials", 2, *other).ended(1)
    assert f"Error: {STUDY} is being run by process {first.process} on " in refused.stderr
    assert f"--store {workplace.store}` on " in refused.stderr
    first.kill()
    kill(worker)
    second = workplace.search("--trials", 2, *other).ended()
    assert "for a sign of life" not in second.stderr
    assert "complete, accuracy" in second.stderr
    assert workplace.status()["n_trials"]["complete"] == 2
