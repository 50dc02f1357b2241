import math
import sqlite3
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import optuna
import pytest
from sqlalchemy.exc import OperationalError

from sweeper.engine.base import BatchesDone, Died, Failure
from sweeper.engine.dispatcher import Dispatcher
from sweeper.errors import SweeperError
from sweeper.events import EpochEnded, Note, TrialEnded, TrialInterrupted, TrialStarted
from sweeper.runs.stop import StopRequest
from sweeper.studies import processor, proposer, tell, trial_records
from sweeper.studies.spec import StudySpec
from sweeper.sweep import queue
from sweeper.sweep.recorder import Recorder
from tests.engine.fakes import FakePool, FakeTracker, metrics
from tests.spaces.test_reader import EXAMPLE, parse
from tests.sweep.sweeps import SPEC, TWO_POINTS, Sweep, steady


def test_baseline_is_trial_0_then_the_variants_then_proposals(tmp_path):
    trials = Sweep(tmp_path).run()
    assert [t.variant for t in trials[:4]] == ["baseline", "4.0", "5.0", None]
    assert trial_records.counts(trials) == {"complete": 8, "pruned": 0, "infeasible": 0, "fail": 0, "running": 0}
    assert [t.number for t in trial_records.ranking(trials, "accuracy")] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert all(t.epochs == 3 and t.run_id == f"run-{t.number}" for t in trials)


def test_study_knows_the_kind_of_processor_of_its_first_trial_and_tells_of_another(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.run(trials=2)
    assert processor.of(sweep.study) == "x"
    sweep.run(trials=3, prepare=lambda pool: setattr(pool, "processor", "y"))
    assert processor.of(sweep.study) == "x"
    [note] = [event.text for event in sweep.events if isinstance(event, Note)]
    assert note.startswith("Trained on x so far, and on y from now on")


def test_score_is_the_last_epochs_and_the_best_epochs_stands_beside_it(tmp_path):
    trials = Sweep(tmp_path).run(lambda job, epoch: [0.5, 0.9, 0.7][epoch - 1], trials=1)
    assert trials[0].value == 0.7
    assert trials[0].metrics["best_epoch"] == 2
    assert trials[0].metrics["best_validation_accuracy"] == 0.9


@pytest.mark.parametrize(("confusion", "constant"), [([[5, 0], [3, 0]], ("a",)), ([[4, 1], [3, 0]], ())])
def test_network_that_gives_every_image_one_class_is_recorded_as_constant(tmp_path, monkeypatch, confusion, constant):
    monkeypatch.setattr(FakePool, "confusion", np.array(confusion))
    trials = Sweep(tmp_path).run(trials=2)
    assert [t.constant for t in trials[:2]] == [constant, constant]


@pytest.mark.parametrize(("metric", "best"), [("accuracy", 7), ("balanced_accuracy", 7), ("macro_f1", 7), ("loss", 7)])
def test_every_metric_ranks_in_its_own_direction(tmp_path, metric, best):
    trials = Sweep(tmp_path, metric=metric).run()
    assert trial_records.best(trials, metric).number == best


def test_same_seed_proposes_the_same_configurations(tmp_path):
    first = Sweep(tmp_path).run(trials=15)
    again = Sweep(tmp_path).run(trials=15)
    other = Sweep(tmp_path, seed=4).run(trials=15)
    assert [t.configuration for t in first] == [t.configuration for t in again]
    assert [t.configuration for t in first] != [t.configuration for t in other]


def test_resumed_study_goes_on_with_new_configurations_to_the_total(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.run(trials=6)
    trials = sweep.run(trials=12)
    assert trial_records.counts(trials)["complete"] == 12
    assert len(sweep.pool.jobs) == 6
    assert len({t.configuration.key() for t in trials}) == 12


def test_study_in_parts_with_one_worker_equals_the_study_in_one_go(tmp_path):
    parts = Sweep(tmp_path)
    for total in (4, 9, 15):
        parts.run(trials=total)
    whole = Sweep(tmp_path)
    whole.run(trials=15)
    assert [(t.configuration, t.value) for t in trial_records.records(parts.study)] == [
        (t.configuration, t.value) for t in trial_records.records(whole.study)
    ]


def test_search_waits_until_a_worker_has_a_place(tmp_path):
    sweep = Sweep(tmp_path)
    reasons = ["waiting for 2 CPUs"] * 3 + [""]
    trials = sweep.run(n_workers=2, prepare=lambda pool: pool.lack_places({0, 1}, reasons))
    assert trial_records.counts(trials)["complete"] == 8
    assert [event.text for event in sweep.events if isinstance(event, Note)] == ["waiting for 2 CPUs"]


def test_search_that_is_done_waits_for_no_place(tmp_path):
    sweep = Sweep(tmp_path)

    def lose_all(event):
        if isinstance(event, TrialEnded) and event.number == 7:
            sweep.pool.placeless = {0}

    assert trial_records.counts(sweep.run(listener=lose_all))["complete"] == 8


@pytest.mark.parametrize("end", ["a signal", "its timeout"])
def test_search_that_has_no_place_can_be_stopped(tmp_path, end):
    stop = StopRequest()

    def prepare(pool):
        pool.placeless = {0}

        def pass_time():
            pool.silent = 1
            if end == "a signal":
                stop.reason = "SIGTERM"

        pool.on_wait = pass_time

    deadline = {"deadline": time.monotonic() + 0.1} if end == "its timeout" else {}
    sweep = Sweep(tmp_path)
    trials = sweep.run(stop=stop, prepare=prepare, **deadline)
    assert {trial.state for trial in trials} == {"waiting"}  # the variants
    assert stop.reason == ("SIGTERM" if end == "a signal" else "timeout")


def test_places_of_running_trials_are_told_and_recorded(tmp_path):
    sweep, seen = Sweep(tmp_path), {}

    def note(event):
        if isinstance(event, EpochEnded):
            records = trial_records.records(sweep.study)
            seen[event.number] = records[event.number].place

    def prepare(pool):
        pool.places = {0: "node-1", 1: "node-2"}

    sweep.run(n_workers=2, trials=2, listener=note, prepare=prepare)
    assert seen == {0: "node-1", 1: "node-2"}
    assert [event.place for event in sweep.events if isinstance(event, TrialStarted)] == ["node-1", "node-2"]


def test_trial_that_resumes_on_the_machine_of_the_command_has_no_place_any_more(tmp_path):
    sweep, stop = Sweep(tmp_path), StopRequest()

    def stop_after_one(job, epoch):
        stop.reason = "SIGTERM"
        return 0.5

    sweep.run(stop_after_one, stop=stop, prepare=lambda pool: pool.places.update({0: "node-1"}))
    assert trial_records.records(sweep.study)[0].place == "node-1"
    assert sweep.run(trials=1)[0].place == ""
    local = Sweep(tmp_path / "local")
    local.run(trials=1)
    assert "place" not in local.study.trials[0].user_attrs


def test_trials_seed_depends_on_study_seed_and_number_alone(tmp_path):
    one, two = Sweep(tmp_path), Sweep(tmp_path)
    one.run(n_workers=1)
    two.run(n_workers=2)
    assert {j.number: j.seed for j in one.pool.jobs} == {j.number: j.seed for j in two.pool.jobs}
    assert len({j.seed for j in one.pool.jobs}) == 8


def test_halving_prunes_but_never_the_baseline_nor_a_trial_at_its_last_epoch(tmp_path):
    def falling(job, epoch):
        return 0.1 if job.number == 0 else 0.9 - 0.01 * job.number + 0.001 * epoch

    trials = Sweep(tmp_path, pruner="halving").run(falling, trials=20)
    assert trials[0].state == "complete"
    assert trial_records.counts(trials)["pruned"] > 0
    assert all(t.epochs < 3 for t in trials if t.state == "pruned")
    assert sum(trial_records.counts(trials).values()) == 20


def test_single_epoch_trials_are_complete_whatever_the_pruner(tmp_path):
    trials = Sweep(tmp_path, pruner="halving", epochs=1).run(lambda job, epoch: 0.9 - 0.01 * job.number)
    assert trial_records.counts(trials)["complete"] == 8


def test_comparator_is_ranked_but_unknown_to_the_sampler(tmp_path):
    text = EXAMPLE + "\n[variants.wide]\nfilters = [20, 50, 120]\n"
    sweep = Sweep(tmp_path, text)
    trials = sweep.run(lambda job, epoch: 0.99 if job.configuration.model.filters[0] == 20 else steady(job, epoch))
    wide = next(t for t in trials if t.variant == "wide")
    assert (wide.state, wide.epochs, wide.params) == ("complete", 3, {})
    assert trial_records.best(trials, "accuracy") == wide
    assert trial_records.counts(trials)["complete"] == 8
    assert sweep.study.trials[wide.number].state == optuna.trial.TrialState.FAIL
    assert sweep.study.best_trial.number != wide.number


def test_finite_space_is_exhausted_and_duplicates_are_not_counted(tmp_path):
    sweep = Sweep(tmp_path, overrides=TWO_POINTS, sampler="random", seed=0)
    trials = sweep.run(trials=50)
    assert trial_records.counts(trials)["complete"] == 2
    assert len(sweep.pool.jobs) == 2
    duplicates = [t for t in trials if t.state == "duplicate"]
    assert len(duplicates) >= proposer.MOST_DUPLICATES
    told = {sweep.study.trials[t.number].value for t in duplicates}
    assert told <= {t.value for t in trials if t.state == "complete"}


def test_exhausted_space_asked_again_stores_no_more_trials_and_says_so_each_time(tmp_path):
    sweep = Sweep(tmp_path, overrides=TWO_POINTS, sampler="random", seed=0)
    n_stored = []
    for _ in range(3):
        sweep.events.clear()
        n_stored.append(len(sweep.run(trials=50)))
        assert sweep.events[-1] == Note("the space is exhausted: 100 proposals in a row repeat known trials")
    assert n_stored == [102, 102, 102]


def test_exhausted_space_still_trains_what_is_enqueued(tmp_path):
    sweep = Sweep(tmp_path, overrides=TWO_POINTS, sampler="random", seed=0)
    sweep.run(lambda job, epoch: Failure("error", "oops") if job.number == 0 else 0.5, trials=50)
    sweep.study.enqueue_trial(sweep.study.trials[0].params)
    trials = sweep.run(trials=50)
    assert trial_records.counts(trials)["complete"] == 2


def test_space_is_exhausted_though_every_command_on_it_is_stopped(tmp_path, monkeypatch):
    sweep, told = Sweep(tmp_path, overrides=TWO_POINTS, sampler="random", seed=0), []
    original = queue.tell_duplicate

    def tell_and_stop(*arguments):
        original(*arguments)
        told.append(arguments)
        if len(told) % 20 == 0:
            stop.reason = "SIGTERM"

    monkeypatch.setattr(queue, "tell_duplicate", tell_and_stop)
    for _ in range(10):
        stop = StopRequest()
        sweep.run(trials=50, stop=stop)
    assert (stop.reason, len(sweep.study.trials)) == ("", 102)


def test_proposal_equal_to_a_running_trial_waits_for_its_result(tmp_path):
    sweep = Sweep(tmp_path, overrides=TWO_POINTS, sampler="random", seed=0)
    trials = sweep.run(trials=50, n_workers=4)
    assert len(sweep.pool.jobs) == 2
    assert trial_records.counts(trials) == {"complete": 2, "pruned": 0, "infeasible": 0, "fail": 0, "running": 0}
    assert all(t.state.is_finished() for t in sweep.study.trials)


def test_grid_visits_every_point_once(tmp_path):
    overrides = [o for o in TWO_POINTS if not o.startswith(("activation", "batch_norm"))]
    sweep = Sweep(tmp_path, overrides=[*overrides, "activation=relu,tanh,elu", "batch_norm=false,true"], sampler="grid")
    trials = sweep.run(trials=50, n_workers=2)
    assert trial_records.counts(trials)["complete"] == 12
    assert len({t.configuration.key() for t in trials}) == 12


def test_diverged_trial_is_pruned_with_a_constraint_and_never_ranked(tmp_path):
    def script(job, epoch):
        return Failure("diverged", "the training loss of epoch 2 is nan") if job.number == 4 and epoch == 2 else 0.5

    sweep = Sweep(tmp_path)
    trials = sweep.run(script)
    assert (trials[4].state, trials[4].feasible) == ("pruned", False)
    assert "loss of epoch 2 is nan" in trials[4].reason
    assert sweep.study.trials[4].constraints == {"diverged": 1.0}
    assert trials[4] not in trial_records.ranking(trials, "accuracy")
    assert sweep.tracker.states[4][-1] == ("pruned", "diverged: the training loss of epoch 2 is nan")
    assert not any(math.isnan(v) for v in sweep.study.trials[4].intermediate_values.values())


def test_impossible_shape_is_pruned_without_training(tmp_path):
    text = EXAMPLE.replace("[[6, 16, 120], [8, 24, 120], [12, 32, 120]]", "[[6, 16, 120], [6, 16]]")
    sweep = Sweep(tmp_path, text, overrides=["padding=2", "kernel_size={choices=[5,[5,5,5]]}"])
    trials = sweep.run(trials=12)
    impossible = [t for t in trials if not t.feasible]
    assert impossible
    assert all(t.state == "pruned" and "kernel_size has 3 values for 2 conv layers" in t.reason for t in impossible)
    assert {j.number for j in sweep.pool.jobs}.isdisjoint({t.number for t in impossible})
    found = trial_records.counts(trials)
    assert (found["complete"] + found["infeasible"], found["pruned"]) == (12, 0)


def test_too_large_networks_cannot_win_but_the_baseline_is_trained(tmp_path):
    sweep = Sweep(tmp_path, max_params=61_000)
    trials = sweep.run(trials=12)
    assert trials[0].state == "complete"
    assert not trials[0].feasible
    best = trial_records.best(trials, "accuracy")
    assert best is None or best.n_parameters <= 61_000
    assert all(t.n_parameters <= 61_000 for t in trials if t.state == "complete" and t.number)
    found = trial_records.counts(trials)
    assert found["infeasible"] == sum("more than 61,000" in t.reason for t in trials) > 0
    assert (found["complete"] + found["infeasible"], found["pruned"]) == (12, 0)


def test_networks_with_too_many_multiply_adds_cannot_win_but_the_baseline_is_trained(tmp_path):
    sweep = Sweep(tmp_path, max_madds=280_000)
    trials = sweep.run(trials=12)
    assert (trials[0].state, trials[0].feasible) == ("complete", False)
    infeasible = [t for t in trials if t.reason.startswith("n_multiply_adds: ")]
    assert infeasible
    assert all("multiply-adds, more than 280,000" in t.reason and not t.feasible for t in infeasible)
    assert {job.number for job in sweep.pool.jobs}.isdisjoint({t.number for t in infeasible})


def test_networks_that_are_too_slow_cannot_win_and_each_network_is_measured_once(tmp_path, monkeypatch):
    asked = []

    def measure(network, input_shape, n_classes):
        asked.append(network)
        return 2.0 if network.activation == "relu" else 0.5

    monkeypatch.setattr("sweeper.sweep.queue.milliseconds", measure)
    sweep = Sweep(tmp_path, max_latency=1.0)
    trials = sweep.run(trials=12)
    assert len(asked) == len(set(asked))
    assert all(network.dropout == 0 for network in asked)
    assert (trials[0].state, trials[0].feasible, trials[0].milliseconds) == ("complete", False, 2.0)
    slow = [t for t in trials if t.reason == "latency: 2 ms an image, more than 1"]
    assert slow
    assert {job.number for job in sweep.pool.jobs}.isdisjoint({t.number for t in slow})
    fast = [t for t in trials if t.state == "complete" and t.number]
    assert fast
    assert all(t.feasible and t.milliseconds == 0.5 for t in fast)
    # On a slower machine, a resumed search measures only new networks.
    known = set(asked)
    asked.clear()
    sweep.run(trials=16)
    assert known.isdisjoint(asked)


def test_a_latency_that_was_measured_decides_again_after_an_interruption(tmp_path, monkeypatch):
    values = iter([0.5, 9.0])
    monkeypatch.setattr("sweeper.sweep.queue.milliseconds", lambda *network: next(values))
    sweep = Sweep(tmp_path, overrides=TWO_POINTS, max_latency=1.0)
    stop = StopRequest()

    def interrupt(event):
        if isinstance(event, EpochEnded):
            stop.reason = "SIGTERM"

    sweep.run(trials=1, stop=stop, listener=interrupt)
    assert sweep.run(trials=1)[0].milliseconds == 0.5


def test_without_a_limit_no_latency_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("sweeper.sweep.queue.milliseconds", lambda *network: pytest.fail("it is measured"))
    assert all(trial.milliseconds is None for trial in Sweep(tmp_path).run(trials=3))


@pytest.mark.parametrize(("workers", "fewer"), [(1, ""), (2, " or fewer --jobs")])
def test_out_of_memory_that_nothing_explains_is_tried_once_more_and_then_a_failure_but_no_constraint(
    tmp_path, workers, fewer
):
    tries = []

    def script(job, epoch):
        if job.number == 3:
            tries.append(epoch)
            return Failure("out_of_memory", "can't allocate memory", own_fault=False)
        return 0.5

    trials = Sweep(tmp_path).run(script, n_workers=workers)
    assert len(tries) == 2
    assert (trials[3].state, trials[3].feasible) == ("failed", True)
    assert trials[3].reason == (
        "out of memory twice, which the trial itself does not explain: can't allocate memory; after "
        f"`sweeper retry study --failed --store {tmp_path}`, a search with more free memory{fewer} tries it "
        f"again; see worker-{workers - 1}.log"
    )


def test_out_of_memory_that_the_trial_explains_itself_is_believed_at_once(tmp_path):
    tries = []

    def script(job, epoch):
        if job.number == 3:
            tries.append(epoch)
            return Failure("out_of_memory", "CUDA out of memory", own_fault=True)
        return 0.5

    assert not Sweep(tmp_path).run(script)[3].feasible
    assert len(tries) == 1


def test_failure_names_the_log_of_its_worker(tmp_path):
    trials = Sweep(tmp_path).run(lambda job, epoch: Failure("error", "oops", "t") if job.number == 2 else 0.5)
    assert (trials[2].state, trials[2].reason) == ("failed", "oops; see worker-0.log")


def test_full_disk_ends_the_sweep_and_fails_no_trial(tmp_path):
    sweep, tries = Sweep(tmp_path), []

    def script(job, epoch):
        if job.number == 3 and epoch == 2 and not tries:
            tries.append(epoch)
            return Failure("disk_full", "checkpoint.safetensors cannot be written: No space left on device")
        return steady(job, epoch)

    with pytest.raises(
        SweeperError,
        match=r"^checkpoint\.safetensors cannot be written: No space left on device; nothing is lost, the same command "
        r"resumes once there is room \(see worker-0\.log\)$",
    ):
        sweep.run(script)
    assert trial_records.records(sweep.study)[3].state == "running"
    assert sweep.tracker.states[3][-1] == ("interrupted", "SweeperError")
    trials = sweep.run(script)
    assert trial_records.counts(trials) == {"complete": 8, "pruned": 0, "infeasible": 0, "fail": 0, "running": 0}
    assert sweep.tracker.epochs[3] == [1, 2, 3]


def database_refuses_once(monkeypatch, method):
    """Optuna's storage fails in one call of `method`, for the trial 3, as SQLite does on a full disk."""
    original, calls = getattr(optuna.storages.InMemoryStorage, method), []

    def refuse(self, trial_id, *args, **kwargs):
        if self.get_trial(trial_id).number == 3 and not calls:
            calls.append(args)
            full = sqlite3.OperationalError("database or disk is full")
            raise optuna.exceptions.StorageInternalError("An exception is raised") from OperationalError("", {}, full)
        return original(self, trial_id, *args, **kwargs)

    monkeypatch.setattr(optuna.storages.InMemoryStorage, method, refuse)


@pytest.mark.parametrize("method", ["set_trial_intermediate_value", "set_trial_state_values"])
def test_storage_that_refuses_a_write_ends_the_sweep_and_loses_nothing(tmp_path, monkeypatch, method):
    sweep = Sweep(tmp_path)
    sweep.run(trials=3)
    database_refuses_once(monkeypatch, method)
    with pytest.raises(
        SweeperError, match=r"^Optuna's storage sqlite:.* does not answer: database or disk is full; nothing is lost"
    ):
        sweep.run()
    assert sweep.study.trials[3].state == optuna.trial.TrialState.RUNNING
    assert sweep.tracker.states[3][-1][0] == "interrupted"
    assert trial_records.counts(sweep.run()) == {"complete": 8, "pruned": 0, "infeasible": 0, "fail": 0, "running": 0}
    assert sweep.tracker.states[3][-1] == ("complete", "")


def test_trial_that_was_told_its_result_but_not_ended_ends_with_that_very_result(tmp_path, monkeypatch):
    sweep = Sweep(tmp_path, pruner="halving")

    class Killed(BaseException):
        pass

    def killed(study, trial):
        if trial.user_attrs[trial_records.RESULT]["state"] == "pruned":
            raise Killed
        end(study, trial)

    end = tell._end
    with monkeypatch.context() as patch:
        patch.setattr(tell, "_end", killed)
        with pytest.raises(Killed):
            sweep.run(lambda job, epoch: 0.9 - 0.01 * job.number + 0.001 * epoch, trials=20)
    [number] = [t.number for t in sweep.study.trials if t.state == optuna.trial.TrialState.RUNNING]
    interrupted = trial_records.records(sweep.study)[number]
    assert interrupted.state == "pruned"  # as it will end
    trials = sweep.run(steady, trials=20)
    reason = f"pruner: not among the best third of the trials after epoch {interrupted.epochs}"
    assert (trials[interrupted.number].state, trials[interrupted.number].reason) == ("pruned", reason)
    assert trials[interrupted.number].epochs == interrupted.epochs
    assert interrupted.number not in {job.number for job in sweep.pool.jobs}
    assert sweep.tracker.states[interrupted.number][-1] == ("pruned", reason)


@pytest.mark.parametrize("before", ["set_constraint", "tell"])
def test_infeasible_trial_that_was_told_its_result_but_not_ended_is_infeasible(tmp_path, monkeypatch, before):
    sweep = Sweep(tmp_path)

    def killed(*args, **kwargs):
        raise Killed

    def script(job, epoch):
        if job.number == 4:
            patch.setattr(optuna.trial.Trial if before == "set_constraint" else optuna.Study, before, killed)
            return Failure("diverged", "the training loss of epoch 1 is nan")
        return steady(job, epoch)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        sweep.run(script)
    trials = sweep.run()
    assert (trials[4].state, trials[4].feasible) == ("pruned", False)
    assert sweep.study.trials[4].constraints == {"diverged": 1.0}
    assert 4 not in {job.number for job in sweep.pool.jobs}


def test_note_of_a_worker_is_told_with_the_trials_name(tmp_path):
    told = []

    def script(job, epoch):
        if job.number == 1 and not told:
            told.append(epoch)
            return Note("checkpoint.safetensors is damaged; the training starts anew")
        return steady(job, epoch)

    sweep = Sweep(tmp_path)
    with pytest.raises(AssertionError, match="waits for ever"):  # the script sends nothing behind the note
        sweep.run(script)
    assert Note("trial 1 (4.0): checkpoint.safetensors is damaged; the training starts anew") in sweep.events


def test_stop_that_another_process_requests_ends_with_the_running_epochs(tmp_path):
    sweep = Sweep(tmp_path)

    def listener(event):
        if isinstance(event, EpochEnded) and (event.number, event.metrics.epoch) == (3, 1):
            sweep.store.request_stop("study")

    with sweep.store.owning("study"):
        sweep.run(listener=listener)
    assert sweep.stop.reason == "sweeper stop"
    assert sweep.tracker.states[3][-1] == ("interrupted", "sweeper stop")


def test_five_failures_in_a_row_stop_the_sweep_with_cause_and_log(tmp_path):
    sweep = Sweep(tmp_path)
    with pytest.raises(
        SweeperError, match=r"5 trials in a row failed, the last with: KeyError: 'x'; see worker-0\.log"
    ):
        sweep.run(lambda job, epoch: Failure("error", "KeyError: 'x'", "trace"), trials=50)
    assert trial_records.counts(trial_records.records(sweep.study))["fail"] == 5
    assert sweep.tracker.texts[0]["error.txt"] == "trace"
    assert sweep.tracker.states[4][-1][0] == "failed"
    assert not [event for event in sweep.events if isinstance(event, TrialInterrupted) and event.number == 4]


def test_scattered_failures_are_replaced_and_do_not_stop_the_sweep(tmp_path):
    trials = Sweep(tmp_path).run(lambda job, epoch: Failure("error", "oops", "t") if job.number % 2 else 0.5, trials=12)
    counts = trial_records.counts(trials)
    assert counts["complete"] == 12
    assert counts["fail"] >= 11


def test_trial_whose_worker_died_goes_on(tmp_path):
    deaths = []

    def script(job, epoch):
        if job.number == 2 and epoch == 2 and not deaths:
            deaths.append(epoch)
            return Died(-9)
        return steady(job, epoch)

    sweep = Sweep(tmp_path)
    trials = sweep.run(script)
    assert [j.number for j in sweep.pool.jobs].count(2) == 2
    assert trials[2].state == "complete"
    assert sweep.tracker.epochs[2] == [1, 2, 3]


def test_trial_that_keeps_killing_its_worker_behind_a_checkpoint_fails_too(tmp_path):
    trials = Sweep(tmp_path).run(lambda job, epoch: Died(-9) if job.number == 2 and epoch == 2 else 0.5)
    assert trials[2].state == "failed"
    assert trial_records.counts(trials)["complete"] == 8


def test_trial_left_without_a_worker_is_interrupted_when_the_sweep_stops(tmp_path):
    sweep, stop = Sweep(tmp_path), StopRequest()

    def script(job, epoch):
        if job.number == 2 and epoch == 2:
            stop.reason = "SIGTERM"
            return Died(-15)
        return steady(job, epoch)

    sweep.run(script, stop=stop)
    assert sweep.tracker.states[2][-1] == ("interrupted", "SIGTERM")
    assert trial_records.counts(sweep.run())["complete"] == 8


def test_end_that_mlflow_has_not_heard_of_is_told_at_the_next_start(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.run(trials=4)
    sweep.tracker.states[1] = [("running", "")]  # killed before the queue was empty
    del sweep.tracker.states[2]
    sweep.run(trials=5)
    assert sweep.tracker.states[1][-1] == ("complete", "")
    assert sweep.tracker.states[2] == [("running", ""), ("complete", "")]
    assert len(sweep.pool.jobs) == 1


class Killed(BaseException):
    """Nothing but the test hears of it."""


def test_trial_that_ended_when_the_sweep_was_killed_is_told_to_mlflow_whole(tmp_path, monkeypatch):
    whole = Sweep(tmp_path / "whole")
    trials = whole.run(trials=8, keep=1)
    last = trial_records.ranking(trials, "accuracy")[0].number  # it takes the place of the one before it
    sweep = Sweep(tmp_path / "killed")
    end = Recorder.end

    def killed_at_the_best(recorder, jobs, record, histories):
        if record.number == last:
            raise Killed
        end(recorder, jobs, record, histories)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "end", killed_at_the_best)
        with pytest.raises(Killed):
            sweep.run(trials=8, keep=1)
    sweep.tracker.states[last] = [("running", "")]
    sweep.run(trials=8, keep=1)
    assert sweep.tracker.weights == whole.tracker.weights == {last}
    for tracker in (sweep.tracker, whole.tracker):
        del tracker.tags[last]["sweeper.seconds"]
    assert sweep.tracker.summaries[last] == whole.tracker.summaries[last]
    assert "n_parameters" in sweep.tracker.summaries[last]
    assert {"sweeper.best_epoch", "sweeper.best_validation_accuracy"} <= set(sweep.tracker.tags[last])


def refusing_once(monkeypatch, owner, method, number):
    """A write that fails once, for want of room, of the trial with this number."""
    original, calls = getattr(owner, method), []

    def refuse(self, key, *args, **kwargs):
        if key == number and not calls:
            calls.append(key)
            raise OSError(28, "No space left on device", "spool.db")
        return original(self, key, *args, **kwargs)

    monkeypatch.setattr(owner, method, refuse)


@pytest.mark.parametrize("when", ["at the start", "with an impossible shape"])
def test_run_that_a_refused_write_leaves_open_is_interrupted(tmp_path, monkeypatch, when):
    if when == "at the start":
        sweep, number = Sweep(tmp_path), 3
    else:
        text = EXAMPLE.replace("[[6, 16, 120], [8, 24, 120], [12, 32, 120]]", "[[6, 16, 120], [6, 16]]")
        sweep = Sweep(tmp_path, text, overrides=["padding=2", "kernel_size={choices=[5,[5,5,5]]}"])
        number = next(
            t.number
            for t in Sweep(tmp_path, text, ["padding=2", "kernel_size={choices=[5,[5,5,5]]}"]).run()
            if not t.feasible
        )
    refusing_once(monkeypatch, FakeTracker, "log_text" if when == "at the start" else "finish", number)
    with pytest.raises(SweeperError, match="No space left"):
        sweep.run()
    assert sweep.tracker.states[number][-1][0] == "interrupted"
    assert trial_records.counts(sweep.run())["running"] == 0
    assert sweep.tracker.states[number][-1][0] in ("complete", "pruned")


def test_run_that_cannot_be_caught_up_with_is_not_left_open(tmp_path, monkeypatch):
    sweep = Sweep(tmp_path)
    sweep.run(trials=4)
    sweep.tracker.states[1] = [("running", "")]
    refusing_once(monkeypatch, FakeTracker, "log_text", 1)
    with pytest.raises(SweeperError, match="No space left"):
        sweep.run(trials=5)
    assert sweep.tracker.states[1][-1][0] == "interrupted"
    sweep.run(trials=5)
    assert sweep.tracker.states[1][-1] == ("complete", "")


def test_equal_comparators_stay_unknown_to_the_sampler(tmp_path):
    text = EXAMPLE + "\n[variants.a]\nfilters = [20, 50, 120]\n[variants.b]\nextends = 'a'\nkernel_size = 3\n"
    sweep = Sweep(tmp_path, text, ("kernel_size=5",))
    trials = sweep.run()
    b = next(t for t in trials if t.variant == "b")
    assert b.state == "duplicate"
    assert sweep.study.trials[b.number].state == optuna.trial.TrialState.FAIL


def test_variant_that_failed_is_tried_again_at_the_next_start(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.run(lambda job, epoch: Failure("error", "oops", "t") if job.number == 0 else 0.5, trials=4)
    trials = sweep.run(trials=5)
    assert [t.state for t in trials if t.variant == "baseline"] == ["failed", "complete"]


def test_trial_whose_workers_keep_dying_fails_and_the_sweep_goes_on(tmp_path):
    trials = Sweep(tmp_path).run(lambda job, epoch: Died(-11) if job.number == 2 else 0.5)
    assert trials[2].state == "failed"
    assert "exit code -11, 3 times" in trials[2].reason
    assert trial_records.counts(trials)["complete"] == 8


def test_stop_ends_with_the_running_epochs_and_the_next_start_goes_on_with_them(tmp_path):
    sweep, stop = Sweep(tmp_path), StopRequest()

    def interrupt(event):
        if isinstance(event, EpochEnded) and event.number == 3:
            stop.reason = "SIGINT"

    sweep.run(stop=stop, listener=interrupt, n_workers=2)
    interrupted = {e.number for e in sweep.events if isinstance(e, TrialInterrupted)}
    assert 3 in interrupted
    before = trial_records.records(sweep.study)
    assert {t.number for t in before if t.state == "running"} == interrupted
    assert all(sweep.tracker.states[n][-1] == ("interrupted", "SIGINT") for n in interrupted)

    trials = sweep.run(n_workers=2)
    assert {j.number for j in sweep.pool.jobs} >= interrupted
    assert trial_records.counts(trials) == {"complete": 8, "pruned": 0, "infeasible": 0, "fail": 0, "running": 0}
    assert sweep.tracker.epochs[3] == [1, 2, 3]  # no epoch is logged twice


def test_trial_that_trains_too_long_is_pruned_without_a_constraint_and_the_sweep_goes_on(tmp_path):
    sweep = Sweep(tmp_path, pruner="none")
    trials = sweep.run(
        lambda job, epoch: replace(metrics(epoch, 0.5), epoch_seconds=30.0 if job.number == 1 else 10.0),
        trials=3,
        trial_seconds=80.0,
    )
    slow = trials[1]
    # The third epoch would end after 90 seconds: it is not begun.
    assert (slow.state, slow.epochs) == ("pruned", 2)
    assert slow.reason == "trial_timeout: 2 of 3 epochs in 60 s of training, 80 s allowed"
    assert slow.feasible
    assert sweep.tracker.states[1][-1] == ("pruned", slow.reason)
    assert sorted(slow.values) == [1, 2]  # the sampler and the pruner have what it reached
    assert [t.state for t in trials] == ["complete", "pruned", "complete"]
    assert not sweep.pool.renewed


def test_trial_that_trains_too_long_in_one_epoch_is_pruned_within_it(tmp_path, monkeypatch):
    monkeypatch.setattr(Dispatcher, "seconds", lambda dispatcher, task: 100.0 if task.job.number == 1 else 1.0)
    sweep = Sweep(tmp_path, pruner="none")
    trials = sweep.run(
        lambda job, epoch: BatchesDone(1, 1, 10) if job.number == 1 else 0.5, trials=3, trial_seconds=80.0
    )
    assert [t.state for t in trials] == ["complete", "pruned", "complete"]
    assert trials[1].reason == "trial_timeout: 0 of 3 epochs in 100 s of training, 80 s allowed"
    assert sweep.pool.renewed == [0]
    assert sum(isinstance(event, TrialEnded) for event in sweep.events) == 3


def test_baseline_that_trains_too_long_is_pruned_too(tmp_path):
    trials = Sweep(tmp_path).run(lambda job, epoch: 0.5, trials=1, trial_seconds=0.15)
    assert (trials[0].variant, trials[0].state, trials[0].epochs) == ("baseline", "pruned", 1)


def test_no_epoch_is_begun_that_would_end_after_the_timeout(tmp_path):
    sweep = Sweep(tmp_path)
    trials = sweep.run(
        lambda job, epoch: replace(metrics(epoch, 0.5), epoch_seconds=3600.0), deadline=time.monotonic() + 60.0
    )
    assert sweep.stop.reason == "timeout"
    assert [(t.number, t.state, t.epochs) for t in trials if t.state != "waiting"] == [(0, "running", 1)]
    assert not any(isinstance(event, Note) for event in sweep.events)


def test_no_trial_is_begun_that_cannot_end_an_epoch_before_the_timeout(tmp_path):
    sweep = Sweep(tmp_path, epochs=1)
    sweep.run(lambda job, epoch: replace(metrics(epoch, 0.5), epoch_seconds=3600.0), deadline=time.monotonic() + 60.0)
    assert sweep.stop.reason == "timeout"
    assert [job.number for job in sweep.pool.jobs] == [0]


def test_overrun_of_the_timeout_is_told(tmp_path):
    sweep, clock = Sweep(tmp_path), [0.0]

    def slow(job, epoch):
        clock[0] += 100.0
        return 0.5

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeper.sweep.time_limits.time.monotonic", lambda: clock[0])
        sweep.run(slow, deadline=150.0)
    assert sweep.stop.reason == "timeout"
    assert Note("the last epochs ended 50 s after the timeout") in sweep.events


def test_timeout_stops(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.run(deadline=time.monotonic() - 1)
    assert sweep.stop.reason == "timeout"
    assert not sweep.pool.jobs


@pytest.mark.parametrize(("metric", "target"), [("accuracy", 0.53), ("loss", 0.47)])
def test_target_stops_the_sweep_and_holds_at_the_next_start(tmp_path, metric, target):
    sweep = Sweep(tmp_path, metric=metric)
    trials = sweep.run(target=target, trials=50)
    assert sweep.stop.reason == "target"
    assert trial_records.counts(trials)["complete"] == 4
    sweep.run(target=target, trials=50)
    assert sweep.stop.reason == "target"
    assert not sweep.pool.jobs


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_weights_of_the_best_are_kept_over_restarts(tmp_path, keep):
    sweep = Sweep(tmp_path)
    sweep.run(keep=keep, trials=5)
    trials = sweep.run(keep=keep, trials=10)
    assert sweep.tracker.weights == {t.number for t in trial_records.ranking(trials, "accuracy")[:keep]}


def test_changed_study_is_refused_with_both_values(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.run(trials=1)
    sweep.spec = StudySpec.from_json(SPEC | {"epochs": 4})
    with pytest.raises(SweeperError, match="study study was started with epochs 3, this command has 4"):
        sweep.run(trials=1)
    space = parse(EXAMPLE, "dropout=0.2")
    sweep.spec = StudySpec.from_json(SPEC | {"space": space.describe()})
    with pytest.raises(SweeperError, match=r"was started with space\.parameters None"):
        sweep.run(trials=1)


def test_records_are_plain_values(tmp_path):
    record = Sweep(tmp_path).run(trials=1)[0]
    assert replace(record) == record
    assert list(record.params["filters"]) == [6, 16, 120]


@pytest.mark.parametrize("moment", ["SweepStarted", "TrialStarted", "EpochEnded", "TrialEnded"])
def test_study_that_is_deleted_from_the_storage_meanwhile_is_told_in_one_line(tmp_path, moment):
    sweep = Sweep(tmp_path)
    sweep.storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/optuna.db")

    def delete(event):
        if type(event).__name__ == moment and "study" in optuna.get_all_study_names(sweep.storage):
            optuna.delete_study(study_name="study", storage=sweep.storage)

    with pytest.raises(SweeperError, match=r"^the study was deleted from Optuna's storage") as told:
        sweep.run(listener=delete, n_workers=2)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("pruner", ["none", "halving"])
def test_epochs_of_sixteen_workers_are_answered_in_rounds_and_cost_the_same_few_calls_each(
    tmp_path, monkeypatch, pruner
):
    """As on a GPU whose trials share a process: an epoch takes a second, and sixteen end in it."""
    calls = Counter()
    for name in dir(optuna.storages.InMemoryStorage):
        if name.startswith(("set_", "get_", "create_")):
            method = getattr(optuna.storages.InMemoryStorage, name)

            def counted(storage, *arguments, name=name, method=method, **options):
                calls["writes" if name.startswith(("set_", "create_")) else name] += 1
                return method(storage, *arguments, **options)

            monkeypatch.setattr(optuna.storages.InMemoryStorage, name, counted)

    def cost(n_epochs):
        calls.clear()
        waits = []

        def prepare(pool):
            pool.on_wait = lambda: waits.append(None)

        sweep = Sweep(tmp_path, epochs=n_epochs, pruner=pruner)
        trials = sweep.run(lambda job, epoch: 0.5, n_workers=16, trials=16, prepare=prepare)
        assert [trial.epochs for trial in trials] == [n_epochs] * 16
        assert sweep.tracker.epochs == {number: list(range(1, n_epochs + 1)) for number in range(16)}
        return Counter(calls), len(waits)

    (few, few_waits), (many, many_waits) = cost(10), cost(30)
    assert many_waits - few_waits == 20  # one round for all epochs that have ended
    more = {name: (many[name] - few[name]) / (20 * 16) for name in many}
    assert more["writes"] <= 1.1  # its score, and with halving a rung's now and then
    assert more["get_all_trials"] <= 0.1
    assert sum(more.values()) <= 4
