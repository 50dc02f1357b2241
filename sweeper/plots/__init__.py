"""Plots of trainings and studies: plain data in, a matplotlib Figure out, without touching global state."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from sweeper.plots.ablation import ablation
from sweeper.plots.classwise import class_scores
from sweeper.plots.confusion import confusion_matrices, confusion_matrix
from sweeper.plots.curves import (
    head_accuracies,
    learning_curves,
    learning_curves_of_networks,
    mean_learning_curves,
    overlaid_curves,
)
from sweeper.plots.dark import darken
from sweeper.plots.dataset import pixel_statistics, sample_grid
from sweeper.plots.embedding import embeddings
from sweeper.plots.frontier import accuracy_and_cost
from sweeper.plots.importance import parameter_importance
from sweeper.plots.layer_maps import feature_maps
from sweeper.plots.pictures import image_probabilities
from sweeper.plots.rates import learning_rates
from sweeper.plots.reliability import reliability_diagram
from sweeper.plots.study import optimization_history
from sweeper.plots.trials import intermediate_values, scores_by_value, timeline

# Outboxes on disk hold these function names until their plots are drawn.
FUNCTIONS: Mapping[str, Callable[..., Figure]] = {
    function.__name__: function
    for function in (
        ablation,
        accuracy_and_cost,
        class_scores,
        confusion_matrices,
        confusion_matrix,
        embeddings,
        feature_maps,
        head_accuracies,
        intermediate_values,
        image_probabilities,
        learning_curves,
        learning_curves_of_networks,
        learning_rates,
        mean_learning_curves,
        optimization_history,
        overlaid_curves,
        parameter_importance,
        pixel_statistics,
        sample_grid,
        scores_by_value,
        timeline,
        reliability_diagram,
    )
}


@dataclass(frozen=True)
class Plot:
    """A plot that is drawn later, maybe by another process: one of FUNCTIONS, and arguments that JSON can hold."""

    function: str
    arguments: Mapping[str, Any]

    def draw(self, dark: bool = False) -> Figure:
        """Draws the plot, on request in the colours of a dark page. Raises ValueError as its function does."""
        figure = FUNCTIONS[self.function](**self.arguments)
        return darken(figure) if dark else figure
