"""Plans and starts the workers of the engine that a command has chosen."""

import sys
from collections.abc import Callable, Mapping, Sequence

from sweeper.data.splits import Indices
from sweeper.data.training_set import TrainingSet
from sweeper.engine import inline
from sweeper.engine.base import Engine
from sweeper.engine.local import execution as local_execution
from sweeper.engine.local import pool
from sweeper.engine.local.execution import Execution
from sweeper.engine.options import DeviceOptions
from sweeper.engine.ray import plan as ray_plan
from sweeper.engine.ray import start as ray_start
from sweeper.images.image_set import Scaling
from sweeper.store.layout import Store


def plan_execution(
    options: DeviceOptions, data_bytes: int, environment: Mapping[str, str], most_jobs: int = sys.maxsize
) -> Execution:
    """Plans the workers for these options, at most `most_jobs`. `data_bytes` is the data's size.

    Connects to the cluster that they name, if any. Raises UsageError, and SweeperError if that cannot be used.
    """
    if options.engine == "inline":
        return inline.plan(options, data_bytes, environment)
    if options.engine == "ray":
        return ray_plan.plan(options, most_jobs)
    return local_execution.plan_execution(options, data_bytes, environment, most_jobs)


def start_workers(
    training_set: TrainingSet,
    folds: Sequence[tuple[Indices, Indices]],
    scalings: Sequence[Scaling],
    execution: Execution,
    *,
    store: Store,
    owner: str,
    owner_id: str,
) -> Engine:
    """Starts workers that see only the images in `folds`: (train, validation) indices for each fold.

    They belong to `owner`, a study or a training by itself; `owner_id` distinguishes owners of one name. Raises
    SweeperError if the images cannot be written for them, or a worker cannot be started.
    """
    start: dict[str, Callable[..., Engine]] = {
        "local": pool.start_workers,
        "inline": inline.start_workers,
        "ray": ray_start.start_workers,
    }
    return start[execution.engine](
        training_set, folds, scalings, execution, store=store, owner=owner, owner_id=owner_id
    )
