"""Warm starts from a study in memory, with scripted workers."""

from collections import Counter
from types import SimpleNamespace

import optuna
import pytest

from sweeper.engine.base import Failure
from sweeper.errors import UsageError
from sweeper.events import State
from sweeper.models.precision import PrecisionRule, Resolution
from sweeper.studies import lifecycle, retry, trial_records, warm_start
from tests.sweep.sweeps import Sweep

N_OLD = 12


def worse(job, epoch):
    """Scores below all of those in the other study."""
    return 0.1 + 0.001 * job.number


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A study of twelve trials that commands find by the name old."""
    sweep = Sweep(tmp_path)
    sweep.run(trials=N_OLD)
    source = SimpleNamespace(study=sweep.study, trials=trial_records.records(sweep.study), spec=sweep.spec)

    def find_study(store, name):
        if name != "old":
            raise UsageError(f"no study {name!r} in this store")
        found = sweep.study
        found.study_name = "old"
        return found

    monkeypatch.setattr(warm_start.queries, "find_study", find_study)
    return source


def begun(sweep, wanted="old"):
    """The study of a sweep, opened and started as a search does it, and what was planned."""
    study = lifecycle.open_study(sweep.storage, "study", sweep.spec, sweep.space)
    planned = warm_start.planned(sweep.store, wanted, "new", study, sweep.space, sweep.spec)
    if planned is not None:
        warm_start.apply(study, sweep.space, planned)
    return planned


def best_of(old):
    """Its trials by score, the best first, without the variants."""
    return [trial for trial in trial_records.ranking(old.trials, "accuracy") if not trial.variant]


def test_scores_teach_the_sampler_and_neither_rank_nor_count(tmp_path, old):
    sweep = Sweep(tmp_path)
    planned = begun(sweep)
    assert planned.told == (
        f"Warm start from old: its best 5 are tried first; the sampler learns from {N_OLD} of its scores, which "
        "neither rank nor count here"
    )
    trials = sweep.run(worse, trials=8)
    taken = [trial for trial in trials if trial.state == State.WARM_START]
    assert [trial.warm_start for trial in taken] == [f"old:{trial.number}" for trial in old.trials]
    assert all(trial.value is None and not trial.values and not trial.epochs for trial in taken)
    assert trial_records.n_counted(trials) == trial_records.counts(trials)["complete"] == 8
    assert trials[0].variant == "baseline"
    assert {trial.state for trial in trial_records.ranking(trials, "accuracy")} == {State.COMPLETE}
    assert trial_records.best(trials, "accuracy").value < min(trial.value for trial in old.trials)
    # Optuna's sampler sees them, with their values.
    given = [trial for trial in sweep.study.trials if "score_of" in trial.user_attrs]
    assert [trial.value for trial in given] == [trial.value for trial in old.trials]
    assert all(trial.params and len(trial.intermediate_values) == 3 for trial in given)
    assert not any(number in sweep.tracker.states for number in (trial.number for trial in taken))


def test_best_configurations_are_tried_first_with_seeds_and_scores_of_their_own(tmp_path, old):
    sweep = Sweep(tmp_path)
    n_variants = len(sweep.space.variants)
    begun(sweep)
    trials = [trial for trial in sweep.run(worse, trials=n_variants + 6) if trial.state == State.COMPLETE]
    first = trials[n_variants : n_variants + 5]
    assert [trial.warm_start for trial in first] == [f"old:{trial.number}" for trial in best_of(old)[:5]]
    assert [trial.configuration for trial in first] == [trial.configuration for trial in best_of(old)[:5]]
    assert all(trial.value < 0.5 for trial in first)
    assert trials[n_variants + 5].warm_start is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"epochs": 4}, "other epochs"),
        ({"split_sha256": "1"}, "other split"),
        ({"data_sha256": "1"}, "other data"),
        ({"metric": "macro_f1"}, "other metric"),
        ({"repeats": 2}, "other repeats"),
        ({"pixels": "standard"}, "other pixels"),
        ({"test_flip": True}, "other test_flip"),
        ({"resize": 32}, "other reading of the images"),
        ({"conversions": ["transparency on white"]}, "other reading of the images"),
        ({"data_sha256": "1", "split_sha256": "2"}, "other data, split"),
        ({"sampler": "random"}, "the sampler random uses none"),
    ],
)
def test_score_of_other_conditions_is_not_taken_over_but_its_configuration_is(tmp_path, old, changes, reason):
    sweep = Sweep(tmp_path, **changes)
    planned = begun(sweep)
    assert planned.told.endswith(f"the sampler learns none of its scores: {reason}")
    trials = trial_records.records(sweep.study)
    assert {trial.state for trial in trials} == {State.WAITING}
    waiting = [trial.warm_start for trial in trials if trial.warm_start]
    assert waiting == [f"old:{trial.number}" for trial in best_of(old)[:5]]


def test_other_seed_on_the_same_split_is_no_other_condition(tmp_path, old):
    assert len(begun(Sweep(tmp_path, seed=99, split_seed=3)).scores) == N_OLD


def test_trials_outside_the_new_space_are_left_out_and_told(tmp_path, old):
    activations = Counter(trial.configuration.model.activation for trial in old.trials)
    kept = max(activations, key=activations.get)
    sweep = Sweep(tmp_path, overrides=(f"activation={kept}",))
    planned = begun(sweep)
    assert len(planned.scores) == activations[kept]
    assert planned.told.endswith(f"; {N_OLD - activations[kept]} of its trials are outside this space")
    taken = [trial for trial in trial_records.records(sweep.study) if trial.state == State.WARM_START]
    assert {trial.configuration.model.activation for trial in taken} == {kept}


@pytest.mark.parametrize("name", ["add_trial", "enqueue_trial"])
def test_start_that_is_cut_short_is_completed_without_the_option(tmp_path, old, monkeypatch, name):
    def drawn(sweep):
        return [(t.number, t.state, t.warm_start, t.params) for t in trial_records.records(sweep.study)]

    undisturbed, sweep = Sweep(tmp_path), Sweep(tmp_path)
    begun(undisturbed)
    lifecycle.open_study(sweep.storage, "study", sweep.spec, sweep.space)
    method, calls = getattr(optuna.Study, name), []

    def dying(study, *arguments, **options):
        calls.append(study)
        if len(calls) == 3:
            raise KeyboardInterrupt
        method(study, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, name, dying)
        with pytest.raises(KeyboardInterrupt):
            begun(sweep)
    assert len(drawn(sweep)) < len(drawn(undisturbed))
    assert begun(sweep, wanted=None) is not None
    assert drawn(sweep) == drawn(undisturbed)
    assert begun(sweep, wanted=None) is begun(sweep) is None
    assert drawn(sweep) == drawn(undisturbed)


def test_resumed_study_keeps_its_start_even_if_the_other_study_is_gone(tmp_path, old, monkeypatch):
    sweep = Sweep(tmp_path)
    begun(sweep)
    before = [t.warm_start for t in sweep.run(worse, trials=4) if t.state == State.WARM_START]
    monkeypatch.setattr(warm_start.queries, "find_study", lambda store, name: pytest.fail(name))
    assert begun(sweep) is None
    assert [t.warm_start for t in sweep.run(worse, trials=8) if t.state == State.WARM_START] == before
    with pytest.raises(UsageError, match="study new was started with --warm-start old, this command has other"):
        begun(sweep, wanted="other")


def test_start_that_cannot_be_is_refused_with_the_reason(tmp_path, old):
    sweep = Sweep(tmp_path)
    sweep.run(trials=1)
    with pytest.raises(UsageError, match="study new was started without --warm-start: leave it out, or give --new"):
        begun(sweep)
    with pytest.raises(UsageError, match="a study cannot start from its own trials"):
        begun(Sweep(tmp_path), wanted="new")
    with pytest.raises(UsageError, match="no study 'nosuch'"):
        begun(Sweep(tmp_path), wanted="nosuch")
    elsewhere = Sweep(tmp_path, overrides=("lr=0.9",))
    with pytest.raises(UsageError, match=r"is inside the space .* there is nothing to start from"):
        begun(elsewhere)
    assert not [trial for trial in trial_records.records(elsewhere.study) if trial.warm_start]


def test_failed_configuration_of_the_other_study_is_retried_although_it_has_a_score_there(tmp_path, old):
    sweep = Sweep(tmp_path)
    begun(sweep)
    first = next(t for t in trial_records.records(sweep.study) if t.warm_start and t.state == State.WAITING)
    scored = [t for t in trial_records.records(sweep.study) if t.warm_start == first.warm_start]
    assert [trial.state for trial in scored] == [State.WARM_START, State.WAITING]

    def failing(job, epoch):
        if job.number == first.number:
            return Failure("error", "broken")
        return worse(job, epoch)

    sweep.run(failing, trials=8)
    trials, frozen = trial_records.records(sweep.study), sweep.study.get_trials(deepcopy=False)
    failed = [trial.number for trial in trials if trial.state == State.FAILED]
    assert retry._failed(trials, frozen) == failed == [first.number]


def test_networks_of_a_study_in_another_precision_are_tried_first_in_this_ones_and_their_scores_are_not_learnt(
    tmp_path, old
):
    sweep = Sweep(tmp_path, overrides=("precision=auto",))
    sweep.space = sweep.space.resolved(Resolution(PrecisionRule("avx512_bf16", 1), (1, 28, 28), 10))
    planned = begun(sweep)
    assert [trial.number for trial in planned.first] == [trial.number for trial in best_of(old)[:5]]
    assert not planned.scores
    assert "none of its trials inside this space has one" in planned.told
    trials = sweep.run(worse, trials=len(sweep.space.variants) + 5)
    tried = [trial.configuration for trial in trials if trial.warm_start]
    assert {one.train.precision for one in tried} == {"bfloat16"}
    assert [one.model for one in tried] == [trial.configuration.model for trial in best_of(old)[:5]]
