"""How a spec has a training pool cut, and its images scaled."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.data.pool import TrainingPool
from sweeper.data.splits import Split, fold_pool, split_pool
from sweeper.data.summary import channel_statistics
from sweeper.search.study import derive_seed
from sweeper.search.trainings import Scaling


def cut(pool: TrainingPool, spec: Mapping[str, Any]) -> list[Split]:
    """The splits of the study's folds, or its only one. Raises ValueError where the pool is too small for that."""
    common = {"confirm": spec["confirm"], "seed": derive_seed(spec["seed"], "split"), "subset": spec["subset"]}
    common["classes"] = pool.classes
    if spec["folds"]:
        return fold_pool(pool.images, pool.labels, folds=spec["folds"], **common)
    own = pool.own_validation
    return [split_pool(pool.images, pool.labels, validation=spec["validation"], own_validation=own, **common)]


def scalings(pool: TrainingPool, splits: Sequence[Split], pixels: str) -> list[Scaling]:
    """Each split's mean and standard deviation by channel: of its train part alone, so that nothing else leaks in."""
    found = []
    for split in splits:
        mean, std = channel_statistics(pool.images[split.train])
        if pixels == "unit":
            mean, std = [0.0] * len(mean), [1.0] * len(std)
        found.append((mean, [value or 1.0 for value in std]))  # a constant channel has no spread to divide by
    return found
