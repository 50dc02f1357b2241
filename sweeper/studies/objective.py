"""The names of samplers, pruners and metrics, and what each metric stands for. Imports only the standard library."""

from typing import Literal

# The objective, and the epoch metric that it is: validation figures only.
METRICS = {
    "accuracy": "validation_accuracy",
    "macro_f1": "validation_macro_f1",
    "loss": "validation_loss",
}


def direction(metric: str) -> Literal["minimize", "maximize"]:
    """Optuna's direction for an objective."""
    return "minimize" if metric == "loss" else "maximize"


SAMPLERS = ("tpe", "random", "grid")


PRUNERS = ("halving", "median", "hyperband", "none")
