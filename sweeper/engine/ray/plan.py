"""Decides how many actors a cluster trains trials with, and on which kind of device."""

import math

from sweeper.engine.execution import Execution
from sweeper.engine.local.plan import check_graphs, check_worker_memory, most_to_try
from sweeper.engine.options import DeviceOptions
from sweeper.engine.ray import cluster
from sweeper.errors import UsageError, plain


def plan(options: DeviceOptions, most_jobs: int, n_trainings: int | None = None) -> Execution:
    """Plans at most `most_jobs` jobs at once; connects to the cluster. Raises UsageError and SweeperError.

    `n_trainings` are those of a whole search; None for trainings that do not wait for others.
    More actors than the cluster has room for wait for nodes that come later.
    """
    if options.jobs_per_gpu is not None and options.jobs is not None:
        raise UsageError("give one of --jobs and --jobs-per-gpu, got both")
    if options.device not in ("auto", "cpu", "cuda"):
        raise UsageError(
            f"on a Ray cluster, the device must be auto, cpu or cuda, got {plain(options.device)}: the cluster chooses "
            "which of its GPUs (--device)"
        )
    cluster.connect(options.ray_address or "", insecure=options.ray_insecure)
    nodes = cluster.nodes()
    n_cpus, n_gpus = math.floor(sum(node.cpus for node in nodes)), math.floor(sum(node.gpus for node in nodes))
    device = options.device if options.device != "auto" else "cuda" if n_gpus else "cpu"
    if options.worker_memory is not None:
        check_worker_memory(options.worker_memory, [device])
    n_places, what = (n_gpus, "GPU") if device == "cuda" else (n_cpus, "CPU")
    if not n_places and options.jobs is None:
        raise UsageError(f"the Ray cluster has no {what} yet: add nodes, or say how many to wait for (--jobs)")
    if options.jobs_per_gpu is None:
        n_actors = min(options.jobs or n_places, most_jobs)
        memory = options.worker_memory if device == "cpu" else None
        return Execution((device,) * n_actors, 1, "channels_last", worker_memory=memory, engine="ray")
    if device != "cuda":
        raise UsageError(f"trials can share a CUDA device only, got {device} (--jobs-per-gpu)")
    check_graphs()
    n_actors = min(n_places, most_jobs)
    at_once = min(options.jobs_per_gpu or most_to_try(n_trainings, n_actors), math.ceil(most_jobs / n_actors))
    tunes = options.jobs_per_gpu == 0
    return Execution(
        (device,) * n_actors,
        1,
        "channels_last",
        at_once=at_once,
        graphs=True,
        tunes_concurrency=tunes,
        engine="ray",
    )
