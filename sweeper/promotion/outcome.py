"""The outcome of a promotion, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sweeper.evaluation.constant import Constant
from sweeper.evaluation.statistics import Estimate
from sweeper.promotion.comparisons import Comparison, bounded
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.test_metrics import check_metrics
from sweeper.store.stored_values import check_printable, checked
from sweeper.studies.objective import LABELS, METRICS

# The kinds of the options that a promotion records.
_OPTIONS: Mapping[str, Any] = {"top": int, "seeds": int, "prefer": str, "trials": Sequence[int]}


@dataclass(frozen=True)
class _Validation:
    """An entrant's scores on the validation part, over fresh seeds."""

    mean: float
    sd: float | None
    n_seeds: int


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A finalist and its results, as JSON values; unknown values are None.

    `alias` is its role in this promotion: champion, challenger or None. `network` identifies its trained network.
    `validation` has mean, sd and n_seeds of the scores of its fresh seeds in the study's metric. `confirm` has the
    metric under its name, low and high of the estimate over seeds and images. `test` holds the fields of TestMetrics,
    None if its network was never tested. `constant` has the only class that each network of the estimate gives to every
    image, if each gives only one.
    """

    alias: str | None
    version: str
    network: str | None
    trial: int
    is_baseline: bool
    params: Mapping[str, Any]
    epochs: int
    n_parameters: int
    n_multiply_adds: int
    search_score: float | None
    validation: Mapping[str, Any]
    confirm: Mapping[str, float | None]
    test: Mapping[str, Any] | None = None
    constant: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        finalist: Finalist,
        *,
        alias: str | None,
        version: str,
        network: str,
        validation: NDArray[np.float64],
        confirm: Estimate | None,
        metric: str = "accuracy",
        constant: Sequence[str] = (),
    ) -> Self:
        """The entrant, not tested yet. `validation` has shape (seeds,); `confirm` is None without a confirm part."""
        n_seeds = len(validation)
        low, high = bounded(confirm, metric) if confirm else (None, None)
        return cls(
            alias=alias,
            version=version,
            network=network,
            trial=finalist.trial,
            is_baseline=finalist.is_baseline,
            params=dict(finalist.params),
            epochs=finalist.epochs,
            n_parameters=finalist.n_parameters,
            n_multiply_adds=finalist.n_multiply_adds,
            search_score=finalist.score,
            validation={
                "mean": float(validation.mean()),
                "sd": float(validation.std(ddof=1)) if n_seeds > 1 else None,
                "n_seeds": n_seeds,
            },
            confirm={metric: confirm.value if confirm else None, "low": low, "high": high},
            constant=list(constant),
        )

    @property
    def name(self) -> str:
        """Its alias or trial; "(baseline)" marks the baseline."""
        name = self.alias or f"trial {self.trial}"
        return f"{name} (baseline)" if self.is_baseline else name

    def as_json(self) -> dict[str, Any]:
        """The entrant as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class PromotionOutcome:
    """The results of a whole promotion, in the `metric` of the study, or in accuracy if it is of an older version.

    `options` are its top, seeds and prefer, and `time` is when it registered its finalists, in UTC (ISO 8601); both are
    empty if an older sweeper recorded it. `entrants` are in final order, the champion first. `verdict` consists of
    sentences on the configurations, `registration` of those on the registered champion, and `test_verdict` of those on
    the tests. `registered_champion` is the version that has the alias now. `evaluations` counts the test evaluations on
    these test data by this study, and by all studies of the store. `selected` are the trials of all finalists, also of
    those without a result, for which `dropped` has a sentence each; it is empty if an older sweeper dropped some.
    `search_scores` says what the entrants' search scores are. `constants` holds, by part, what always saying
    one class scores. `test_sha256` is None without a test set. `undelivered` says why MLflow did not accept writes.
    `plain_sentence` says all of this in one.
    """

    study_name: str
    model_name: str
    metric: str = "accuracy"
    search_scores: str = "accuracy"
    options: Mapping[str, Any] = field(default_factory=dict)
    time: str = ""
    entrants: Sequence[Entrant]
    comparisons: Sequence[Comparison]
    shrinkage: float | None
    verdict: Sequence[str]
    registration: Sequence[str] = ()
    registered_champion: str | None = None
    test_verdict: Sequence[str] = ()
    evaluations: tuple[int, int] = (0, 0)
    selected: Sequence[int] = ()
    dropped: Sequence[str]
    test_sha256: str | None = None
    undelivered: Sequence[str] = ()
    plain_sentence: str = ""
    constants: Mapping[str, Constant] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The champion's registered model as commands name it: by its alias, or by its version if another has that."""
        version = self.entrants[0].version
        return self.model_name + ("@champion" if self.registered_champion == version else f"/{version}")

    @property
    def sentences(self) -> list[str]:
        """All sentences of the verdict, in the order in which they are shown."""
        return [*self.verdict, *self.registration, *self.test_verdict]

    def summary(self) -> dict[str, Any]:
        """The object that `sweeper promote --json` prints."""
        return {
            "schema_version": 1,
            "study_name": self.study_name,
            "model_name": self.model_name,
            "metric": self.metric,
            "search_scores": self.search_scores,
            "options": dict(self.options),
            "time": self.time,
            "plain_sentence": self.plain_sentence,
            "finalists": [entrant.as_json() for entrant in self.entrants],
            "comparisons": [comparison.as_json() for comparison in self.comparisons],
            "constant_predictors": {part: asdict(constant) for part, constant in self.constants.items()},
            "shrinkage": self.shrinkage,
            "verdict": "\n".join(self.sentences),
            "registration": list(self.registration),
            "registered_champion": self.registered_champion,
            "dropped": list(self.dropped),
            "test_sha256": self.test_sha256,
            "test_looks": self.evaluations[0],
            "test_looks_of_store": self.evaluations[1],
        }

    def found(self) -> dict[str, Any]:
        """What `from_found` reads back: the results without those of tests."""
        return self.summary() | {"findings": list(self.verdict), "selected": list(self.selected)}

    @classmethod
    def from_found(cls, found: Any) -> Self:
        """The outcome from `found`, or from an older sweeper's `summary`, whose verdict includes the tests.

        Raises one of storage_errors.UNREADABLE for what neither has written.
        """
        check_printable(found)
        metric = found.get("metric", "accuracy")  # the only one of older versions
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
        values = {
            "study_name": found["study_name"],
            "model_name": found["model_name"],
            "metric": metric,
            "search_scores": found.get("search_scores", LABELS[metric]),
            "options": found.get("options", {}),
            "time": found.get("time", ""),
            "entrants": [
                # Older versions have recorded neither the networks nor which are constant predictors.
                {"network": None, **{f.name: one[f.name] for f in fields(Entrant) if f.name in one}}
                for one in found["finalists"]
            ],
            "comparisons": [_comparison(one) for one in found["comparisons"]],
            "shrinkage": found["shrinkage"],
            "verdict": found["findings"] if "findings" in found else found["verdict"].split("\n"),
            "registration": found.get("registration", []),
            "constants": found.get("constant_predictors", {}),
            "selected": found.get("selected", []),
            "dropped": found["dropped"],
            "test_sha256": found.get("test_sha256"),
            "evaluations": (found["test_looks"], found["test_looks_of_store"]),
        }
        outcome: Self = checked(cls, values, "promotion")
        for name, value in outcome.options.items():
            checked(_OPTIONS[name], value, f"promotion.options.{name}")
        for entrant in outcome.entrants:
            checked(_Validation, entrant.validation, "promotion.finalists.validation")
            if missing := {metric, "low", "high"} - entrant.confirm.keys():
                raise ValueError(f"promotion.finalists.confirm lacks {', '.join(missing)}")
            if entrant.test is not None:
                check_metrics(entrant.test)
        if "selected" not in found and not outcome.dropped:  # older versions have recorded the finalists that were left
            return replace(outcome, selected=[entrant.trial for entrant in outcome.entrants])
        return outcome


def _comparison(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in ("first", "second")} | {
        "other": found["second"]
    }
