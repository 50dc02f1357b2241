"""The result of a complete training, in a file that stays when its checkpoint and weights are deleted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sweeper.engine.job import TrialResult
from sweeper.store.atomic import whole_file
from sweeper.store.stored_values import from_text
from sweeper.training.epoch_metrics import EpochMetrics, SoftmaxEpochMetrics

NAME = "trained.json"


@dataclass(frozen=True)
class CompletedTraining:
    """The epochs and the result of a complete training."""

    history: Sequence[EpochMetrics]
    result: TrialResult


@dataclass(frozen=True)
class _Kept:
    """What the file holds."""

    identity: str
    run_id: str
    history: Sequence[SoftmaxEpochMetrics | EpochMetrics]
    figures: Mapping[str, float]
    confusion: Sequence[Sequence[int | float]] | None


def write(folder: Path, identity: str, run_id: str, trained: CompletedTraining) -> None:
    """Writes a training's result, with its identity and the MLflow run to which the result was sent."""
    confusion = trained.result.confusion
    kept = {
        "identity": identity,
        "run_id": run_id,
        "history": [asdict(metrics) for metrics in trained.history],
        "figures": dict(trained.result.metrics),
        "confusion": None if confusion is None else confusion.tolist(),
    }
    with whole_file(folder / NAME) as temporary:
        temporary.write_text(json.dumps(kept))


def read(folder: Path, identity: str, run_id: str) -> CompletedTraining | None:
    """This training's result for this run; None if the file is missing, damaged, or of another training or run."""
    try:
        kept: _Kept = from_text(_Kept, (folder / NAME).read_bytes(), NAME)
        confusion = None if kept.confusion is None else np.array(kept.confusion)
    except (FileNotFoundError, ValueError):  # also of rows of several lengths
        return None
    if (kept.identity, kept.run_id) != (identity, run_id) or not kept.history:
        return None
    return CompletedTraining(kept.history, TrialResult(confusion, kept.figures))
