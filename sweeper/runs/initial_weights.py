"""The weights that `sweeper train --init` starts from: fetched into the store once, and matched to the network."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sweeper.config import ModelConfig
from sweeper.engine.job import InitialWeights
from sweeper.errors import SweeperError, UsageError, plain, shortened
from sweeper.models import weight_transfer
from sweeper.store.layout import Store
from sweeper.studies import storage_errors
from sweeper.tracking import weights

OPTION = "--init"


@dataclass(frozen=True)
class StoredWeights:
    """A file of weights in the store: its source, its hash, and the shapes of its tensors by name."""

    source: weights.Source
    path: Path
    sha256: str
    shapes: Mapping[str, weight_transfer.Shape]


@dataclass(frozen=True)
class MatchedWeights:
    """Which of the stored weights a network takes, and whether training leaves them unchanged (`freeze`)."""

    found: StoredWeights
    match: weight_transfer.Match
    freeze: bool

    def for_job(self) -> InitialWeights:
        """The initial weights of a worker's job."""
        return InitialWeights(self.found.path, self.found.sha256, self.match.taken, self.freeze)

    def as_json(self) -> dict[str, Any]:
        """The weights and their match as JSON values."""
        return {
            "source": self.found.source.name,
            "run_id": self.found.source.run_id,
            "sha256": self.found.sha256,
            "freeze": self.freeze,
            "taken": list(self.match.taken),
            "left": [{"name": name, "reason": reason} for name, reason in self.match.left.items()],
        }

    def lines(self) -> list[str]:
        """Lines for the user: which tensors were taken, and why the others were not."""
        taken, source = self.match.taken, self.found.source.name
        frozen = "taken and frozen" if self.freeze else "taken"
        lines = [f"Initial weights from {source}, SHA-256 {self.found.sha256[:12]}"]
        lines.append(f"{frozen} ({len(taken)}): {', '.join(taken)}")
        # Names in the file may have any characters.
        left = [f"{plain(name)} ({reason})" for name, reason in self.match.left.items()]
        return [*lines, f"not taken ({len(left)}): {', '.join(left)}"] if left else lines


def find(reference: str, store: Store) -> StoredWeights:
    """The weights of a run or registered model; fetches them unless an earlier command has put them into the store.

    Raises UsageError if MLflow has no such weights, and SweeperError if they cannot be fetched or read.
    """
    source = weights.resolve(store, reference, OPTION)
    path = store.initial_weights(source.run_id)
    if not path.exists():
        _fetch(source, path, store)
    try:
        shapes = weight_transfer.shapes_in(path)
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise SweeperError(
            f"the weights of {source.name} cannot be read from {path}: {shortened(str(error))}; delete that file to "
            "fetch them again"
        ) from error
    return StoredWeights(source, path, sha256, shapes)


def match(
    found: StoredWeights, config: ModelConfig, input_shape: tuple[int, int, int], n_classes: int, *, freeze: bool
) -> MatchedWeights:
    """Matches weights with a network. Raises UsageError if none fit, or if `freeze` would leave nothing to train."""
    matched = weight_transfer.match(found.shapes, config, input_shape, n_classes)
    if not matched.n_parameters_taken:
        raise UsageError(
            f"no weights of {found.source.name} match a parameter of this network in name and shape: "
            f"{shortened(_first_mismatch(matched))} ({OPTION})"
        )
    if freeze and matched.n_parameters_taken == len(matched.parameters):
        raise UsageError(
            f"all {len(matched.parameters)} parameters of this network are in the weights of {found.source.name}: "
            "nothing is left to train (--freeze)"
        )
    return MatchedWeights(found, matched, freeze)


def _fetch(source: weights.Source, path: Path, store: Store) -> None:
    store.prepare()
    with storage_errors.translated(store):
        path.parent.mkdir(exist_ok=True)
        with TemporaryDirectory(prefix=".", dir=path.parent) as folder:
            fetched = weights.download(store, source, Path(folder), OPTION)
            try:
                weight_transfer.shapes_in(fetched)
            except ValueError as error:
                raise SweeperError(f"the weights of {source.name} cannot be used: {shortened(str(error))}") from error
            os.replace(fetched, path)


def _first_mismatch(matched: weight_transfer.Match) -> str:
    """The network's first parameter, and why it is not taken."""
    name = matched.parameters[0]
    return f"{name} is {matched.left[name]}" if "not" in matched.left[name] else f"{name} has {matched.left[name]}"
