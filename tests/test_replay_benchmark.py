"""benchmarks/replay.py: its rules decide as Optuna's pruners do, and a search costs what its trials trained."""

import importlib
import json
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.models.families import build
from sweeper.studies.pruners import make_pruner
from sweeper.training.device_data import on_device
from sweeper.training.loop import fit

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TIMES = (1, 2, 3, 4, 5, 6, 9, 12, 15, 18, 21, 24, 27)
EPOCHS = 9


@pytest.fixture(autouse=True)
def place(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def replay():
    return importlib.import_module("replay")


@pytest.fixture
def rules():
    return importlib.import_module("replay_rules")


@pytest.fixture
def recorder():
    return importlib.import_module("record_curves")


def random_curves(replay, seed, n=30):
    """Curves that rise at different speeds to different levels, with noise, so that they cross."""
    rng = np.random.default_rng(seed)
    level, speed = rng.uniform(0.2, 0.9, (n, 1)), rng.uniform(0.1, 2, (n, 1))
    accuracies = level * (1 - np.exp(-speed * np.array(TIMES) / 3))
    return replay.Curves(rng.binomial(100, accuracies) / 100, TIMES)


def flat_curves(replay, *values):
    """A curve for each value, which it has at all times."""
    return replay.Curves(np.repeat(np.array(values)[:, None], len(TIMES), axis=1), TIMES)


class WithOptuna:
    """A rule that asks a pruner of Optuna, as a search does, after whole epochs or after every measurement."""

    def __init__(self, rules, pruner, whole_epochs):
        self._rules, self._unit = rules, 3 if whole_epochs else 1
        self.study = optuna.create_study(direction="maximize", pruner=pruner)
        self._trials = {}

    def seen(self, trial, time, value, *, last):
        if trial not in self._trials:
            self._trials[trial] = self.study.ask()
        mine = self._trials[trial]
        if time % self._unit:
            return self._rules.Decision.GO_ON
        mine.report(value, time // self._unit)
        if last:
            self.study.tell(mine, value)
            return self._rules.Decision.GO_ON
        if not mine.should_prune():
            return self._rules.Decision.GO_ON
        if trial != self._rules.BASELINE:
            self.study.tell(mine, state=optuna.trial.TrialState.PRUNED)
        return self._rules.Decision.STOP

    def resume(self):
        return None

    def finalist(self):
        return None


class Spy:
    """A rule that remembers another's decisions."""

    def __init__(self, rule):
        self._rule, self.decisions = rule, []

    def seen(self, trial, time, value, *, last):
        decision = self._rule.seen(trial, time, value, last=last)
        self.decisions.append((trial, time, decision))
        return decision

    def __getattr__(self, name):
        return getattr(self._rule, name)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("name", "pruner", "whole_epochs"),
    [
        ("halving from 1 epoch, factor 3", lambda: make_pruner("halving", EPOCHS), True),
        ("median", lambda: make_pruner("median", EPOCHS), True),
        ("none", lambda: make_pruner("none", EPOCHS), True),
        ("halving from 1 epoch, factor 4", lambda: optuna.pruners.SuccessiveHalvingPruner(1, 4), True),
        ("halving from 1/3 epoch, factor 3", lambda: optuna.pruners.SuccessiveHalvingPruner(1, 3), False),
        ("halving from 1/3 epoch, factor 4", lambda: optuna.pruners.SuccessiveHalvingPruner(1, 4), False),
    ],
)
def test_a_rule_decides_as_the_pruner_of_optuna_that_it_simulates(replay, rules, seed, name, pruner, whole_epochs):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    curves, order = random_curves(replay, seed), np.arange(30)
    ours, theirs = Spy(replay.RULES[name](EPOCHS)), Spy(WithOptuna(rules, pruner(), whole_epochs))
    assert replay.replay(curves, order, ours) == replay.replay(curves, order, theirs)
    assert ours.decisions == theirs.decisions
    stops = [decision for _, _, decision in ours.decisions if decision is rules.Decision.STOP]
    assert bool(stops) == (name != "none")


def test_the_default_of_the_replay_is_that_of_a_search(replay):
    pruner = make_pruner("halving", 15)
    assert (pruner._min_resource, pruner._reduction_factor, pruner._min_early_stopping_rate) == (1, 3, 0)
    assert replay.DEFAULT == "halving from 1 epoch, factor 3"


def test_without_pruning_every_image_is_spent_and_nothing_is_regretted(replay, rules):
    assert replay.replay(random_curves(replay, 0), np.arange(30), rules.Rule()) == replay.Replay(1.0, 0.0)


def test_workers_train_at_once_and_each_trial_costs_what_it_trained(replay, rules):
    # The baseline (0.5) and trial 1 (0.4) end the first epoch first. 1 is worse than the rung's best and is pruned. Of
    # 2 (0.9) and 3 (0.1), which follow on the other worker, 2 is the best so far and goes on; 3 is pruned.
    curves = flat_curves(replay, 0.5, 0.4, 0.9, 0.1)
    spy = Spy(rules.Halving(3, 3))
    result = replay.replay(curves, np.arange(4), spy)
    assert result.share == pytest.approx((27 + 3 + 27 + 3) / (4 * 27))
    assert result.regret == 0
    stopped = [(trial, time) for trial, time, decision in spy.decisions if decision is rules.Decision.STOP]
    # The baseline is asked about again at its second rung, where it is the first: it stays the best there.
    assert stopped == [(1, 3), (3, 3)]


def test_the_baseline_goes_on_whatever_the_rule_says(replay, rules, monkeypatch):
    rule = rules.Rule()
    monkeypatch.setattr(rule, "seen", lambda *seen, last: rules.Decision.STOP)
    result = replay.replay(flat_curves(replay, 0.1, 0.5, 0.6), np.arange(3), rule)
    assert result.share == pytest.approx((27 + 1 + 1) / (3 * 27))
    assert result.regret == pytest.approx(0.5)


def test_median_prunes_once_five_trials_are_complete(replay, rules):
    spy = Spy(rules.Median())
    replay.replay(flat_curves(replay, *[0.5] * 4, 0.1, 0.2, 0.3), np.arange(7), spy, n_workers=1)
    stopped = [(trial, time) for trial, time, decision in spy.decisions if decision is rules.Decision.STOP]
    assert stopped == [(5, 6), (6, 6)]


def test_the_regret_is_what_a_pruned_trial_would_have_reached(replay, rules):
    accuracies = np.array([[0.5] * 13, [0.4] * 12 + [0.8]])
    result = replay.replay(replay.Curves(accuracies, TIMES), np.arange(2), rules.Halving(3, 3))
    assert result.regret == pytest.approx(0.3)


def test_a_diverging_trial_trains_to_the_end_of_its_epoch_and_cannot_win(replay, rules):
    accuracies = np.full((2, 13), 0.9)
    accuracies[1, 4:] = np.nan  # last seen a third of an epoch into the second epoch
    result = replay.replay(replay.Curves(accuracies, TIMES), np.arange(2), rules.Rule())
    assert result.share == pytest.approx((27 + 6) / (2 * 27))


def test_pasha_trains_only_the_winner_to_the_end_while_ranks_stay(replay, rules):
    curves = flat_curves(replay, 0.1, 0.5, 0.6, 0.7)
    result = replay.replay(curves, np.arange(4), rules.Pasha(3, 3, EPOCHS))
    # The baseline trains to its end in any case; 1, 2 and 3 to the second rung, three epochs; 3 goes on.
    assert result.share == pytest.approx((27 + 9 + 9 + 27) / (4 * 27))
    assert result.regret == 0


def test_pasha_raises_its_last_rung_when_ranks_change(replay, rules):
    accuracies = np.repeat(np.array([[0.1], [0.5], [0.6], [0.7], [0.8]]), len(TIMES), axis=1)
    accuracies[3, TIMES.index(9) :] = 0.3  # best after one epoch, third after three epochs
    accuracies[4, TIMES.index(9) :] = 0.4
    spy = Spy(rules.Pasha(3, 3, EPOCHS))
    result = replay.replay(replay.Curves(accuracies, TIMES), np.arange(5), spy)
    assert (2, 12) in [(trial, time) for trial, time, _ in spy.decisions]
    # Three epochs are no longer the last rung: there, a trial that is not among the best third ends.
    assert (4, 9, rules.Decision.STOP) in spy.decisions
    assert result.regret == 0


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_extrapolation_finds_the_end_of_a_power_law(rules, exponent):
    values = 0.8 - 0.5 * np.arange(1, 5, dtype=float) ** -exponent
    assert rules.extrapolated(values.tolist(), 20) == pytest.approx(0.8 - 0.5 * 20.0**-exponent)


def test_extrapolation_ends_a_hopeless_trial_after_three_epochs(replay, rules):
    spy = Spy(rules.Extrapolation(EPOCHS))
    replay.replay(flat_curves(replay, 0.9, 0.2), np.arange(2), spy, n_workers=1)
    assert [event for event in spy.decisions if event[2] is rules.Decision.STOP] == [(1, 9, rules.Decision.STOP)]


def test_a_rule_wins_if_it_spends_less_and_regrets_no_more(replay, rules, monkeypatch):
    monkeypatch.setattr(replay, "N_SAMPLES", 5)
    monkeypatch.setattr(replay, "N_SEARCHES", 2)
    curves = flat_curves(replay, *np.linspace(0.1, 0.9, 60))
    choices = {name: replay.RULES[name] for name in ("none", replay.DEFAULT, "halving from 1/3 epoch, factor 3")}
    rows = replay.compare(curves, choices)
    assert {name for name, row in rows.items() if row.wins} == {"halving from 1/3 epoch, factor 3"}
    assert rows["none"].share == 1
    assert rows[replay.DEFAULT].share_difference == (0, 0, 0)
    assert "| none | 100.0 |" in replay.table(rows)


def test_a_rule_that_regrets_more_does_not_win(replay, monkeypatch):
    monkeypatch.setattr(replay, "N_SAMPLES", 5)
    monkeypatch.setattr(replay, "N_SEARCHES", 2)
    accuracies = np.repeat(np.linspace(0.1, 0.9, 60)[:, None], len(TIMES), axis=1)
    accuracies[:, :2] = 1 - accuracies[:, :2]  # within the first epoch, the order is the opposite
    name = "halving from 1/3 epoch, factor 3"
    rows = replay.compare(replay.Curves(accuracies, TIMES), {n: replay.RULES[n] for n in (replay.DEFAULT, name)})
    assert rows[name].share_difference[2] < 0 < rows[name].regret_difference[0]
    assert not rows[name].wins


def tiny_data():
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 28, 28), np.uint8)
    labels = np.arange(40) % 2
    parts = (images[:30], labels[:30]), (images[30:], labels[30:])
    scaling = {"mean": [0.5], "std": [0.3], "device": torch.device("cpu"), "layout": torch.channels_last}
    return on_device(*parts, n_classes=2, **scaling)


def test_measuring_within_an_epoch_does_not_change_a_training(recorder):
    data, configuration = (
        tiny_data(),
        Configuration(ConvNetConfig(padding=(2, 0, 0), dropout=0.3), TrainConfig(batch_size=8)),
    )
    correct = recorder.train(data, configuration, seed=3)
    torch.manual_seed(3)
    network = build(configuration.model, data.input_shape, 2).to(memory_format=data.layout)
    without = [m.validation_accuracy for m in fit(network, data, configuration.train, epochs=recorder.EPOCHS, seed=3)]
    assert len(correct) == len(recorder.TIMES)
    at_epochs = [count / 10 for count, time in zip(correct, recorder.TIMES, strict=True) if time % 3 == 0]
    assert at_epochs == pytest.approx(without)


def test_a_diverging_training_has_the_counts_until_then(recorder):
    configuration = Configuration(ConvNetConfig(padding=(2, 0, 0)), TrainConfig(optimizer="sgd", lr=1e30, batch_size=8))
    assert len(recorder.train(tiny_data(), configuration, seed=0)) < 3


def test_recorded_curves_are_packed_without_a_line_that_was_cut_off(recorder, replay, tmp_path):
    n_times = len(recorder.TIMES)
    lines = [
        {"dataset": "a-folder", "number": 1, "params": {"lr": 0.1}, "correct": [500, 600]},
        {"dataset": "a-folder", "number": 0, "params": {}, "correct": [700] * n_times},
    ]
    (tmp_path / "curves.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"dataset": "a-f')
    recorder.pack(tmp_path / "curves.jsonl", tmp_path / "curves.npz")
    (curves,) = replay.load(tmp_path / "curves.npz").values()
    assert curves.times == recorder.TIMES
    assert curves.accuracies[0].tolist() == [0.7] * n_times
    assert curves.end(1) == (2, True)
    assert curves.accuracies[1, :2].tolist() == [0.5, 0.6]
