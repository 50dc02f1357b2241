"""The result of a configuration that was trained to its end."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The last epoch's metrics that tables show for a variant, as means over folds and repeats, in the columns' order.
LAST_EPOCH_METRICS = ("validation_accuracy", "validation_loss", "train_accuracy", "train_loss")


@dataclass(frozen=True)
class VariantResult:
    """The result of a variant that was trained to its end.

    `metrics` holds LAST_EPOCH_METRICS, END_METRICS and others; if there were several trainings, also their standard
    deviations under NAME_sd. `epochs` is the number of epochs of a training that is not stopped early. `difference` is
    relative to the baseline's validation accuracy; None if the baseline is not complete. `seconds` is the time of all
    trainings. `reported` holds the results that the space reports for the variant. `trial` is None without a study.
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

    def as_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        # JSON has no NaN, which is the standard deviation of a metric that only one training has.
        shown = {
            name: value if math.isfinite(value) else None
            for name, value in self.metrics.items()
            if name.removesuffix("_sd") in SHOWN_METRICS
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


SHOWN_METRICS = (
    *LAST_EPOCH_METRICS, "validation_balanced_accuracy", "validation_macro_f1", "macro_precision", "macro_recall",
    "thresholded_precision", "thresholded_recall", "penalty", "train_softmax_loss", "validation_softmax_loss",
)  # fmt: skip
