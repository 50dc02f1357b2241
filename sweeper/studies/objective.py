"""The objectives of a study: each one's metric and direction. Imports only the standard library."""

from typing import Literal

# Each objective and its epoch metric: validation metrics only.
METRICS = {
    "accuracy": "validation_accuracy",
    "macro_f1": "validation_macro_f1",
    "loss": "validation_loss",
}


def direction(metric: str) -> Literal["minimize", "maximize"]:
    """Optuna's direction for an objective."""
    return "minimize" if metric == "loss" else "maximize"
