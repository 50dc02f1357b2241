"""Registers the finalists' refits, and records what a later promotion compares its champion with."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sweeper.errors import SweeperError
from sweeper.evaluation.statistics import Estimate
from sweeper.promotion.comparisons import bounded
from sweeper.promotion.finalists import Finalist
from sweeper.promotion.jobs import PromotionJobs
from sweeper.promotion.predictions import Predictions
from sweeper.runs.batch import Training
from sweeper.studies.objective import METRICS
from sweeper.tracking.aliases import ESTIMATE
from sweeper.tracking.registry import Registry
from sweeper.tracking.tracker import Tracker


@dataclass(frozen=True)
class Measured:
    """A finalist with its refit and what was measured.

    `validation` and `unused` are what its networks of fresh seeds make of the images: those of the order on the
    validation part, and those of the `estimate` on the part that it is from.
    """

    finalist: Finalist
    refit: Training
    validation: Predictions
    estimate: Estimate
    unused: Predictions


def register(
    registry: Registry,
    model: str,
    tracker: Tracker,
    jobs: PromotionJobs,
    part: str,
    finalists: Sequence[Measured],
    verdict: Sequence[str],
) -> dict[int, str]:
    """Registers the finalists with the promotion's verdict. Returns the versions by trial. May be repeated.

    Raises SweeperError, before anything is registered, if MLflow lacks what a later promotion compares with.
    """
    for measured in finalists:
        tracker.log_text(measured.refit.key, {ESTIMATE: json.dumps(_estimate(measured, jobs, part))})
    if reason := tracker.missing([(measured.refit.key, ESTIMATE) for measured in finalists]):
        raise SweeperError(f"nothing was registered: {reason}")
    return {
        measured.finalist.trial: _register(registry, model, tracker, jobs, part, measured, verdict)
        for measured in finalists
    }


def _register(
    registry: Registry,
    model: str,
    tracker: Tracker,
    jobs: PromotionJobs,
    part: str,
    measured: Measured,
    verdict: Sequence[str],
) -> str:
    finalist, refit, estimate = measured.finalist, measured.refit, measured.estimate
    run_id = tracker.child_run_id(refit.key)
    assert run_id is not None
    metric, scores = jobs.spec.metric, measured.validation.scores()
    low, high = bounded(estimate, metric)
    bounds = "" if low is None else f" [{low:.4f}, {high:.4f}]"
    tags = {
        "sweeper.study": jobs.study_name,
        "sweeper.study_id": jobs.study_id,
        "sweeper.trial": str(finalist.trial),
        "sweeper.baseline": json.dumps(finalist.is_baseline),
        "sweeper.n_parameters": str(finalist.n_parameters),
        "sweeper.search_score": json.dumps(finalist.score),
        "sweeper.n_seeds": str(len(scores)),
        f"sweeper.{METRICS[metric]}": f"{scores.mean():.4f}",
        f"sweeper.{part}_estimate": f"{estimate.value:.4f}{bounds}",
    }
    return registry.register(
        model,
        jobs.training_set.sha256,
        run_id,
        f"{jobs.study_id}/{refit.key}",
        jobs.network(refit),
        jobs.training_set.images[:2],
        {"model.safetensors": refit.job.weights, "config.json": refit.texts["config.json"]},
        tags,
        f"{finalist.name} of study {jobs.study_name}, refitted on all its training images. {_taken(jobs)}",
        jobs.training_set.classes,
        jobs.training_set.preprocessing(jobs.spec.data_options),
        verdict,
    )


def _taken(jobs: PromotionJobs) -> str:
    """What the network takes and gives, in words."""
    channels, height, width = jobs.training_set.input_shape
    value_range, converted = jobs.training_set.value_range, jobs.training_set.conversions
    background = jobs.spec.data_options.background
    other = "" if jobs.training_set.scales_bytes else " of another type"
    logits = "logits, means of those for an image and its mirror image" if jobs.spec.protocol.test_flip else "logits"
    return (
        f"Takes raw pixels (batch, {channels}, {height}, {width}) as uint8, gives {logits}. Through mlflow.pyfunc it "
        + ("takes " if jobs.training_set.scales_bytes else "also takes ")
        + (f"stored values{other}, of which {value_range} become 0 to 255, " if value_range else "")
        + "grey or colour images of any size with the channels first or last, transparent ones, which it puts on "
        f"{background}, and one image alone; with the parameter probabilities, it answers with the names of classes."
        + (f" Its training images were converted: {'; '.join(converted)}." if converted else "")
    )


def _estimate(measured: Measured, jobs: PromotionJobs, part: str) -> dict[str, object]:
    """The fields of RegisteredVersion.estimate."""
    metric = jobs.spec.metric
    low, high = bounded(measured.estimate, metric)
    # Accuracies are compared image by image.
    correct = {"correct": ["".join(map(str, seed)) for seed in measured.unused.correct.T.astype(int)]}
    return {
        "data_sha256": jobs.training_set.sha256,
        **({"conversions": jobs.training_set.conversions} if jobs.training_set.conversions else {}),
        **({"value_range": asdict(jobs.training_set.value_range)} if jobs.training_set.value_range else {}),
        "split_sha256": jobs.spec.split_sha256,
        "classes": jobs.training_set.classes,
        "input_shape": jobs.training_set.input_shape,
        "part": part,
        "metric": metric,
        metric: measured.estimate.value,
        "low": low,
        "high": high,
        **(correct if metric == "accuracy" else {}),
    }
