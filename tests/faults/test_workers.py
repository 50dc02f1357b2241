"""Trials whose worker is killed, fails, or runs out of memory."""

import json
import os
import signal

import pytest
import torch

from tests.commands.processes import STUDY, is_alive, kill, wait_for
from tests.faults import outcomes
from tests.faults.workplace import EPOCHS, N_TRIALS, assert_same

pytestmark = pytest.mark.fault


def test_undisturbed_study_is_whole(undisturbed):
    """Checks the study that all others are compared with."""
    found = undisturbed.trials()
    assert len(found) == N_TRIALS
    for trial in found:
        assert [step for step, _ in trial.histories["train_loss"]] == list(range(1, EPOCHS + 1))
        assert trial.times == sorted(trial.times)
    assert len({json.dumps(trial.histories) for trial in found}) == N_TRIALS
    assert undisturbed.epochs() == N_TRIALS * EPOCHS
    assert undisturbed.status()["state"] == "finished"
    assert_same(undisturbed, undisturbed, N_TRIALS)


def test_trial_of_a_killed_worker_goes_on_from_its_last_epoch_bitwise(workplace, undisturbed):
    search = workplace.search("--trials", 2)
    search.says("trial 0 (baseline) epoch 3")
    [worker] = search.workers()
    kill(worker)
    search.says("trial 0 (baseline): the worker ended with exit code -9")
    search.ended()
    assert_same(workplace, undisturbed, 2)
    # The coordinator may not have heard of the epoch of the kill; the epochs before it are not trained again.
    assert 2 * EPOCHS <= workplace.epochs() <= 2 * EPOCHS + 1
    assert outcomes.partial_files(workplace.store) == []


def test_trial_whose_workers_die_three_times_in_one_epoch_fails_and_the_sweep_goes_on(workplace, tmp_path):
    space = tmp_path / "slow.toml"
    # The baseline's epoch takes half a minute, the other network's only a moment.
    space.write_text(
        workplace.space.read_text()
        .replace("[[4, 8, 16], [6, 8, 16]]", "[[128, 512, 16], [4, 8, 16]]")
        .replace("filters = [4, 8, 16]\n", "filters = [128, 512, 16]\n")
    )
    few = ("--set", "activation=relu", "--set", "lr=0.001", "--epochs", 1, "--sampler", "grid", "--trials", 1)
    deaths = "trial 0 (baseline): the worker ended with exit code -9"

    def kill_a_worker(search, after):
        [worker] = wait_for("a worker", lambda: [w for w in search.workers() if w != after])
        kill(worker)
        return worker

    search = workplace.search(*few, space=space)
    search.says("trial 0 (baseline) started")
    first = kill_a_worker(search, None)
    search.says(deaths)
    kill_a_worker(search, first)
    search.says(deaths, times=2)
    search.kill()

    # If the coordinator's death counted, it would be the third.
    search = workplace.search(*few, space=space)
    search.says("trial 0 (baseline) started")
    assert workplace.status()["n_trials"]["running"] == 1
    worker = None
    for death in range(1, 4):
        worker = kill_a_worker(search, worker)
        search.says(deaths if death < 3 else "trial 0 (baseline) failed", times=min(death, 2) if death < 3 else 1)
    search.ended()
    failed, *others = workplace.trials()
    assert failed.state.name == "FAIL"
    assert failed.reason.startswith("the worker ended with exit code -9")
    assert "3 times without finishing an epoch" in failed.reason
    [log] = workplace.store.glob(f"logs/{STUDY}-*/worker-0.log")
    assert str(log) in failed.reason
    assert [run.info.status for run in failed.runs] == ["FAILED"]
    assert [trial.state.name for trial in others] == ["COMPLETE"]


def test_worker_that_hangs_is_told_of_and_replaced_and_its_trial_goes_on_bitwise(workplace, undisturbed, thorough):
    # Still longer than a worker on a loaded machine is silent.
    least = {} if thorough else {"sweeper.engine.watchdog:LEAST_SECONDS": 15.0}
    search = workplace.search("--trials", 1, constants=least)
    search.says("trial 0 (baseline) epoch 3")
    [worker] = search.workers()
    os.kill(worker, signal.SIGSTOP)
    search.says("trial 0 (baseline): the worker hung (nothing came from it for ")
    search.ended()
    assert not is_alive(worker)
    assert_same(workplace, undisturbed, 1)


def test_diverged_and_impossible_trials_are_pruned_with_their_reasons_and_never_ranked(workplace, tmp_path):
    space = tmp_path / "hard.toml"
    # With two poolings, the last convolution's input is smaller than the larger kernel. lr 1e30 overflows the loss.
    space.write_text(
        workplace.space.read_text()
        .replace("kernel_size = 5", "kernel_size = { choices = [3, 5] }\npool_after = { choices = [[1, 2], [1]] }")
        .replace("padding = [2, 0, 0]", "padding = 0")
        .replace("lr = { choices = [0.001, 0.004] }", 'lr = { choices = [0.001, 1e30] }\noptimizer = "sgd"')
        .replace("lr = 0.001\n", "lr = 0.001\nkernel_size = 3\npool_after = [1, 2]\n")
    )
    few = ("--set", "activation=relu", "--set", "filters=[4,8,16]", "--epochs", 2, "--sampler", "grid")
    workplace.search(*few, "--trials", 8, space=space).ended()
    for trial in workplace.trials():
        impossible = (trial.params["kernel_size"], trial.params["pool_after"]) == (5, "[1,2]")
        diverged = trial.params["lr"] == 1e30 and not impossible
        assert trial.infeasible == (impossible or diverged)
        assert trial.state.name == ("PRUNED" if trial.infeasible else "COMPLETE")
        assert trial.reason.startswith("impossible_shape" if impossible else "diverged" if diverged else "")
        [run] = trial.runs
        assert (run.info.status == "FINISHED") == (not trial.infeasible)
        assert run.data.tags.get("sweeper.reason", "") == trial.reason
    ranked = [t for t in workplace.run("trials", STUDY, "--json").json["trials"] if t["feasible"]]
    assert {t["params"]["lr"] for t in ranked} == {0.001}
    assert len(ranked) == 3
    assert workplace.status()["best_trial"]["number"] in [t["number"] for t in ranked]


@pytest.mark.parametrize(
    ("limits", "filters"),
    [
        (("--worker-memory", "2GB"), "[2000, 8, 16]"),
        pytest.param(
            ("--device", "cuda"),
            "[40000, 8, 16]",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
        ),
    ],
)
def test_network_without_enough_memory_is_pruned_with_a_constraint_and_the_next_trial_runs(
    workplace, tmp_path, limits, filters
):
    space = tmp_path / "large.toml"
    # The first feature maps of one batch alone exceed the limit.
    space.write_text(
        workplace.space.read_text()
        .replace("[[4, 8, 16], [6, 8, 16]]", f"[[4, 8, 16], {filters}, [6, 8, 16]]")
        .replace("batch_size = 32", "batch_size = 3000")
    )
    few = ("--set", "activation=relu", "--set", "lr=0.001", "--epochs", 1, "--sampler", "grid", "--trials", 3)
    search = workplace.search(*few, *limits, space=space).ended()
    trials = {trial.params["filters"]: trial for trial in workplace.trials()}
    large = trials.pop(filters.replace(" ", ""))
    assert large.state.name == "PRUNED"
    assert large.infeasible
    assert large.reason.startswith("out_of_memory")
    assert [run.info.status for run in large.runs] == ["KILLED"]
    assert [trial.state.name for trial in trials.values()] == ["COMPLETE"] * 2
    # Running out of memory ends the trial; it does not count as a worker's death.
    assert "the worker ended" not in search.stderr
