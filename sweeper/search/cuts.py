"""How a training pool is cut, and what of a spec that decides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweeper.config import Protocol
from sweeper.data.pool import TrainingPool, load_training_pool
from sweeper.data.splits import Split, fold_pool, split_pool, splits_sha256
from sweeper.data.summary import channel_statistics
from sweeper.errors import UsageError
from sweeper.search.study import derive_seed
from sweeper.search.trainings import Scaling


@dataclass(frozen=True)
class Data:
    """A training pool as it was cut, and what of a spec the protocol and these data decide."""

    pool: TrainingPool
    splits: Sequence[Split]  # one a fold, or the only one
    spec: Mapping[str, Any]


def prepare(
    dataset: str,
    protocol: Protocol,
    seed: int,
    subset: int | None,
    *,
    data_dir: Path | None,
    offline: bool,
    notify: Callable[[str], None],
) -> Data:
    """Obtains the training data and cuts them. Raises SweeperError, and UsageError where they are too few for that."""
    pool = load_training_pool(dataset, data_dir=data_dir, offline=offline, notify=notify)
    spec: dict[str, Any] = {**asdict(protocol), "seed": seed, "subset": subset}
    try:
        splits = cut(pool, spec)
    except ValueError as error:
        raise UsageError(str(error)) from error
    fold_scalings = scalings(pool, splits, protocol.pixels)
    mean, std = fold_scalings[0]
    spec |= {"data_sha256": pool.sha256, "split_sha256": splits_sha256(splits), "mean": mean, "std": std}
    return Data(pool, splits, {"dataset": dataset, **spec, "fold_scalings": fold_scalings})


def cut(pool: TrainingPool, spec: Mapping[str, Any]) -> list[Split]:
    """The splits of the study's folds, or its only one. Raises ValueError where the pool is too small for that."""
    common = {"confirm": spec["confirm"], "seed": derive_seed(spec["seed"], "split"), "subset": spec["subset"]}
    if spec["folds"]:
        return fold_pool(pool.images, pool.labels, folds=spec["folds"], **common)
    return [split_pool(pool.images, pool.labels, validation=spec["validation"], **common)]


def scalings(pool: TrainingPool, splits: Sequence[Split], pixels: str) -> list[Scaling]:
    """Each split's mean and standard deviation by channel: of its train part alone, so that nothing else leaks in."""
    found = []
    for split in splits:
        mean, std = channel_statistics(pool.images[split.train])
        if pixels == "unit":
            mean, std = [0.0] * len(mean), [1.0] * len(std)
        found.append((mean, [value or 1.0 for value in std]))  # a constant channel has no spread to divide by
    return found
