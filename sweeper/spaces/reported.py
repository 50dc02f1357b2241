"""Reads the metrics that somebody reported for a variant, and checks their names and values."""

import math
from collections.abc import Mapping
from typing import Any

from sweeper.errors import nearest, plain

SPLITS = ("train", "validation", "test")
# Metrics in [0, 1], with their meanings. Those named train_... are of the same run's training images. All are measured
# after the last epoch, except best_accuracy, which is the best epoch's.
SHARES = {
    "accuracy": "share of right answers on the split's images, after the last epoch",
    "best_accuracy": "the same of the best epoch",
    "train_accuracy": "share of right answers on the training images of the same run",
    "macro_precision": "precision, averaged over the classes",
    "macro_recall": "recall, averaged over the classes",
    "macro_f1": "F1 score, averaged over the classes",
    "thresholded_precision": "precision at a probability above 0.5, over all pairs of an image and a class",
    "thresholded_recall": "recall at a probability above 0.5, over all pairs of an image and a class",
}
LOSSES = {
    "loss": "mean loss of the split's images, in nats",
    "train_loss": "mean loss of the training images of the same run, in nats",
}
METRICS = {**SHARES, **LOSSES}


def read_reported(raw: Any) -> tuple[Mapping[str, Any], ...]:
    """The entries of a variant's `reported`, which is one table or an array with one table per split.

    Raises ValueError with key, rule and value.
    """
    entries = [raw] if isinstance(raw, dict) else raw
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"reported must be a table or an array of tables, got {raw!r}")
    splits = []
    for entry in entries:
        split = entry.get("split")
        if split not in SPLITS:
            raise ValueError(f"reported.split must be one of {', '.join(SPLITS)}, got {split!r}")
        if split in splits:
            raise ValueError(f"reported.split must differ from entry to entry, got {split!r} twice")
        splits.append(split)
        for key, value in entry.items():
            if key != "split":
                _check_metric(key, value)
    return tuple(entries)


def _check_metric(key: str, value: Any) -> None:
    if key not in METRICS:
        raise ValueError(f"unknown key reported.{plain(key)}{nearest(key, METRICS)}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"reported.{key} must be a finite number, got {value!r}")
    if value < 0:
        raise ValueError(f"reported.{key} must be at least 0, got {value!r}")
    if key in SHARES and value > 1:
        hint = f"; did you mean {value / 100:g}?" if value <= 100 else ""
        raise ValueError(f"reported.{key} must be a share in [0, 1], got {value!r}{hint}")
