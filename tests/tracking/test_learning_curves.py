"""Against a real MLflow store in SQLite."""

import math
import re

import pytest

from sweeper.errors import UsageError
from sweeper.evaluation.metrics import LEARNING_CURVES
from sweeper.plots import Plot
from sweeper.tracking.learning_curves import INIT, curves_of
from sweeper.tracking.tracker import Tracker
from tests.tracking.conftest import DATA


def training(store, name, histories, tags=None, params=None, kind="training"):
    """A run with so many trainings below it, or all on it where there is one; each a list of its training losses."""
    tracker = Tracker(store, DATA, print, kind)
    owner = re.sub(r"\W", "-", name)
    tracker.open(owner, f"id-{owner}", tags or {}, params or {}, run_name=name)
    keys = [None] if len(histories) == 1 else [f"repeat {i}" for i in range(len(histories))]
    for key, losses in zip(keys, histories, strict=True):
        if key is not None:
            tracker.start_child(key, key, {}, {})
        for epoch, loss in enumerate(losses, start=1):
            tracker.log_epoch(key, epoch, {"train_loss": loss, "train_accuracy": 0.5, "lr": 0.1})
    tracker.finish(None, "complete")
    assert tracker.close() == []
    return tracker.run_id


def curves(store, run_id, data_sha256=DATA.sha256):
    return curves_of(store, run_id, data_sha256, "--compare")


def test_epochs_of_a_training_are_those_that_were_logged(store):
    run_id = training(store, "plain", [[3.0, 2.0]])
    found = curves(store, run_id)
    assert found.name == f"plain, from scratch (run {run_id[:8]})"
    [epochs] = found.trainings
    assert [(e["epoch"], e["train_loss"], e["train_accuracy"]) for e in epochs] == [(1, 3.0, 0.5), (2, 2.0, 0.5)]
    # There was no validation part.
    assert all(set(e) == {"epoch", *LEARNING_CURVES} and math.isnan(e["validation_loss"]) for e in epochs)
    lines = [{"name": found.name, "trainings": found.trainings}]
    Plot("overlaid_curves", {"variants": lines, "title": "x"}).draw()


def test_folds_and_repeats_are_trainings_of_one_line(store):
    found = curves(store, training(store, "repeated", [[3.0, 2.0], [2.5]]))
    assert sorted([e["train_loss"] for e in epochs] for epochs in found.trainings) == [[2.5], [3.0, 2.0]]


def test_name_tells_of_other_data_and_only_random_weights_are_from_scratch(store):
    initialised = training(store, "initialised", [[1.0]], tags={INIT: "models:/x/1"})
    assert curves(store, initialised).name == f"initialised (run {initialised[:8]})"
    assert curves(store, initialised, "cd" * 32).name == f"initialised, on tiny (run {initialised[:8]})"
    pretrained = training(store, "pretrained", [[1.0]], params={"pretrained": True})
    assert "scratch" not in curves(store, pretrained).name


def test_loss_that_was_infinite_is_so_again(store):
    found = curves(store, training(store, "infinite", [[math.inf, 2.0]]))
    assert [epoch["train_loss"] for epoch in found.trainings[0]] == [math.inf, 2.0]


def test_what_has_no_epochs_is_refused_in_one_line(store):
    with pytest.raises(UsageError) as refused:
        curves(store, training(store, "two\nlines", [[]]))
    assert str(refused.value).isprintable()
    with pytest.raises(UsageError, match=r"has no epochs to compare with \(--compare\)"):
        curves(store, training(store, "empty", [[]]))
    # Its trainings are of several configurations.
    with pytest.raises(UsageError, match="has no epochs"):
        curves(store, training(store, "final", [[1.0], [2.0]], kind="promotion"))
    with pytest.raises(UsageError, match="has no epochs"):
        curves(store, training(store, "set-back", [[1.0], [2.0]], kind="ablation"))
    with pytest.raises(UsageError, match=r"must be named by its id.*'nosuch'"):
        curves(store, "nosuch")
    with pytest.raises(UsageError, match="MLflow has no run"):
        curves(store, "0" * 32)
