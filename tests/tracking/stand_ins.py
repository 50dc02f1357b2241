"""Stand-ins for what takes most of a command's time and is tested by itself: exported networks and drawn figures."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from mlflow.models import Model
from torch import nn

from sweeper.tracking import registry

REAL_EXPORT = registry._export


def export(network: nn.Module, example: np.ndarray, folder: Path) -> Model:
    """A model's folder as MLflow wants it, with nothing in it that could be loaded."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "model.pt2").write_bytes(b"not exported")
    return Model()


def draw(plot: object) -> Figure:
    """A figure with nothing on it."""
    return Figure(figsize=(1, 1))


def use(patch: pytest.MonkeyPatch) -> None:
    """Replaces exporting and drawing by the stand-ins."""
    patch.setattr(registry, "_export", export)
    patch.setattr("sweeper.plots.Plot.draw", draw)
