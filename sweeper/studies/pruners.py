"""Optuna's pruners by name, and the choice of one. Imports Optuna only to make one: `--help` shows the names."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

PRUNERS = ("halving", "median", "hyperband", "none")
# Chooses one of the others when a study starts. The study stores which, so that resuming it never changes the pruner.
AUTO = "auto"
# Halving decides after one epoch, by one score. The standard error of that score must be at most half of the standard
# deviation among the configurations: then noise costs one study in 20 its best configuration at the first rung, at
# equality one in 7 (tests/studies/test_pruners.py simulates it). No study knows that deviation before it starts; with
# 4.5 points, 500 images are enough (standard error 2.2 points), and 120 are not (4.6 points).
LEAST_IMAGES = 500


def standard_error(n_images: int) -> float:
    """The standard error of an accuracy on so many images, at most: that of an accuracy of one half."""
    return math.sqrt(0.25 / n_images)


def chosen(n_images: int) -> str:
    """The pruner that AUTO stands for, where the first score that it sees is measured on `n_images`.

    Fewer than LEAST_IMAGES would make it prune by chance; so small a data set also trains quickly without pruning.
    """
    return "halving" if n_images >= LEAST_IMAGES else "none"


# What a pruner requires of a trial that goes on, as the end of "not ...".
CRITERIA = {
    "halving": "among the best third of the trials",
    "hyperband": "among the best third of its bracket's trials",
    "median": "better than the median of the complete trials",
}
# The reason of a pruned trial begins with this word; an older sweeper stored nothing else.
REASON = "pruner"


def reason(name: str, step: int, unit: str) -> str:
    """Why the pruner has ended a trial after so many epochs or (`unit`) trainings, as it is stored."""
    return f"{REASON}: not {CRITERIA[name]} after {unit} {step}"


def is_reason(text: str) -> bool:
    """Whether the stored reason is that of a trial that the pruner has ended."""
    return text.partition(":")[0] == REASON


def make_pruner(name: str, steps: int) -> "BasePruner":
    """The pruner of trials with so many steps, counted from 1."""
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

    from sweeper.studies.halving import HalvingPruner

    match name:
        case "halving":
            # None of the other rules in benchmarks/replay.md wins on all of its data sets.
            return HalvingPruner()
        case "hyperband":
            return HyperbandPruner(min_resource=1, max_resource=steps, reduction_factor=3)
        case "median":
            return MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        case "none":
            return NopPruner()
    raise AssertionError(name)
