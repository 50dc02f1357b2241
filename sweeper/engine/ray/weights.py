"""Files of weights that jobs start from: the coordinator puts each into the cluster once, for nodes that lack it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweeper.config import TimmConfig
from sweeper.engine.job import TrialJob
from sweeper.engine.ray import cluster
from sweeper.errors import SweeperError, said


@dataclass(frozen=True)
class Weights:
    """A file of weights: a name made of its hash, its content, and timm's settings for it if they are pretrained."""

    name: str
    content: bytes
    settings: Mapping[str, Any] = field(default_factory=dict)


class SentWeights:
    """References to the weights that were put into the cluster, by hash."""

    def __init__(self) -> None:
        self._references: dict[str, Any] = {}

    def initial(self, job: TrialJob) -> Any:
        """A reference to the job's initial weights; None if it has none. Raises SweeperError."""
        if job.initial is None:
            return None
        sha256, path = job.initial.sha256, job.initial.path
        if sha256 not in self._references:
            try:
                weights = Weights(f"{sha256}{path.suffix}", path.read_bytes())
            except OSError as error:
                raise SweeperError(f"the initial weights cannot be read: {said(error)}") from error
            self._references[sha256] = cluster.put(weights)
        return self._references[sha256]

    def pretrained(self, job: TrialJob) -> Any:
        """A reference to the job's pretrained weights; None if it has none. Raises SweeperError."""
        model = job.configuration.model
        if job.pretrained is None or not isinstance(model, TimmConfig):
            return None
        sha256 = job.pretrained.sha256
        if sha256 not in self._references:
            from sweeper.models import pretrained

            try:
                found = pretrained.find(model, offline=True)  # the command has downloaded what it lacked
                weights = Weights(f"{found.sha256}{found.path.suffix}", found.path.read_bytes(), found.settings)
            except (OSError, ValueError) as error:
                raise SweeperError(f"the pretrained weights cannot be read: {said(error)}") from error
            self._references[sha256] = cluster.put(weights)
        return self._references[sha256]
