"""This process's memory: limits it, recognises a lack of it and whether a trial is the cause, and frees it."""

import ctypes
import gc
import re
import sys
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch is imported only after the limit is set
    import torch

# Guards what all trainings of the process share: a GPU's default generator and its memory pool. Neither may be touched
# while another training captures a graph.
gpu_lock = RLock()
# A trial counts as the cause of its own lack of memory if what it took plus its last request is at least this share of
# the memory that it could have.
OWN_SHARE = 0.5
# Torch's wording, for a CPU and for a GPU.
_REQUESTED = re.compile(r"tried to allocate ([\d.]+) (bytes|KiB|MiB|GiB)", re.IGNORECASE)
_UNITS = {"bytes": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_OUT_OF_MEMORY = (
    "allocate memory",
    "bad_alloc",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
# oneDNN gives no cause: under a limit the cause is nearly always memory, without a limit it may be anything.
_OUT_OF_MEMORY_IF_LIMITED = ("could not create a primitive", "could not execute a primitive")


def limit(n_bytes: int) -> None:
    """Limits this process's private memory, on Linux only: an allocation beyond the limit fails with a MemoryError."""
    if sys.platform != "linux":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = n_bytes if hard == resource.RLIM_INFINITY else min(n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def is_out_of_memory(error: BaseException, *, limited: bool = False) -> bool:
    """Whether an error means a lack of memory, in any of the ways that Python and torch have to say so.

    The lack of memory may also be the error's __context__, as at the end of a graph's capture. `limited` says whether
    the process has a memory limit.
    """
    import torch

    texts = (*_OUT_OF_MEMORY, *_OUT_OF_MEMORY_IF_LIMITED) if limited else _OUT_OF_MEMORY
    if error.__context__ is not None and is_out_of_memory(error.__context__, limited=limited):
        return True
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
    )


def is_of_the_device(error: BaseException) -> bool:
    """Whether the device itself failed, such as on an illegal memory access: the process can no longer use it."""
    import torch

    return isinstance(error, torch.AcceleratorError)


class Share:
    """The memory that this process takes from now on, against what it can have: the rest of its limit, or the GPU.

    Only for a process that has trained nothing before: what earlier trials have left behind would count as taken.
    """

    def __init__(self, device: "torch.device", limited_to: int | None) -> None:
        self._device = device
        self._rest = None if limited_to is None else limited_to - _status("VmData")
        self._before = _status("VmPeak")

    def explains(self, error: Exception) -> bool:
        """Whether the most that was taken plus the request that failed explains the error, without other processes.

        On a CPU this needs a limit; without a limit nobody can tell, and the result is False.
        """
        import torch

        requested = _requested_bytes(error)
        if self._device.type == "cuda":
            total = torch.cuda.get_device_properties(self._device).total_memory
            return torch.cuda.max_memory_reserved(self._device) + requested >= OWN_SHARE * total
        # The peak of the address space: Linux records no peak of the memory that counts against the limit, and the peak
        # of resident memory also counts the pages of torch's libraries.
        return self._rest is not None and _status("VmPeak") - self._before + requested >= OWN_SHARE * self._rest


def give_back(device: "torch.device", *, alone: bool = True) -> None:
    """Returns unused memory to the system or the GPU, for the next trial and for other processes.

    `alone` says whether the process runs no other training meanwhile.
    """
    import torch

    gc.collect()
    if alone:
        gc.freeze()  # mostly torch's own objects: scanning them again after every trial takes a sixth of a second
    if device.type == "cuda":
        with gpu_lock:
            torch.cuda.empty_cache()
    elif sys.platform == "linux":
        with suppress(OSError, AttributeError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)


def _requested_bytes(error: Exception) -> float:
    """The size in bytes of the allocation that failed; 0 where the error does not say it."""
    requested = _REQUESTED.search(str(error))
    return float(requested[1]) * _UNITS[requested[2].lower()] if requested else 0.0


def _status(name: str) -> int:
    """A field of Linux's /proc/self/status, in bytes; 0 on other systems."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
