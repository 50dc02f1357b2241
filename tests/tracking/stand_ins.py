"""Stand-ins for what takes most of a command's time and is tested by itself: exported networks and drawn figures."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from mlflow.models import Model
from torch import nn

from sweeper.plots import FUNCTIONS, Plot
from sweeper.tracking import registry

REAL_EXPORT = registry._export


def export(
    network: nn.Module, example: np.ndarray, classes: Sequence[str], form: Mapping[str, Any], folder: Path
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
    patch.setattr(registry, "_export", export)
    patch.setattr("sweeper.plots.Plot.draw", draw)
