"""Trials of several trainings: one a fold and repeat."""

import json
from dataclasses import asdict
from statistics import fmean, stdev

import pytest

from sweeper.engine.base import Died, Failure
from sweeper.evaluation.metrics import LEARNING_CURVES
from sweeper.events import EpochEnded, TrainingEnded, TrialInterrupted, TrialStarted
from sweeper.runs.stop import StopRequest
from sweeper.studies import lifecycle, trial_records, variant_curves
from sweeper.sweep.recorder import Recorder
from tests.engine.fakes import metrics
from tests.sweep.sweeps import TWO_POINTS, Sweep

SCALINGS = [[[0.1 * fold], [1.0]] for fold in range(3)]


def folded(job, epoch):
    """Each trial and fold has a score of its own, rising with the epochs."""
    return 0.5 + 0.01 * (job.number % 30) + 0.1 * job.fold + 0.001 * epoch


def folds(tmp_path, n=3, **spec):
    return Sweep(tmp_path, folds=n, fold_scalings=SCALINGS[:n], **spec)


def test_score_is_the_mean_over_folds_with_its_spread_beside_it(tmp_path):
    sweep = folds(tmp_path)
    trials = sweep.run(folded, trials=2)
    scores = [0.503, 0.603, 0.703]
    assert trials[0].value == pytest.approx(fmean(scores))
    assert trials[0].metrics["validation_accuracy_sd"] == pytest.approx(stdev(scores))
    assert trials[0].metrics["best_validation_accuracy"] == pytest.approx(fmean(scores))
    assert (trials[0].metrics["best_epoch"], trials[0].epochs) == (3, 9)
    assert trials[0].metrics["training_seconds"] == pytest.approx(0.9)  # nine epochs of 0.1 s
    assert [(job.number, job.fold) for job in sweep.pool.jobs] == [(n, fold) for n in (0, 1) for fold in (0, 1, 2)]


def test_each_fold_is_a_run_under_its_trials_and_the_trials_has_the_means(tmp_path):
    sweep = folds(tmp_path)
    tracker = sweep.tracker
    tracker.draws = True
    sweep.run(folded, trials=1)
    keys = [f"0, fold {fold}" for fold in (1, 2, 3)]
    assert {key: under for key, under in tracker.under.items() if key != 0} == dict.fromkeys(keys, 0)
    assert [tracker.children[key][0] for key in keys] == [f"trial 0 (baseline), fold {fold}" for fold in (1, 2, 3)]
    for fold, key in enumerate(keys):
        assert tracker.states[key] == [("running", ""), ("complete", "")]
        assert tracker.epochs[key] == [1, 2, 3]
        assert json.loads(tracker.texts[key]["config.json"])["pixels"]["mean"] == SCALINGS[fold][0]
        assert tracker.figures[key] == ["curves/learning_curves.png", "confusion/validation_confusion_matrix.png"]
    assert tracker.epochs[0] == [1, 2, 3]
    assert [values["validation_accuracy"] for values in tracker.values[0]] == pytest.approx([0.601, 0.602, 0.603])
    assert tracker.figures[0] == ["curves/learning_curves.png", "confusion/validation_confusion_matrix.png"]
    assert tracker.summaries[0]["validation_accuracy_sd"] == pytest.approx(0.1)
    assert "epoch_sd" not in tracker.summaries[0]
    assert tracker.states[0] == [("running", ""), ("complete", "")]
    assert tracker.weights == set(keys)
    # Under the run that has its weights: where MLflow refuses them, they stay.
    assert tracker.forgotten == [(key, key.removeprefix("0, ")) for key in keys]
    assert not list(sweep.store.trial_folder("study", sweep.study.user_attrs["study_id"], 0).iterdir())


def test_pruner_sees_the_running_mean_fold_by_fold(tmp_path):
    sweep = folds(tmp_path, pruner="halving")
    trials = sweep.run(folded, trials=20)
    for trial in trials:
        if trial.state in ("complete", "pruned"):
            finals = [0.503 + 0.01 * (trial.number % 30) + 0.1 * fold for fold in range(3)]
            expected = {n: fmean(finals[:n]) for n in range(1, len(trial.values) + 1)}
            assert trial.values == pytest.approx(expected)


def test_pruned_trial_is_not_trained_on_its_other_folds(tmp_path):
    sweep = folds(tmp_path, pruner="halving")
    trials = sweep.run(lambda job, epoch: 0.9 - 0.01 * job.number + 0.1 * job.fold, trials=20)
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        trained = [job.fold for job in sweep.pool.jobs if job.number == trial.number]
        assert trained == list(range(len(trial.values)))
        assert len(trained) < 3
        assert trial.variant != "baseline"
        assert trial.reason == f"pruner: not among the best third of the trials after training {len(trained)}"
        ends = [sweep.tracker.states[f"{trial.number}, fold {fold + 1}"][-1][0] for fold in trained]
        assert ends == ["complete"] * len(trained)
        assert sweep.tracker.states[trial.number][-1] == ("pruned", trial.reason)


def test_folds_of_what_is_never_pruned_are_trained_at_once(tmp_path):
    sweep = folds(tmp_path, pruner="halving")
    sweep.run(folded, trials=8, n_workers=3)
    started = [event.name for event in sweep.events if isinstance(event, TrialStarted)]
    assert started[:3] == [f"trial 0 (baseline), fold {fold}" for fold in (1, 2, 3)]
    # The space's first variant that is a point of it may be pruned: the second worker takes another trial.
    assert started[3:6] != [f"{started[3].partition(',')[0]}, fold {fold}" for fold in (1, 2, 3)]


def test_result_does_not_depend_on_the_number_of_workers(tmp_path):
    one, three = (folds(tmp_path / str(n)).run(folded, trials=4, n_workers=n) for n in (1, 3))
    assert [trial.value for trial in one] == [trial.value for trial in three]
    assert [trial.values for trial in one] == [trial.values for trial in three]


def test_repeats_have_seeds_of_their_own_and_every_fold_of_a_repeat_the_same(tmp_path):
    sweep = folds(tmp_path, n=2, repeats=2)
    trials = sweep.run(folded, trials=1)
    jobs = sweep.pool.jobs
    assert [job.label for job in jobs] == [f"fold {f}, repeat {r}" for r in (1, 2) for f in (1, 2)]
    assert [job.fold for job in jobs] == [0, 1, 0, 1]
    assert jobs[0].seed == jobs[1].seed != jobs[2].seed == jobs[3].seed
    assert len({job.folder for job in jobs}) == len({job.identity for job in jobs}) == 4
    assert trials[0].epochs == 12

    repeated = Sweep(tmp_path / "repeated", repeats=3)
    repeated.run(trials=1)
    assert [job.label for job in repeated.pool.jobs] == ["repeat 1", "repeat 2", "repeat 3"]
    single = Sweep(tmp_path / "single")
    single.run(trials=1)
    assert repeated.pool.jobs[0].seed == single.pool.jobs[0].seed
    assert [job.label for job in single.pool.jobs] == [""]


def test_spread_of_repeats_is_nothing_that_ranks(tmp_path):
    trials = Sweep(tmp_path, repeats=2).run(
        lambda job, epoch: {0: (0.6, 0.6), 1: (0.5, 0.8)}[job.number][job.label == "repeat 2"], trials=2
    )
    assert [trial.number for trial in trial_records.ranking(trials, "accuracy")] == [1, 0]
    assert trials[0].metrics["validation_accuracy_sd"] == 0


@pytest.mark.parametrize(
    ("failure", "state", "reason"),
    [
        (Failure("diverged", "the training loss of epoch 2 is nan"), "pruned", "diverged: the training loss"),
        (Failure("error", "oops", "t", log=None), "failed", "oops; see"),
    ],
)
def test_fold_that_fails_ends_its_trial_and_the_others_stop(tmp_path, failure, state, reason):
    sweep = folds(tmp_path)
    trials = sweep.run(
        lambda job, epoch: failure if (job.number, job.fold, epoch) == (0, 1, 2) else folded(job, epoch),
        trials=2,
        n_workers=2,
    )
    assert trials[0].state == state
    assert trials[0].reason.startswith(reason)
    assert trials[0].feasible is (state == "failed")
    of_first = [job.fold for job in sweep.pool.jobs if job.number == 0]
    assert of_first == [0, 1]  # the third was not begun
    states = sweep.tracker.states
    assert states[0][-1][0] == states["0, fold 1"][-1][0] == states["0, fold 2"][-1][0] == state
    assert "0, fold 3" not in states
    assert trial_records.counts(trials)["running"] == 0
    assert not any(sweep.store.root.rglob("*.safetensors"))


def test_five_failures_are_five_trials_and_not_five_folds(tmp_path):
    sweep = folds(tmp_path)
    trials = sweep.run(lambda job, epoch: Failure("error", "oops", "t") if job.number == 1 else 0.5, n_workers=3)
    assert [trial.state for trial in trials[:3]] == ["complete", "failed", "complete"]


def test_worker_that_dies_in_a_fold_goes_on_with_that_fold(tmp_path):
    left = [Died(-9)]
    sweep = folds(tmp_path)
    trials = sweep.run(
        lambda job, epoch: left.pop() if left and (job.fold, epoch) == (1, 2) else folded(job, epoch), trials=1
    )
    assert trials[0].value == pytest.approx(0.603)
    assert [job.fold for job in sweep.pool.jobs] == [0, 1, 1, 2]
    assert sweep.tracker.epochs["0, fold 2"] == [1, 2, 3]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_stopped_trial_goes_on_with_its_folds_as_if_it_had_never_stopped(tmp_path, n_workers):
    whole = folds(tmp_path / "whole")
    undisturbed = whole.run(folded, trials=2)
    sweep, stop = folds(tmp_path / "cut"), StopRequest()

    def interrupt(event):
        if isinstance(event, EpochEnded) and event.name.endswith("fold 2") and event.metrics.epoch == 2:
            stop.reason = "SIGTERM"

    sweep.run(folded, trials=2, stop=stop, listener=interrupt, n_workers=n_workers)
    [interrupted] = {event.number for event in sweep.events if isinstance(event, TrialInterrupted)}
    assert interrupted == 0
    assert sweep.tracker.states[0][-1] == ("interrupted", "SIGTERM")
    assert sweep.tracker.states["0, fold 2"][-1] == ("interrupted", "SIGTERM")
    trials = sweep.run(folded, trials=2, n_workers=n_workers)
    for trial, other in zip(trials, undisturbed, strict=True):
        assert (trial.state, trial.value, trial.values) == (other.state, other.value, other.values)
    for key in ("0, fold 1", "0, fold 2", "0, fold 3", 0):
        assert sweep.tracker.epochs[key] == [1, 2, 3], key
        assert sweep.tracker.states[key][-1] == ("complete", ""), key


def test_folds_that_ended_when_the_sweep_was_killed_are_told_to_mlflow_whole(tmp_path, monkeypatch):
    whole = folds(tmp_path / "whole")
    whole.run(folded, trials=2)
    sweep = folds(tmp_path / "killed")

    class Killed(BaseException):
        pass

    def killed(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "end", killed)
        with pytest.raises(Killed):
            sweep.run(folded, trials=2)
    tracker = sweep.tracker
    for key in (0, "0, fold 2"):
        tracker.states[key] = [("running", "")]
    tracker.epochs["0, fold 2"], tracker.values["0, fold 2"] = [1], tracker.values["0, fold 2"][:1]
    # The checkpoints of faked workers are empty.
    monkeypatch.setattr(
        "sweeper.sweep.recorder.read_history",
        lambda path: [asdict(metrics(epoch, 0.5 + 0.1 * int(path.parent.name[-1]))) for epoch in (1, 2, 3)],
    )
    sweep.run(folded, trials=2)
    assert tracker.epochs["0, fold 2"] == [1, 2, 3]
    assert [values["validation_accuracy"] for values in tracker.values["0, fold 2"][1:]] == [0.7, 0.7]
    assert tracker.epochs[0] == [1, 2, 3]
    assert tracker.states["0, fold 1"] == [("running", ""), ("complete", "")], "a complete run was opened again"
    for key in (0, "0, fold 2", "0, fold 3"):
        assert tracker.states[key][-1] == ("complete", ""), key
    summary, expected = dict(tracker.summaries[0]), dict(whole.tracker.summaries[0])
    assert summary == expected
    assert tracker.weights == whole.tracker.weights
    assert len(sweep.pool.jobs) == 3  # those of the second trial


def test_weights_of_all_folds_are_kept_and_dropped_together(tmp_path):
    sweep = folds(tmp_path)
    trials = sweep.run(folded, trials=6, keep=1)
    best = trial_records.ranking(trials, "accuracy")[0].number
    assert sweep.tracker.weights == {f"{best}, fold {fold}" for fold in (1, 2, 3)}


def test_proposal_equal_to_a_trial_whose_folds_are_in_training_waits_for_its_result(tmp_path):
    sweep = folds(tmp_path)
    study = lifecycle.open_study(sweep.storage, "study", sweep.spec, sweep.space)
    equal = sweep.space.point(sweep.space.variants["baseline"].configuration)
    study.enqueue_trial(equal)
    twin = study.trials[-1].number

    # The third worker is free for it while the baseline's last fold is in training.
    trials = sweep.run(folded, trials=4, n_workers=4)
    assert trials[twin].state == "duplicate"
    assert study.trials[twin].user_attrs["duplicate_of"] == 0
    assert study.trials[twin].value == trials[0].value == pytest.approx(0.603)
    assert twin not in {job.number for job in sweep.pool.jobs}


def test_stop_leaves_no_run_open_when_one_fold_is_cut_and_another_ends(tmp_path):
    stop, left = StopRequest(), [Died(-9)]

    def script(job, epoch):
        return left.pop() if left and (job.fold, epoch) == (0, 1) else folded(job, epoch)

    def interrupt(event):
        if isinstance(event, EpochEnded) and event.name.endswith("fold 1") and event.metrics.epoch == 2:
            stop.reason = "SIGTERM"

    sweep = folds(tmp_path, n=2)
    sweep.run(script, trials=1, stop=stop, listener=interrupt, n_workers=2)
    states = {key: states[-1][0] for key, states in sweep.tracker.states.items()}
    assert states == {0: "interrupted", "0, fold 1": "interrupted", "0, fold 2": "complete"}
    assert [(event.number, event.name) for event in sweep.events if isinstance(event, TrialInterrupted)] == [
        (0, "trial 0 (baseline)")
    ]


@pytest.mark.parametrize("n_folds", [0, 3])
def test_baseline_takes_its_place_among_the_pruners_rungs_and_comparators_take_none(tmp_path, n_folds):
    sweep = folds(tmp_path, n=n_folds, pruner="halving") if n_folds else Sweep(tmp_path, pruner="halving")
    sweep.run(folded, trials=8)
    rungs = [
        trial.user_attrs.get("variant")
        for trial in sweep.study.trials
        if any(name.startswith("completed_rung") for name in trial.system_attrs)
    ]
    assert "baseline" in rungs
    comparators = {t.user_attrs["variant"] for t in sweep.study.trials if t.user_attrs.get("comparator")}
    assert not comparators & set(rungs)


def test_weight_decay_of_a_layer_that_a_proposal_lacks_is_known_before_it_trains(tmp_path):
    deep = [*TWO_POINTS, "filters={choices=[[6,16,120],[6,16,120,8]]}", "kernel_size=1", "padding=0"]
    sweep = Sweep(tmp_path, overrides=[*deep, "weight_decay=0.1"])
    object.__setattr__(sweep.space, "fixed", {**sweep.space.fixed, "weight_decay_layers": ("conv4",)})
    trials = sweep.run(trials=6)
    lacking = [t for t in trials if t.configuration and len(t.configuration.model.filters) == 3 and not t.variant]
    assert lacking
    for trial in lacking:
        assert (trial.state, trial.feasible) == ("pruned", False)
        assert "weight_decay_layers must be among" in trial.reason


def test_user_hears_of_every_fold(tmp_path):
    sweep = folds(tmp_path)
    sweep.run(folded, trials=1)
    ended = [event for event in sweep.events if isinstance(event, TrainingEnded)]
    assert [(event.name, event.value) for event in ended] == [
        (f"trial 0 (baseline), fold {fold + 1}", pytest.approx(0.503 + 0.1 * fold)) for fold in range(3)
    ]


def test_variants_only_trains_each_variant_to_its_end_and_nothing_else(tmp_path):
    sweep = Sweep(tmp_path, variants_only=True)
    trials = sweep.run(lambda job, epoch: 0.9 - 0.1 * job.number, trials=3)
    assert [trial.variant for trial in trials] == ["baseline", "4.0", "5.0"]
    assert {trial.state for trial in trials} == {"complete"}
    # A larger total finds nothing more to do.
    assert len(sweep.run(trials=30)) == 3
    assert sweep.pool.jobs == []


def test_curves_are_kept_of_variants_alone_each_training_with_its_epochs(tmp_path):
    sweep = folds(tmp_path)
    trials = sweep.run(folded, trials=4)
    assert [trial.variant for trial in trials] == ["baseline", "4.0", "5.0", None]
    kept = variant_curves.load(sweep.study, 1)
    assert [[epoch["epoch"] for epoch in training] for training in kept] == [[1, 2, 3]] * 3
    assert [training[-1]["validation_accuracy"] for training in kept] == pytest.approx([0.513, 0.613, 0.713])
    assert set(kept[0][0]) == {"epoch", *LEARNING_CURVES}
    assert variant_curves.load(sweep.study, 3) == []
