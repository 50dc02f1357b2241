"""How a spec has a training pool cut, and its images scaled."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.data.splits import Split, split_folds, split_once
from sweeper.data.summary import Scaling, channel_statistics
from sweeper.data.training_set import TrainingSet
from sweeper.studies.seeds import derive_seed


def splits_of(training_set: TrainingSet, spec: Mapping[str, Any]) -> list[Split]:
    """The splits of the study's folds, or its only one. Raises ValueError where the pool is too small for that."""
    common = {"confirm": spec["confirm"], "seed": derive_seed(spec["seed"], "split"), "subset": spec["subset"]}
    common["classes"] = training_set.classes
    if spec["folds"]:
        return split_folds(training_set.images, training_set.labels, folds=spec["folds"], **common)
    own = training_set.own_validation
    return [
        split_once(
            training_set.images, training_set.labels, validation=spec["validation"], own_validation=own, **common
        )
    ]


def scalings(training_set: TrainingSet, splits: Sequence[Split], pixels: str) -> list[Scaling]:
    """Each split's mean and standard deviation by channel: of its train part alone, so that nothing else leaks in."""
    found = []
    for split in splits:
        mean, std = channel_statistics(training_set.images[split.train])
        if pixels == "unit":
            mean, std = [0.0] * len(mean), [1.0] * len(std)
        found.append((mean, [value or 1.0 for value in std]))  # a constant channel has no spread to divide by
    return found
