"""The outcome of an evaluation, as plain data and in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sweeper.errors import joined, shortened
from sweeper.evaluation.amounts import amount, number, with_interval
from sweeper.promotion.test_metrics import TestMetrics
from sweeper.studies.findings import beats, in_words


@dataclass(frozen=True)
class TestEvaluationCount:
    """How many test evaluations of these data there are now, by the study and in the store, and when this one began."""

    by_study: int
    in_store: int
    time: str


@dataclass(frozen=True)
class UnseenImages:
    """The images that the network was not trained on: their number, and its accuracy on them with interval."""

    n: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of a trained network on labelled images, in shares of 1; losses in nats.

    `described` has the images in words. `classes` has an object for each class: its number of images, the accuracy with
    its interval, and F1, None if undefined; `missing` are those without an image. `n_copies` counts the images that are
    exact copies of ones that the network was trained on, None if that is unknown, for the reason `why_unknown`;
    `unseen` is about the others, if there are both. `look` is None unless the images are a known test part. `run_id` is
    the MLflow run of the result.
    """

    model: str
    model_run_id: str
    dataset: str
    part: str
    described: str
    metrics: TestMetrics
    classes: Sequence[Mapping[str, Any]]
    missing: Sequence[str]
    conversions: Sequence[str]
    n_copies: int | None
    why_unknown: str
    unseen: UnseenImages | None
    look: TestEvaluationCount | None
    test_sha256: str | None
    run_id: str = ""

    def recorded(self, run_id: str) -> "Evaluation":
        """The same with its run in MLflow."""
        return replace(self, run_id=run_id)

    def as_json(self) -> dict[str, Any]:
        """The object that `sweeper evaluate --json` prints."""
        found = asdict(self)
        measured = found.pop("metrics")
        # By class, they are in `classes`.
        del measured["per_class_accuracy"]
        return {"schema_version": 1, **found, "metrics": measured}

    @property
    def sentences(self) -> list[str]:
        """The result in sentences, the answer first."""
        found = self.metrics
        said = [
            f"{self.model} is right on {with_interval('accuracy', found.accuracy, found.low, found.high)} of "
            f"{self.described}."
        ]
        said += self._on_copies()
        said.append(
            f"Balanced accuracy {amount('balanced_accuracy', found.balanced_accuracy)}, macro F1 "
            f"{amount('macro_f1', found.macro_f1)}, loss {number('loss', found.loss)}."
        )
        if found.only_class is not None:
            said.append(f"It is a constant predictor here: it says {shortened(repr(found.only_class))} of every image.")
        no_better = "" if beats(found.metric, _value(found), found.constant) else ": it is no better"
        score = amount(found.metric, found.constant.score)
        said.append(f"{in_words(found.metric, found.constant)} would reach {score} on these images{no_better}.")
        if self.missing:
            said.append(f"No image is of {joined(self.missing)}: what the network says of these is not measured.")
        if self.conversions:
            said.append(f"Converted: {'; '.join(self.conversions)}.")
        if self.look:
            said.append(
                f"Entered into the ledger (test evaluations on these data: {self.look.by_study} by this study, "
                f"{self.look.in_store} in this store)."
            )
        return said

    def _on_copies(self) -> list[str]:
        """What is to be said of images that the network was trained on."""
        n = self.metrics.n
        if self.n_copies is None:
            return [f"Whether the network was trained on some of these images is unknown: {self.why_unknown}."]
        if not self.n_copies:
            return ["None of them is an exact copy of an image that it was trained on."]
        if self.n_copies == n:
            return ["It was trained on all of them: this says nothing about other images."]
        said = f"{self.n_copies:,} of them are exact copies of images that it was trained on"
        assert self.unseen is not None
        right = with_interval("accuracy", self.unseen.accuracy, self.unseen.low, self.unseen.high)
        return [f"{said}; without these, it is right on {right} of {self.unseen.n:,}."]


def _value(found: TestMetrics) -> float:
    value: float = getattr(found, found.metric)
    return value
