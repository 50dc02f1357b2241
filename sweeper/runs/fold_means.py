"""What the trainings of one trial come to together: means over folds and repeats, and how far these lie apart."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeper.training.loop import EpochMetrics

Metrics = Mapping[str, float]


def mean_of(metrics: Sequence[Metrics]) -> dict[str, float]:
    """The mean of each figure, and where there are several of it the sample standard deviation, under NAME_sd.

    A figure that some lack is averaged over the others.
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

    A training that ended before has its last epoch's figures: else the means of late epochs would be of those that were
    left, and the last would not be the score.
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
    """What trainings come to together: their last epochs and `ends`, and which epoch was best in the mean.

    `ends` are the figures of those that are complete, beside their epochs'; `metric` names an epoch's figure.
    """
    sign = 1 if minimize else -1
    top = min(mean_epochs(histories), key=lambda epoch: sign * epoch[metric])
    best = {"best_epoch": int(top["epoch"]), f"best_{metric}": top[metric]}
    return last_epochs(histories) | mean_of(ends) | best


def last_epochs(histories: "Sequence[Sequence[EpochMetrics]]") -> dict[str, float]:
    """The means and standard deviations of the trainings' last epochs, and the seconds that all epochs took."""
    found = mean_of([history[-1].values() for history in histories])
    found.pop("epoch_sd", None)  # the epochs' own numbers are no figures
    return found | {"training_seconds": sum(metrics.epoch_seconds for history in histories for metrics in history)}
