"""A trained network with what it makes of the images of a look."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax

from sweeper.analysis.images import LabelledImages
from sweeper.analysis.network import TrainedNetwork
from sweeper.models.predictor import logits_of


@dataclass(frozen=True, eq=False)
class Subject:
    """A network that is looked at, and its images; `name` is how figures call it."""

    name: str
    network: TrainedNetwork
    images: LabelledImages

    @cached_property
    def log_probabilities(self) -> NDArray[np.float64]:
        """The logarithms of the probabilities of all classes, (n, classes)."""
        logits = logits_of(self.network.network, self.images.images, torch.device("cpu"))
        found: NDArray[np.float64] = log_softmax(logits.astype(np.float64), axis=1)
        return found

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each image, (n,)."""
        return self.log_probabilities.argmax(axis=1)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The true classes (n,), of images that have labels."""
        assert self.images.labels is not None
        return self.images.labels


def subjects_of(networks: Mapping[str, TrainedNetwork], images: LabelledImages) -> list[Subject]:
    """The networks by the names that figures have for them, each with the same images."""
    return [Subject(name, network, images) for name, network in networks.items()]
