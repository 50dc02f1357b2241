"""Combines the metrics of a trial's trainings: means and standard deviations over folds and repeats."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeper.training.epoch_metrics import EpochMetrics

Metrics = Mapping[str, float]


def mean_of(metrics: Sequence[Metrics]) -> dict[str, float]:
    """The mean of each metric and, if there are several trainings, its sample standard deviation under NAME_sd.

    A metric that some trainings lack is averaged over the others.
    """
    found: dict[str, float] = {}
    for name in dict.fromkeys(name for some in metrics for name in some):
        values = [some[name] for some in metrics if name in some]
        found[name] = fmean(values)
        if len(metrics) > 1:
            found[f"{name}_sd"] = stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else math.nan
    return found


def mean_epochs(histories: "Sequence[Sequence[EpochMetrics]]") -> list[dict[str, float]]:
    """Each epoch's means over all trainings; `epoch` counts from 1.

    A training that ended earlier contributes its last epoch's metrics to later epochs. Otherwise the means of late
    epochs would cover only the remaining trainings, and the last mean would not be the score.
    """
    last = max((len(history) for history in histories), default=0)
    found = []
    for i in range(last):
        means = mean_of([history[min(i, len(history) - 1)].values() for history in histories])
        found.append({name: value for name, value in means.items() if not name.endswith("_sd")} | {"epoch": i + 1})
    return found


def metrics_of(
    histories: "Sequence[Sequence[EpochMetrics]]", ends: Sequence[Metrics], metric: str, *, minimize: bool
) -> dict[str, float]:
    """The metrics over several trainings: means of their last epochs and of `ends`, and the epoch with the best mean.

    `ends` holds the END_METRICS of each complete training; `metric` names the metric that decides the best epoch. If
    it is known of no epoch, as without a validation part, none is the best.
    """
    sign = 1 if minimize else -1
    found = last_epochs(histories) | mean_of(ends)
    known = [epoch for epoch in mean_epochs(histories) if not math.isnan(epoch[metric])]
    if not known:
        return found
    top = min(known, key=lambda epoch: sign * epoch[metric])
    return found | {"best_epoch": int(top["epoch"]), f"best_{metric}": top[metric]}


def last_epochs(histories: "Sequence[Sequence[EpochMetrics]]") -> dict[str, float]:
    """The means and standard deviations of the trainings' last epochs, and the total seconds of all epochs."""
    found = mean_of([history[-1].values() for history in histories])
    found.pop("epoch_sd", None)  # an epoch's number is not a metric
    return found | {"training_seconds": sum(metrics.epoch_seconds for history in histories for metrics in history)}
