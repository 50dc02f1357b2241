"""Decides how many trials this machine trains at once, and on which devices."""

import math
import sys
from collections.abc import Mapping, Sequence

from sweeper.engine.execution import Execution
from sweeper.engine.options import DeviceOptions
from sweeper.errors import UsageError, plain
from sweeper.process import nvml
from sweeper.process.resources import available_memory, usable_cores
from sweeper.validators import MOST_PER_GPU

MOST_CPU_WORKERS = 8
# Planned for a CPU worker: the largest of the 50-trial Fashion-MNIST search peaked at 1.3 GiB (benchmarks/README.md).
WORKER_BYTES = 3 << 29
# Torch's libraries, the training of a LeNet-5 and the leftovers of 150 earlier trainings take 1 GiB of the limit. The
# rest is a reserve.
LEAST_WORKER_BYTES = 5 << 28
# A small network keeps a GPU busy for a fifth of the time and its process a core, by estimate: nothing is measured yet.
MOST_GPU_WORKERS = 8
# Planned for each process on a GPU, all by estimate: of the GPU's memory for CUDA itself and for a training beside its
# images, and of the machine's memory.
CUDA_BYTES, GPU_TRAINING_BYTES, GPU_WORKER_BYTES = 1 << 30, 2 << 30, 3 << 30
# The sampler learns little from a search of which more than this share runs at once.
LARGEST_SHARE_AT_ONCE = 0.25
# In an older torch, a step that cannot be captured in a graph spoils the process for all of its trainings: allocations
# that fail no longer fall back on cached memory (pytorch#180395).
GRAPHS_SINCE = "2.13"


def plan(
    options: DeviceOptions,
    data_bytes: int,
    environment: Mapping[str, str],
    most_jobs: int = sys.maxsize,
    n_trainings: int | None = None,
) -> Execution:
    """Plans the workers for these options, at most `most_jobs`. `data_bytes` is the data's size. Raises UsageError.

    `n_trainings` are those of a whole search, which learns from them; None for trainings that do not wait for others.
    """
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
        check_graphs()
        used = found[:most_jobs]
        at_once = min(jobs_per_gpu or most_to_try(n_trainings, len(used)), math.ceil(most_jobs / len(used)))
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
    on_cuda = found[0].startswith("cuda")
    if jobs is None:
        jobs = len(found) * (_workers_a_gpu(found, data_bytes, environment, n_trainings) if on_cuda else 1)
    jobs = min(jobs, most_jobs)
    most_a_gpu = math.ceil(jobs / len(found))
    gpu_memory = None
    if on_cuda and most_a_gpu > 1:  # equal shares, so that what a trial needs, and not its neighbours, prunes it
        gpu_memory = max(GPU_TRAINING_BYTES, _least_free(found) // most_a_gpu - CUDA_BYTES)
    devices = tuple(found[i % len(found)] for i in range(jobs))
    return Execution(devices, threads=1, layout="channels_last", gpu_memory=gpu_memory)


def most_to_try(n_trainings: int | None, n_gpus: int) -> int:
    """The highest number of trainings at once on each GPU that is tried to find the fastest."""
    if n_trainings is None:
        return MOST_PER_GPU
    return max(1, min(MOST_PER_GPU, math.ceil(LARGEST_SHARE_AT_ONCE * n_trainings / n_gpus)))


def check_graphs() -> None:
    """Raises UsageError if this torch cannot be relied on for trainings that share a process."""
    import torch

    if torch.__version__ < GRAPHS_SINCE:
        raise UsageError(
            f"CUDA graphs need PyTorch {GRAPHS_SINCE} or newer, got {torch.__version__}, in which a step that cannot "
            "be captured spoils the process for all its trials; --jobs N trains in N processes without graphs "
            "(--jobs-per-gpu)"
        )


def _workers_a_gpu(
    found: Sequence[str], data_bytes: int, environment: Mapping[str, str], n_trainings: int | None
) -> int:
    """How many processes share each GPU, where no option says it: each trains one trial at a time, without graphs."""
    limits = [
        MOST_GPU_WORKERS,
        most_to_try(n_trainings, len(found)),
        usable_cores(environment) // len(found),
        _least_free(found) // (CUDA_BYTES + GPU_TRAINING_BYTES + data_bytes),
    ]
    memory = available_memory()
    if memory is not None:
        limits.append((memory - data_bytes) // (GPU_WORKER_BYTES * len(found)))
    return max(1, min(limits))


def _least_free(found: Sequence[str]) -> int:
    """The memory in bytes of the GPU that has the least: what is free, or all where the driver does not tell that."""
    import torch

    gpus = [torch.cuda.get_device_properties(device) for device in found]
    free = [nvml.free_memory(str(gpu.uuid)) for gpu in gpus]
    return min(gpu.total_memory if left is None else left for gpu, left in zip(gpus, free, strict=True))


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
