"""The result of a configuration that was trained to its end."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# What is shown of a variant, means over folds and repeats of the last epoch's, in the order of the table's columns.
LAST_EPOCH_METRICS = ("validation_accuracy", "validation_loss", "train_accuracy", "train_loss")


@dataclass(frozen=True)
class VariantResult:
    """A variant that was trained to its end.

    `figures` holds FIGURES and others, and their standard deviations under NAME_sd where there were several trainings;
    `epochs` are a training's, were it not stopped early; `difference` is from the baseline's validation accuracy, None
    where that has not ended; `seconds` is the time of all trainings; `reported` is what the space says of it. Without a
    study there is no `trial`.
    """

    variant: str
    trial: int | None
    metrics: Mapping[str, float]
    epochs: int
    n_trainings: int
    difference: float | None
    n_parameters: int
    n_multiply_adds: int
    seconds: float
    reported: Sequence[Mapping[str, Any]]

    def described(self) -> dict[str, Any]:
        """As plain data."""
        # JSON knows no NaN, which is the spread of what only one training has.
        shown = {
            name: value if math.isfinite(value) else None
            for name, value in self.metrics.items()
            if name.removesuffix("_sd") in _SHOWN
        }
        return {
            "variant": self.variant,
            "trial": self.trial,
            **shown,
            "epochs": self.epochs,
            "n_trainings": self.n_trainings,
            "difference": self.difference,
            "n_parameters": self.n_parameters,
            "n_multiply_adds": self.n_multiply_adds,
            "seconds": round(self.seconds, 1),
            "reported": [dict(entry) for entry in self.reported],
        }


_SHOWN = (
    *LAST_EPOCH_METRICS, "validation_macro_f1", "macro_precision", "macro_recall", "thresholded_precision",
    "thresholded_recall", "penalty",
)  # fmt: skip
