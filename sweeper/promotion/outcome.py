"""How a promotion ended, as plain data."""

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
    """A finalist and what became of it.

    `alias` is champion, challenger or None; `validation` the accuracies (seeds,) of its fresh seeds; `confirm` the
    estimate over seeds and images, None without a confirm part; `tested` the fields of Tested, None as long as its
    network was never tested.
    """

    finalist: Finalist
    alias: str | None
    version: str
    validation: NDArray[np.float64]
    confirm: Estimate | None
    tested: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        """Its alias or trial, and that it is the baseline where it is."""
        name = self.alias or f"trial {self.finalist.trial}"
        return f"{name} (baseline)" if self.finalist.is_baseline else name

    def described(self) -> dict[str, Any]:
        """As plain data; what cannot be had is None."""
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
    """A whole promotion.

    `entrants` are in final order, the champion first. `verdict` are sentences. `looks` count those at the test data by
    this study, and by all studies of the store; there may be no test data to look at. `dropped` tells of finalists that
    have no result. `undelivered` are the reasons of writes that MLflow would not take.
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
            "finalists": [entrant.described() for entrant in self.entrants],
            "comparisons": [comparison.described() for comparison in self.comparisons],
            "shrinkage": self.shrinkage,
            "verdict": "\n".join(self.verdict),
            "dropped": list(self.dropped),
            "test_looks": self.evaluations[0],
            "test_looks_of_store": self.evaluations[1],
        }
