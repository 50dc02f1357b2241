"""The objectives of a study: their metrics, directions, and how people read them. Imports only the standard library."""

from typing import Literal

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


def is_share(metric: str) -> bool:
    """Whether an objective's values are shares of 1; the others are in nats."""
    return metric != "loss"
