"""Where and how trainings run, as it was planned for a command."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Execution:
    """Where trials train: a device for each process, and the settings that decide bitwise results on it.

    A process trains `at_once` trials; with `tunes_concurrency`, the dispatcher may find that fewer are better. With
    `graphs`, steps run as CUDA graphs. `worker_memory` is the most private memory that a process may hold, in bytes,
    None for no limit, and `gpu_memory` the most of a GPU's memory that torch may take in a process, None for all of it;
    these do not change results, nor does the `engine`, that of DeviceOptions. `required_processor` is the kind
    (process.processor) on which the trainings began, or for which their precisions were settled: a cluster uses no
    other. It is empty if neither is so, as on this machine before the first training.
    """

    devices: tuple[str, ...]
    threads: int
    layout: str
    worker_memory: int | None = None
    gpu_memory: int | None = None
    at_once: int = 1
    graphs: bool = False
    tunes_concurrency: bool = False
    engine: str = "local"
    required_processor: str = ""

    @property
    def kind(self) -> str:
        """The type of the devices, and whether the steps are graphs: results differ slightly between kinds."""
        return self.devices[0].split(":")[0] + ", graphs" * self.graphs

    @property
    def trial_memory(self) -> int | None:
        """The most memory that a trial can have, in bytes: of its worker or of the smallest GPU; None if unknown."""
        if not self.devices[0].startswith("cuda"):
            return self.worker_memory
        if self.engine == "ray":  # the GPUs are elsewhere
            return None
        if self.gpu_memory is not None:
            return self.gpu_memory
        import torch

        return min(torch.cuda.get_device_properties(device).total_memory for device in self.devices)

    def with_larger_shares(self) -> Self | None:
        """The execution with half the processes on each GPU, and larger shares of its memory for them.

        None where processes have no shares: then each has all the memory that there is.
        """
        if self.gpu_memory is None:
            return None
        n_before = max(Counter(self.devices).values())
        n = max(1, n_before // 2)
        devices = tuple(device for i, device in enumerate(self.devices) if self.devices[:i].count(device) < n)
        share = None if n == 1 else self.gpu_memory * n_before // n
        return replace(self, devices=devices, gpu_memory=share)

    @property
    def device_here(self) -> str:
        """The device on which the process of the command evaluates what was trained."""
        if self.engine != "ray" or self.devices[0] == "cpu":
            return self.devices[0]
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def workers(self) -> list[str]:
        """The device of every worker."""
        return [device for device in self.devices for _ in range(self.at_once)]
