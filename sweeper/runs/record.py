"""Records a training in MLflow: its artifacts, epochs, plots and final metrics."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from sweeper.config import Configuration
from sweeper.engine.job import END_METRICS, TrialResult
from sweeper.evaluation.amounts import amount
from sweeper.images.preprocessing import Preprocessing
from sweeper.models import families, layers
from sweeper.plots import Plot
from sweeper.runs.fold_means import mean_epochs
from sweeper.studies.spec import RunSpec
from sweeper.tracking.csv_text import csv_text
from sweeper.tracking.outbox import Key
from sweeper.tracking.tracker import Tracker
from sweeper.training.epoch_metrics import EpochMetrics

# The folders of a run's plots in MLflow, by theme.
CURVES, CONFUSION, SEARCH = "curves", "confusion", "search"


def training_plots(
    name: str, history: Sequence[EpochMetrics], result: TrialResult, classes: Sequence[str]
) -> dict[str, Plot]:
    """The plots of a complete training by file name, with a confusion matrix if there is a validation part."""
    epochs = [metrics.values() for metrics in history]
    curves = {"epochs": epochs, "title": f"Learning curves, {name}"}
    plots = {f"{CURVES}/learning_curves.png": Plot("learning_curves", curves)}
    heads = [metrics.values() for metrics in history if metrics.heads]
    if heads:
        title = f"Accuracy of the auxiliary heads, {name}"
        plots[f"{CURVES}/head_accuracies.png"] = Plot("head_accuracies", {"epochs": heads, "title": title})
    return plots | _confusion(name, [result], classes)


def mean_plots(
    name: str, histories: Sequence[Sequence[EpochMetrics]], results: Sequence[TrialResult], classes: Sequence[str]
) -> dict[str, Plot]:
    """The plots of several complete trainings together, by file name; their confusion matrices are summed."""
    trainings = [[metrics.values() for metrics in history] for history in histories]
    curves = {"trainings": trainings, "title": f"Learning curves, {name}"}
    return {f"{CURVES}/learning_curves.png": Plot("mean_learning_curves", curves), **_confusion(name, results, classes)}


def _confusion(name: str, results: Sequence[TrialResult], classes: Sequence[str]) -> dict[str, Plot]:
    matrices = [result.confusion for result in results if result.confusion is not None]
    if not matrices:
        return {}
    title = f"Validation confusion matrix, {name}"
    arguments = {"matrix": np.sum(matrices, axis=0).tolist(), "classes": classes, "title": title}
    return {f"{CONFUSION}/validation_confusion_matrix.png": Plot("confusion_matrix", arguments)}


def final_metrics(metrics: Mapping[str, float], n_parameters: int) -> dict[str, float]:
    """A run's metrics beyond its epochs: END_METRICS, standard deviations, and the number of parameters."""
    known = {
        name: value
        for name, value in metrics.items()
        if (name in END_METRICS or name.endswith("_sd")) and not name.startswith("best_") and not math.isnan(value)
    }
    return known | {"n_parameters": n_parameters}


def final_tags(metrics: Mapping[str, float], seconds: float) -> dict[str, str]:
    """A run's best epoch and seconds, as tags.

    MLflow draws a chart for each metric, in the order of their names: as metrics, those of the best epoch would come
    before all learning curves. They are for reading, because nothing is ranked by them.
    """
    best = {name: value for name, value in metrics.items() if name.startswith("best_") and not math.isnan(value)}
    shown = {name: str(int(value)) if name == "best_epoch" else amount(name, value) for name, value in best.items()}
    return {f"sweeper.{name}": text for name, text in shown.items()} | {"sweeper.seconds": f"{seconds:.1f}"}


def log_means(tracker: Tracker, key: Key | None, histories: Sequence[Sequence[EpochMetrics]]) -> None:
    """Logs the mean of each epoch over several trainings."""
    for epoch in mean_epochs(histories):
        log_values(tracker, key, int(epoch["epoch"]), epoch)


def log_epoch(tracker: Tracker, key: Key | None, metrics: EpochMetrics) -> None:
    """Logs one epoch of a trial or training; skips an epoch that MLflow already has, and metrics that are NaN."""
    log_values(tracker, key, metrics.epoch, metrics.values())


def log_values(tracker: Tracker, key: Key | None, epoch: int, values: Mapping[str, float]) -> None:
    """Logs an epoch's metrics by name; skips the same epochs and metrics as `log_epoch`."""
    if epoch > tracker.last_epoch(key):
        known = {name: value for name, value in values.items() if name != "epoch" and not math.isnan(value)}
        tracker.log_epoch(key, epoch, known)


def texts(
    spec: RunSpec,
    configuration: Configuration,
    *,
    epochs: int,
    seed: int,
    fold: int = 0,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    classes: tuple[str, ...],
) -> dict[str, str]:
    """The text artifacts of a training by file name: all that the training starts from, and the network's layers.

    `fold` counts from 0. A network that cannot take the images has no layers.csv.
    """
    flip = {"test_flip": True} if spec.protocol.test_flip else {}
    mean, std = spec.scaling(configuration.model, fold)
    config = {
        "model": dict(configuration.model.values()),
        "train": asdict(configuration.train),
        "epochs": epochs,
        "seed": seed,
        "input_shape": input_shape,
        "classes": classes,
        "preprocessing": asdict(preprocessing),
        "pixels": {"scaling": spec.protocol.pixels, "mean": mean, "std": std, **flip},
        "data": {"name": spec.dataset, "sha256": spec.data_sha256},
    }
    if spec.init_sha256:
        config["init"] = {"sha256": spec.init_sha256, "freeze": spec.freeze}
    found = {"config.json": json.dumps(config, indent=2)}
    try:
        network = families.trace(configuration.model, input_shape, len(classes))
    except ValueError:
        return found
    rows = [(y.name, y.kind, y.output_shape, y.n_parameters, y.n_multiply_adds) for y in network]
    total = ("total", "", "", layers.n_parameters(network), layers.n_multiply_adds(network))
    columns = ("layer", "kind", "output_shape", "n_parameters", "n_multiply_adds")
    return found | {"layers.csv": csv_text(columns, [*rows, total])}
