"""The outcome of a promotion, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.evaluation.statistics import Estimate
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.verdict import Comparison, bounded


@dataclass(frozen=True)
class Entrant:
    """A finalist and its results.

    `alias` is champion, challenger or None. `validation` holds the accuracies (seeds,) of its fresh seeds. `confirm`
    is the estimate over seeds and images, None without a confirm part. `tested` holds the fields of TestMetrics, None
    if its network was never tested.
    """

    finalist: Finalist
    alias: str | None
    version: str
    validation: NDArray[np.float64]
    confirm: Estimate | None
    tested: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """Its alias or trial; "(baseline)" marks the baseline."""
        name = self.alias or f"trial {self.finalist.trial}"
        return f"{name} (baseline)" if self.finalist.is_baseline else name

    def as_json(self) -> dict[str, Any]:
        """The entrant as JSON values; unknown values are None."""
        finalist, n_seeds = self.finalist, len(self.validation)
        low, high = bounded(self.confirm) if self.confirm else (None, None)
        return {
            "alias": self.alias,
            "version": self.version,
            "trial": finalist.trial,
            "is_baseline": finalist.is_baseline,
            "params": dict(finalist.params),
            "epochs": finalist.epochs,
            "n_parameters": finalist.n_parameters,
            "n_multiply_adds": finalist.n_multiply_adds,
            "search_score": finalist.score,
            "validation": {
                "mean": float(self.validation.mean()),
                "sd": float(self.validation.std(ddof=1)) if n_seeds > 1 else None,
                "n_seeds": n_seeds,
            },
            "confirm": {"accuracy": self.confirm.value if self.confirm else None, "low": low, "high": high},
            "test": None if self.tested is None else dict(self.tested),
        }


@dataclass(frozen=True)
class PromotionOutcome:
    """The results of a whole promotion.

    `entrants` are in final order, the champion first. `verdict` consists of sentences. `evaluations` counts the test
    evaluations on these test data by this study, and by all studies of the store. `dropped` has a sentence for each
    finalist without a result. `undelivered` says why MLflow did not accept writes.
    """

    study_name: str
    model_name: str
    entrants: Sequence[Entrant]
    comparisons: Sequence[Comparison]
    shrinkage: float | None
    verdict: Sequence[str]
    evaluations: tuple[int, int]
    dropped: Sequence[str]
    has_test_data: bool = True
    undelivered: Sequence[str] = ()

    def summary(self) -> dict[str, Any]:
        """The object that `sweeper promote --json` prints."""
        return {
            "schema_version": 1,
            "study_name": self.study_name,
            "model_name": self.model_name,
            "finalists": [entrant.as_json() for entrant in self.entrants],
            "comparisons": [comparison.as_json() for comparison in self.comparisons],
            "shrinkage": self.shrinkage,
            "verdict": "\n".join(self.verdict),
            "dropped": list(self.dropped),
            "test_looks": self.evaluations[0],
            "test_looks_of_store": self.evaluations[1],
        }
