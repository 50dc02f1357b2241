"""Decides how many trials this machine trains at once, and on which devices."""

import math
import sys
from collections.abc import Mapping

from sweeper.engine.execution import Execution
from sweeper.engine.options import DeviceOptions
from sweeper.errors import UsageError, plain
from sweeper.process.resources import available_memory, usable_cores
from sweeper.validators import MOST_PER_GPU

MOST_CPU_WORKERS = 8
# Planned for a CPU worker: the largest of the 50-trial Fashion-MNIST search peaked at 1.3 GiB (benchmarks/README.md).
WORKER_BYTES = 3 << 29
# Torch's libraries, the training of a LeNet-5 and the leftovers of 150 earlier trainings take 1 GiB of the limit. The
# rest is a reserve.
LEAST_WORKER_BYTES = 5 << 28


def plan(
    options: DeviceOptions, data_bytes: int, environment: Mapping[str, str], most_jobs: int = sys.maxsize
) -> Execution:
    """Plans the workers for these options, at most `most_jobs`. `data_bytes` is the data's size. Raises UsageError."""
    device, jobs, jobs_per_gpu = options.device, options.jobs, options.jobs_per_gpu
    worker_memory = options.worker_memory
    found = _devices(device)
    if worker_memory is not None:
        check_worker_memory(worker_memory, found)
    if jobs_per_gpu is not None:
        if not found[0].startswith("cuda"):
            raise UsageError(f"trials can share a CUDA device only, got {found[0]} (--jobs-per-gpu)")
        if jobs is not None:
            raise UsageError("give one of --jobs and --jobs-per-gpu, got both")
        used = found[:most_jobs]
        at_once = min(jobs_per_gpu or MOST_PER_GPU, math.ceil(most_jobs / len(used)))
        tunes = jobs_per_gpu == 0
        return Execution(tuple(used), 1, "channels_last", at_once=at_once, graphs=True, tunes_concurrency=tunes)
    if found == ["cpu"]:
        memory = available_memory()
        left = None if memory is None else memory - data_bytes  # the workers share one copy of the data
        if jobs is None:
            n_that_fit = MOST_CPU_WORKERS if left is None else left // (worker_memory or WORKER_BYTES)
            jobs = max(1, min(usable_cores(environment), MOST_CPU_WORKERS, n_that_fit))
        jobs = min(jobs, most_jobs)
        if worker_memory is None and left is not None and sys.platform == "linux":
            worker_memory = max(WORKER_BYTES, left // jobs)
        return Execution(("cpu",) * jobs, threads=1, layout="channels_last", worker_memory=worker_memory)
    jobs = min(jobs or len(found), most_jobs)
    return Execution(tuple(found[i % len(found)] for i in range(jobs)), threads=1, layout="channels_last")


def check_worker_memory(n_bytes: int, devices: list[str]) -> None:
    """Raises UsageError if workers on these devices cannot have this limit."""
    if devices != ["cpu"]:
        raise UsageError(f"a worker's memory can be limited on a CPU only, got {devices[0]} (--worker-memory)")
    if sys.platform != "linux":
        raise UsageError("a worker's memory can be limited on Linux only (--worker-memory)")
    if n_bytes < LEAST_WORKER_BYTES:
        raise UsageError(
            f"a worker's memory must be at least {LEAST_WORKER_BYTES / (1 << 30):g} GiB, which torch and a LeNet-5 "
            f"need, got {n_bytes / (1 << 30):.3g} GiB (--worker-memory)"
        )


def _devices(device: str) -> list[str]:
    import torch

    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        if n_gpus:
            return [f"cuda:{i}" for i in range(n_gpus)]
        return ["mps"] if torch.backends.mps.is_available() else ["cpu"]
    if device == "cuda" and n_gpus:
        return [f"cuda:{i}" for i in range(n_gpus)]
    if device.startswith("cuda"):
        named = device.split(",")
        for name in named:
            if not name.startswith("cuda") or name.removeprefix("cuda:") not in map(str, range(n_gpus)):
                raise UsageError(f"device {plain(name)} is not here: torch sees {n_gpus} CUDA devices (--device)")
        if len(set(named)) < len(named):
            raise UsageError(f"each device may be named once, got {plain(device)} (--device)")
        return named
    if device == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device mps is not here: torch sees no Apple GPU (--device)")
    if device not in ("cpu", "mps"):
        raise UsageError(f"device must be auto, cpu, cuda, cuda:N, cuda:N,cuda:M or mps, got {device!r} (--device)")
    return [device]
