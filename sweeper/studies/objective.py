"""The objectives of a study: metrics, directions, ranges, and how people read them. Imports nothing slow."""

import math
from typing import Literal

from sweeper.errors import UsageError
from sweeper.evaluation.amounts import is_share

# Each objective and its epoch metric: validation metrics only.
METRICS = {
    "accuracy": "validation_accuracy",
    "balanced_accuracy": "validation_balanced_accuracy",
    "macro_f1": "validation_macro_f1",
    "loss": "validation_loss",
}
# Each objective's name in tables and sentences.
LABELS = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1", "loss": "loss"}


def direction(metric: str) -> Literal["minimize", "maximize"]:
    """Optuna's direction for an objective."""
    return "minimize" if metric == "loss" else "maximize"


def reaches(target: float | None, value: float | None, metric: str) -> bool:
    """Whether a score is at least as good as the target; False without one of them."""
    if target is None or value is None:
        return False
    return value <= target if direction(metric) == "minimize" else value >= target


def check_target(target: float, metric: str) -> None:
    """Raises UsageError for a target that no score can reach: a percentage would never stop the search."""
    if not math.isfinite(target):
        raise UsageError(f"--target must be a finite number, got {target}")
    if not is_share(metric):
        if target < 0:
            raise UsageError(f"--target must be at least 0 for {metric}, got {target:g}")
    elif not 0 <= target <= 1:
        hint = f"; did you mean {target / 100:g}?" if 1 < target <= 100 else ""
        raise UsageError(f"--target must be in [0, 1] for {metric}, got {target:g}{hint}")
