"""Starts the workers of a cluster: puts the images into it, and asks for actors."""

from collections.abc import Sequence
from pathlib import Path

from sweeper.data.splits import Indices
from sweeper.data.training_set import TrainingSet
from sweeper.engine.local.execution import Execution
from sweeper.engine.local.worker import WorkerSetup
from sweeper.engine.ray import cluster
from sweeper.engine.ray.pool import RayPool
from sweeper.errors import SweeperError, said
from sweeper.images.image_set import Scaling
from sweeper.models import code_files
from sweeper.store.layout import Store


def start_workers(
    training_set: TrainingSet,
    folds: Sequence[tuple[Indices, Indices]],
    scalings: Sequence[Scaling],
    execution: Execution,
    *,
    store: Store,
    owner: str,
    owner_id: str,
) -> RayPool:
    """Asks the cluster for actors that see only the images in `folds`: (train, validation) indices for each fold.

    The images go into the cluster's object stores. Raises SweeperError if the logs cannot be written.
    """
    log_folder = store.log_folder(owner, owner_id)
    try:
        log_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SweeperError(f"the workers' logs cannot be written: {said(error)}") from error
    images = [
        cluster.put(tuple((training_set.images[part], training_set.labels[part]) for part in fold)) for fold in folds
    ]
    setup = WorkerSetup(
        images_folder=Path(),
        n_classes=len(training_set.classes),
        scalings=scalings,
        threads=execution.threads,
        layout=execution.layout,
        memory=execution.worker_memory,
        graphs=execution.graphs,
        code=code_files.in_use(),
    )
    return RayPool(setup, execution, images, log_folder)
