"""Starts the workers of a cluster: puts the images into it, and asks for actors."""

from pathlib import Path

from sweeper.engine.execution import Execution
from sweeper.engine.local.worker import WorkerSetup
from sweeper.engine.ray import cluster
from sweeper.engine.ray.pool import RayPool
from sweeper.engine.workload import Workload


def start_workers(workload: Workload, execution: Execution) -> RayPool:
    """Asks the cluster for actors that see only the images of the workload.

    The images go into the cluster's object stores. Raises SweeperError if the logs cannot be written.
    """
    images = [cluster.put(parts) for parts in workload.all_parts()]
    return RayPool(WorkerSetup.of(workload, execution, Path()), execution, images, workload.log_folder)
