"""Stand-ins for what takes most of a command's time and is tested by itself: exported networks and drawn figures."""

import inspect
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from mlflow.models import Model
from torch import nn

from sweeper.images.preprocessing import Preprocessing
from sweeper.plots import FUNCTIONS, Plot
from sweeper.tracking import mlflow_model

REAL_EXPORT = mlflow_model.export


def export(
    network: nn.Module,
    example: np.ndarray,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    verdict: Sequence[str],
    folder: Path,
) -> Model:
    """A model's folder as MLflow wants it, with nothing in it that could be loaded."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "model.pt2").write_bytes(b"not exported")
    return Model()


def draw(plot: Plot, dark: bool = False) -> Figure:
    """A figure with nothing on it; TypeError for arguments that the plot's function does not take."""
    inspect.signature(FUNCTIONS[plot.function]).bind(**plot.arguments)
    return Figure(figsize=(1, 1))


def use(patch: pytest.MonkeyPatch) -> None:
    """Replaces exporting and drawing by the stand-ins."""
    patch.setattr(mlflow_model, "export", export)
    patch.setattr("sweeper.plots.Plot.draw", draw)
