"""Optuna's pruners by name. Imports Optuna only to make one: the command line shows the names in `--help`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

PRUNERS = ("halving", "median", "hyperband", "none")


def make_pruner(name: str, steps: int) -> "BasePruner":
    """The pruner; its steps are a trial's epochs, or its trainings if there are several, counted from 1."""
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

    match name:
        case "halving":
            # From epoch 1 with factor 3: the best halving settings measured, at a third of the median pruner's cost.
            return SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
        case "hyperband":
            return HyperbandPruner(min_resource=1, max_resource=steps, reduction_factor=3)
        case "median":
            return MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        case "none":
            return NopPruner()
    raise AssertionError(name)
