"""Plans and starts the workers of the engine that a command has chosen."""

import sys
from collections.abc import Callable, Mapping

from sweeper.engine import inline
from sweeper.engine.base import Engine
from sweeper.engine.execution import Execution
from sweeper.engine.local import plan as local_plan
from sweeper.engine.local import pool
from sweeper.engine.options import DeviceOptions
from sweeper.engine.ray import plan as ray_plan
from sweeper.engine.ray import probe
from sweeper.engine.ray import start as ray_start
from sweeper.engine.workload import Workload
from sweeper.process import processor


def plan_execution(
    options: DeviceOptions,
    data_bytes: int,
    environment: Mapping[str, str],
    most_jobs: int = sys.maxsize,
    n_trainings: int | None = None,
) -> Execution:
    """Plans the workers for these options, at most `most_jobs`. `data_bytes` is the data's size.

    `n_trainings` are those of a whole search, which learns from them; None for trainings that do not wait for others.
    Connects to the cluster that they name, if any. Raises UsageError, and SweeperError if that cannot be used.
    """
    if options.engine == "inline":
        return inline.plan(options, data_bytes, environment)
    if options.engine == "ray":
        return ray_plan.plan(options, most_jobs, n_trainings)
    return local_plan.plan(options, data_bytes, environment, most_jobs, n_trainings)


def processor_of(execution: Execution) -> str:
    """The kind of processor or GPU that such workers train on, as process.processor names it.

    In a cluster it is that of most of its CPUs. It is empty for a cluster's GPUs, and if no node answers.
    """
    if execution.required_processor or execution.engine != "ray":
        return execution.required_processor or processor.of(execution.devices)
    return probe.commonest_processor() if execution.devices[0] == "cpu" else ""


def start_workers(workload: Workload, execution: Execution) -> Engine:
    """Starts workers that see only the images of the workload.

    Raises SweeperError if the images cannot be written for them, or a worker cannot be started.
    """
    start: dict[str, Callable[[Workload, Execution], Engine]] = {
        "local": pool.start_workers,
        "inline": inline.start_workers,
        "ray": ray_start.start_workers,
    }
    return start[execution.engine](workload, execution)
