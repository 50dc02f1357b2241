"""The predictions of a configuration's networks on one part of the data, judged in the study's metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from sweeper.evaluation import bootstrap, metrics, statistics
from sweeper.evaluation.constant import only_classes
from sweeper.evaluation.statistics import Estimate, PairedTest
from sweeper.studies.objective import direction


@dataclass(frozen=True)
class Predictions:
    """What networks of one configuration, one for each seed, make of the same images.

    `metric` is the study's objective. `labels` (images,) and `predicted` (images, seeds) are class indices, `losses`
    (images, seeds) are -ln p(true class), in nats.
    """

    metric: str
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    losses: NDArray[np.float64]
    n_classes: int

    @classmethod
    def of(cls, metric: str, labels: NDArray[np.int64], logits: Sequence[NDArray[np.float32]]) -> Self:
        """The predictions of networks with these logits, each (images, classes)."""
        rows = np.arange(len(labels))
        losses = [-log_softmax(some.astype(np.float64), axis=1)[rows, labels] for some in logits]
        predicted = np.stack([some.argmax(1) for some in logits], axis=1)
        return cls(metric, labels, predicted, np.stack(losses, axis=1), logits[0].shape[1])

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each network (columns) is right on each image (rows)."""
        return self.predicted == self.labels[:, None]

    def scores(self) -> NDArray[np.float64]:
        """The metric of each network, shape (seeds,)."""
        if self.metric == "accuracy":
            return self.correct.mean(axis=0)
        if self.metric == "loss":
            return self.losses.mean(axis=0)
        score = {"balanced_accuracy": metrics.balanced_accuracy, "macro_f1": metrics.macro_f1}[self.metric]
        return np.array([score(self.labels, column, self.n_classes) for column in self.predicted.T])

    def only_classes(self) -> list[int]:
        """The only class of each network, each class once; empty if any network predicts several."""
        return only_classes(self.predicted)

    def cost(self) -> float:
        """The mean metric over seeds, with its sign changed if more is better: the least is the best."""
        return float(self.scores().mean()) * (1 if direction(self.metric) == "minimize" else -1)

    def estimate(self) -> Estimate:
        """The metric over seeds and images."""
        if self.metric == "accuracy":
            return statistics.over_seeds_and_images(self.correct)
        if self.metric == "loss":
            return statistics.over_seeds_and_images(self.losses)
        return bootstrap.over_seeds_and_images(self.metric, self.labels, self.predicted, self.n_classes)

    def minus(self, other: "Predictions") -> Estimate:
        """The metric less that of another configuration on the same images, over seeds and images."""
        if self.metric == "accuracy":
            return statistics.over_seeds_and_images(self.correct.astype(np.int8) - other.correct)
        if self.metric == "loss":
            return statistics.over_seeds_and_images(self.losses - other.losses)
        return bootstrap.over_seeds_and_images(
            self.metric, self.labels, self.predicted, self.n_classes, minus=other.predicted
        )

    def network_estimate(self) -> Estimate:
        """The metric of the only network over images; for another metric than the accuracy."""
        if self.metric == "loss":
            return statistics.over_images(self.losses[:, 0])
        return bootstrap.over_images(self.metric, self.labels, self.predicted[:, 0], self.n_classes)

    def network_minus(self, other: "Predictions") -> Estimate | PairedTest:
        """The metric of the only network less that of another configuration's only network, over images."""
        if self.metric == "accuracy":
            return statistics.paired(self.correct[:, 0], other.correct[:, 0])
        if self.metric == "loss":
            return statistics.over_images(self.losses[:, 0] - other.losses[:, 0])
        return bootstrap.over_images(
            self.metric, self.labels, self.predicted[:, 0], self.n_classes, minus=other.predicted[:, 0]
        )
