"""Where trainings run, as a user asks for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DeviceOptions:
    """The user's options for where trainings run.

    `device` is auto, cpu, cuda, mps, or CUDA devices by number ("cuda:0,cuda:1"). `jobs` is how many trainings run at
    once; None means as many as the machine can take. `jobs_per_gpu` is how many share a GPU, with CUDA graphs: 0 means
    the fastest number, None one training without graphs. `worker_memory` (bytes) limits a worker on a CPU; None means
    an equal share of the memory.
    """

    device: str = "auto"
    jobs: int | None = None
    jobs_per_gpu: int | None = None
    worker_memory: int | None = None
