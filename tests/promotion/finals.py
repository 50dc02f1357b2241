"""Finalists, their predictions and their comparisons, for tests of what a promotion says."""

import numpy as np

from sweeper.config import Configuration, ConvNetConfig, TrainConfig
from sweeper.promotion.comparisons import Comparison
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.predictions import Predictions


def predictions_of(correct, metric="accuracy"):
    """Networks that are right where `correct` (images, seeds) or (images,) says; every label is 0 of two classes."""
    correct = np.asarray(correct).reshape(len(correct), -1)
    losses = np.where(correct, 0.1, 2.0)
    return Predictions(metric, np.zeros(len(correct), dtype=np.int64), (~correct).astype(np.int64), losses, 2)


def finalist(trial, score=0.9, *, is_baseline=False):
    return Finalist(
        trial=trial,
        configuration=Configuration(ConvNetConfig(), TrainConfig()),
        params={},
        epochs=15,
        is_baseline=is_baseline,
        eligible=True,
        score=score,
        n_parameters=10,
        n_multiply_adds=10,
    )


BASELINE = finalist(0, 0.90, is_baseline=True)
FIRST, SECOND = finalist(3, 0.93), finalist(5, 0.92)


N_IMAGES = 1000


def beside(champion, b, c):
    """A network that has `b` images less right than the champion, and `c` others more."""
    other = champion.copy()
    other[np.flatnonzero(champion)[:b]] = False
    other[np.flatnonzero(~champion)[:c]] = True
    return other


def networks(baseline=(0, 0), challenger=(0, 0)):
    """Test results of champion, challenger and baseline, by trial, from the two (b, c)."""
    champion = np.arange(N_IMAGES) < 800
    return {3: champion, 0: beside(champion, *baseline), 5: beside(champion, *challenger)}


def comparison(**changes):
    fields = {
        "part": "confirm",
        "other": "baseline",
        "trials": (3, 0),
        "difference": 0.012,
        "low": 0.0041,
        "high": 0.0199,
        "level": 0.95,
        "p": 0.003,
        "p_adjusted": 0.003,
        "decided": True,
        "detectable": 0.0113,
    }
    return Comparison(**fields | changes)


UNDECIDED = {"difference": 0.002, "low": -0.0061, "high": 0.0101, "p": 0.6, "p_adjusted": 0.6, "decided": False}
