"""The outcome of a single training, and its JSON form."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sweeper.data import lookup
from sweeper.evaluation.constant import Constant
from sweeper.runs import initial_weights
from sweeper.runs.repetition import Repetition
from sweeper.runs.request import TrainingRequest
from sweeper.runs.variant_result import VariantResult


@dataclass(frozen=True)
class TrainingOutcome:
    """How a training by itself ended. `stopped` is "" if it is done; otherwise a signal's name, and `result` is None.

    `init` holds the initial weights; None means from scratch. `constant` is what always saying one class scores.
    `undelivered` holds the reasons of undelivered writes to MLflow.
    """

    request: TrainingRequest
    experiment_id: str
    run_id: str
    init: initial_weights.MatchedWeights | None
    result: VariantResult | None
    stopped: str
    undelivered: Sequence[str]
    constant: Constant | None
    repetition: Repetition | None = None  # of a study's trial

    def summary(self) -> dict[str, Any]:
        """The object that `sweeper train --json` prints; it has metrics if the training is done."""
        metrics = self.result.as_json() if self.result else {}
        measured = self.result.metrics if self.result else None
        return {
            "schema_version": 1,
            "dataset": lookup.name_of(self.request.source.dataset),
            "space": self.request.space.name,
            "variant": self.request.variant.name,
            "run_id": self.run_id,
            "experiment_id": self.experiment_id,
            "epochs": self.request.protocol.epochs,
            "seed": self.request.training.seed,
            "split_seed": self.request.training.seed_of_splits,
            "all_data": self.request.all_data,
            "stopped": self.stopped,
            "constant_predictor": self.constant and asdict(self.constant),
            **({"init": self.init.as_json()} if self.init else {}),
            **({"repeats": self.repetition.as_json(measured)} if self.repetition else {}),
            # "trial" and "difference" have a meaning only for a study's variants.
            **{name: value for name, value in metrics.items() if name not in ("trial", "difference")},
        }
