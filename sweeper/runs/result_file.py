"""What came of a complete training, as a file that stays when its checkpoint and its weights have gone."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sweeper.engine.job import TrialResult
from sweeper.store.atomic import whole_file
from sweeper.training.loop import EpochMetrics, epochs_of

NAME = "trained.json"


@dataclass(frozen=True)
class CompletedTraining:
    """A complete training's epochs, and what it left beside them."""

    history: Sequence[EpochMetrics]
    result: TrialResult


def write(folder: Path, identity: str, run_id: str, trained: CompletedTraining) -> None:
    """Keeps what came of the training of this identity, which the MLflow run of this id has, or has been sent."""
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
    """What was kept of the training of this identity and run; None where there is nothing, or nothing whole."""
    try:
        kept = json.loads((folder / NAME).read_text())
        if (kept["identity"], kept["run_id"]) != (identity, run_id):
            return None
        confusion = None if kept["confusion"] is None else np.array(kept["confusion"])
        return CompletedTraining(epochs_of(kept["history"]), TrialResult(confusion, kept["figures"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
